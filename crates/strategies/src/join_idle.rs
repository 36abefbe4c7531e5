use raddle_core::{Candidates, Signals, TaskProfile};

use crate::power_of_two::{better, of_the_others, two_by};
use crate::{Strategy, delay, retry};

/// Picks an idle candidate, or the better of two if none is found.
///
/// - **Rule:** draw one candidate; if it is idle, take it. Otherwise search for an idle one, first
///   among the up to 64 workers around it, in random order, then among the next 64, and so on. If
///   none is found, take [the better of two](crate::PowerOfTwo).
///   - A worker that fails more often than not
///     ([`Signals::is_failing`](raddle_core::Signals::is_failing)) is skipped, unless it was the
///     one drawn and that [has expired](raddle_core::Signals::has_expired): it may have recovered.
///     Without idle times it is tried once in 16 draws.
///   - A worker that [is slow](raddle_core::Signals::is_slow) is skipped and retried likewise, or
///     once in 1,024 draws. If no other idle worker is found, it is taken if it would finish the
///     task before the better of two others.
///   - If one of two busy workers is slow, the one with the shorter `mean x (q + 1)` is taken.
/// - **Source:** Lu, Xie, Kliot, Geller, Larus, Greenberg, *Join-Idle-Queue*, Performance
///   Evaluation 68(11), 2011; with one list that all callers share, and two choices if it is empty.
/// - **Use it for:** tasks of any length on workers of similar speed. An idle worker means no wait,
///   a hung worker is not idle, and a slow one is skipped. This is the default.
/// - **Cost:** wait-free. If many workers are idle, a cache line and a half of the drawn one, and
///   the word with the bits of its 64. If few or none are, O(n/64): one or two words per 64
///   workers, and at most eight workers. Whoever makes a worker idle sets its bit; a pick that
///   meets a stale bit clears it, with three read-modify-writes.
/// - **Weak points:** among more than 64 workers, an idle one is likelier to be found while those
///   around it are busy. Over time that favours none of equal workers, however many there are.
///   Weights, and speeds within a factor of three, do not count while any worker is idle: if speeds
///   differ permanently, use [`LatencyBased`](crate::LatencyBased). A worker whose tasks take
///   longer than the pool's counts as slow, whatever its speed. A worker that fails at once is
///   always idle and gets tasks until 11 in a row have failed; without
///   [tracking](raddle_core::Tracking) that is never noticed. If all eight workers that a pick
///   reads fail, it takes the better of two. If a few tasks are far longer than the rest and idle
///   workers do not steal, [`LeastLoaded`](crate::LeastLoaded) is better: it compares all queues.
#[derive(Clone, Copy, Debug, Default)]
pub struct JoinIdle;

impl JoinIdle {
    /// Creates the strategy.
    pub fn new() -> Self {
        Self
    }
}

impl Strategy for JoinIdle {
    fn name(&self) -> &'static str {
        "join_idle"
    }

    #[inline]
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        if candidates.len() == 1 {
            // Without reading what its worker writes.
            return 0;
        }
        let mut slow = None;
        let wanted = |index: usize, signals: &Signals<'_>, drawn: bool| {
            if !signals.is_suspect() {
                return true;
            }
            if !signals.is_failing() {
                slow = Some(index);
            }
            // Only the worker that was drawn is tried again. Otherwise, while all others are busy,
            // every search would find it.
            drawn && retry::is_due(signals, candidates)
        };
        match (candidates.find_idle(fastrand::u64(..), wanted), slow) {
            (Some(index), _) => index,
            (None, None) => two_by(candidates, sooner),
            (None, Some(slow)) => before_a_slow_one(candidates, slow),
        }
    }

    fn lets_steal(&self) -> bool {
        true
    }
}

/// Returns the idle slow worker, or the better of two others if that would finish a task first.
#[cold]
fn before_a_slow_one(candidates: &Candidates<'_>, slow: usize) -> usize {
    match of_the_others(candidates, slow, sooner) {
        None => slow,
        Some(other) => sooner(candidates, slow, other),
    }
}

/// Returns the less loaded of two candidates, or if one is slow, the one that would finish first.
#[inline]
fn sooner(candidates: &Candidates<'_>, first: usize, second: usize) -> usize {
    let is_slow = |index| candidates.signals_at(index).is_some_and(|signals| signals.is_slow());
    if is_slow(first) | is_slow(second) {
        return by_delay(candidates, first, second);
    }
    better(candidates, first, second)
}

#[cold]
fn by_delay(candidates: &Candidates<'_>, first: usize, second: usize) -> usize {
    let unknown = delay::unknown(candidates);
    let cost = |index| {
        candidates.signals_at(index).map(|signals| {
            let mean = delay::mean_or(unknown, &signals);
            (
                retry::is_avoided(&signals, candidates),
                delay::while_busy(signals.in_flight(), mean, 0),
            )
        })
    };
    if cost(second) < cost(first) { second } else { first }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Balancer;
    use crate::testing::roster;
    use raddle_core::internal::WorkerInternals;
    use raddle_core::{Clock, Completion, Health, Outcome, Reservation, Roster, WorkerSpec};
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);
    /// A tenth of a second: what counts against a worker holds at least this long.
    const STALE: u64 = 100_000_000;

    fn take(roster: &Roster, position: usize) -> Reservation<'_> {
        Reservation::take(&roster.members()[position].worker, position, None).unwrap()
    }

    fn pick(roster: &Roster) -> usize {
        JoinIdle.pick(&TaskProfile::default(), &roster.candidates(None))
    }

    /// Of up to eight workers a pick reads all.
    #[test]
    fn every_idle_worker_is_taken_before_any_busy_one() {
        for workers in [1, 3, 8] {
            let roster = roster(workers);
            let balancer = Balancer::new(JoinIdle).unwrap();
            let select = || balancer.select(&TaskProfile::default(), &roster).unwrap();
            for _ in 0..100 {
                let held: Vec<_> = (0..workers).map(|_| select()).collect();
                let mut seen: Vec<_> = held.iter().map(Reservation::position).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..workers).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_only_idle_worker_is_found_wherever_it_is() {
        for workers in [2, 64, 65, 130] {
            let roster = roster(workers);
            for idle in [0, 1, workers / 2, workers - 1] {
                let held: Vec<_> = (0..workers)
                    .filter(|position| *position != idle)
                    .map(|position| take(&roster, position))
                    .collect();
                // Each pick clears up to eight stale bits.
                (0..50 * workers).for_each(|_| _ = pick(&roster));
                for _ in 0..100 {
                    assert_eq!(pick(&roster), idle, "of {workers}");
                }
                drop(held);
            }
        }
    }

    #[test]
    fn a_worker_is_found_again_however_its_task_ended() {
        let roster = roster(2);
        let _busy = take(&roster, 1);
        let worker = &roster.members()[0].worker;
        let end = Completion::new(Outcome::Completed);
        let endings: [&dyn Fn(Reservation<'_>); 5] = [
            &|place| drop(place),
            &|place| drop(place.into_owned()),
            &|place| place.finish(Outcome::Completed, MS),
            &|place| {
                place.detach();
                worker.record(&end).unwrap();
            },
            &|place| {
                let _ = place.hand_over();
                worker.withdraw();
            },
        ];
        for end in endings {
            let place = take(&roster, 0);
            (0..20).for_each(|_| _ = pick(&roster));
            end(place);
            assert_eq!(worker.stats().in_flight(), 0);
            (0..20).for_each(|_| assert_eq!(pick(&roster), 0));
        }
        let mut recorder = worker.recorder().unwrap();
        for is_idle in [true, false] {
            let _ = take(&roster, 0).hand_over();
            (0..20).for_each(|_| _ = pick(&roster));
            recorder.end(&end);
            if is_idle {
                recorder.mark_idle(7);
                (0..20).for_each(|_| assert_eq!(pick(&roster), 0));
            }
        }
        drop(recorder);
        (0..20)
            .for_each(|_| assert_eq!(pick(&roster), 0, "a dropped recorder marks its worker idle"));
    }

    #[test]
    fn a_failing_worker_is_skipped_until_it_has_been_idle_for_long() {
        // The others' latency, and the failing worker's mean, a penalty.
        for (took, mean) in [(MS / 10, 1_000_000), (MS, 10_000_000), (2 * MS, 20_000_000)] {
            let (clock, time) = Clock::simulated();
            let roster = Roster::builder().workers(3, WorkerSpec::general()).clock(clock);
            let roster = roster.build().unwrap();
            let mut recorder = roster.members()[0].worker.recorder().unwrap();
            (1..3).for_each(|position| take(&roster, position).finish(Outcome::Completed, took));
            for _ in 0..50 {
                let _ = take(&roster, 0).hand_over();
                recorder.end(&Completion { service: 1_000, ..Completion::new(Outcome::Failed) });
            }
            recorder.mark_idle(1);
            let tried = || (0..300).filter(|_| pick(&roster) == 0).count();
            let stats = roster.members()[0].worker.stats();
            assert_eq!(stats.latencies().mean(), Some(mean), "its penalty");
            let skipped = STALE.max(10 * stats.recent_mean() + 9);
            time.set(1 + skipped);
            assert_eq!(tried(), 0, "{took:?}");
            time.advance(Duration::from_nanos(1));
            let tries = tried();
            assert!((50..150).contains(&tries), "its share, once stale: {tries}");
            recorder.mark_idle(skipped);
            assert_eq!(tried(), 0, "it was just tried");
        }
    }

    #[test]
    fn a_failing_worker_of_unknown_idle_time_is_tried_now_and_then() {
        fastrand::seed(0x6a69);
        let roster = roster(4);
        (0..50).for_each(|_| take(&roster, 0).finish(Outcome::Failed, Duration::ZERO));
        let tries = (0..16_000).filter(|_| pick(&roster) == 0).count();
        assert!((150..350).contains(&tries), "one in 16 of a fourth, seed 0x6a69: {tries}");
        let _held: Vec<_> = (1..4).map(|position| take(&roster, position)).collect();
        let tries = (0..16_000).filter(|_| pick(&roster) == 0).count();
        // Of the two that are compared then, it is one in half of the picks.
        assert!((600..900).contains(&tries), "while others are busy too, seed 0x6a69: {tries}");
    }

    /// Returns a roster of three workers, the first of which takes `times` as long as the others.
    fn with_a_slow_one(times: u32, clock: Clock) -> Roster {
        with_times([times, 1, 1], clock)
    }

    /// Returns a roster of three workers that take these milliseconds.
    fn with_times(times: [u32; 3], clock: Clock) -> Roster {
        let roster =
            Roster::builder().workers(3, WorkerSpec::general()).clock(clock).build().unwrap();
        let tasks = |position: usize, count| {
            let took = times[position] * MS;
            (0..count).for_each(|_| take(&roster, position).finish(Outcome::Completed, took));
        };
        let (fast, slow): (Vec<_>, Vec<_>) = (0..3).partition(|position| times[*position] == 1);
        fast.into_iter().for_each(|position| tasks(position, 100));
        slow.into_iter().for_each(|position| tasks(position, 8));
        roster
    }

    fn share_of_the_first(roster: &Roster) -> usize {
        (0..300).filter(|_| pick(roster) == 0).count()
    }

    #[test]
    fn an_idle_slow_worker_is_taken_if_it_would_finish_first() {
        let roster = with_a_slow_one(10, Clock::simulated().0);
        // With an unknown idle time it would be tried now and then.
        roster.members()[0].worker.recorder().unwrap().mark_idle(1);
        assert_eq!(share_of_the_first(&roster), 0, "others are idle");
        let busy = |each: usize| -> Vec<_> {
            (1..3).flat_map(|at| (0..each).map(move |_| at)).map(|at| take(&roster, at)).collect()
        };
        let means = [0, 1].map(|at| roster.members()[at].worker.stats().recent_mean());
        let equal = (means[0] / means[1]) as usize;
        let held = busy(equal - 1);
        assert_eq!(share_of_the_first(&roster), 0, "{equal} means there, more than that here");
        let more = busy(2);
        assert_eq!(share_of_the_first(&roster), 300, "two means more there");
        drop((held, more));
        let share = share_of_the_first(&with_a_slow_one(2, Clock::simulated().0));
        assert!((50..150).contains(&share), "twice as long is not slow: {share}");
    }

    #[test]
    fn a_busy_slow_worker_is_not_taken_for_its_shorter_queue() {
        let roster = with_a_slow_one(10, Clock::simulated().0);
        let _held: Vec<_> = [0, 1, 1, 1, 2, 2, 2].map(|position| take(&roster, position)).into();
        assert_eq!(share_of_the_first(&roster), 0);
    }

    #[test]
    fn of_two_busy_slow_workers_the_one_that_finishes_first_is_taken() {
        let roster = with_times([10, 40, 1], Clock::simulated().0);
        let roster = roster.with_health(roster.members()[2].worker.id(), Health::Draining).unwrap();
        let signals = |index| roster.candidates(None).signals_at(index).unwrap();
        assert!((0..2).all(|index| signals(index).is_slow()));
        let _held: Vec<_> = [0, 0, 1].map(|position| take(&roster, position)).into();
        assert_eq!(share_of_the_first(&roster), 300, "three of 10 ms before two of 40");
    }

    #[test]
    fn slow_workers_among_themselves_are_taken_while_idle() {
        let roster = with_a_slow_one(10, Clock::simulated().0);
        let draining = (1..3).try_fold(roster, |roster, position| {
            let id = roster.members()[position].worker.id();
            roster.with_health(id, Health::Draining)
        });
        assert_eq!(share_of_the_first(&draining.unwrap()), 300);
    }

    #[test]
    fn a_slow_worker_is_tried_after_a_hundred_of_its_means() {
        let (clock, time) = Clock::simulated();
        let roster = with_a_slow_one(10, clock);
        roster.members()[0].worker.recorder().unwrap().mark_idle(1);
        let mean = roster.members()[0].worker.stats().recent_mean();
        time.set(100 * mean);
        assert_eq!(share_of_the_first(&roster), 0);
        time.set(100 * mean + 102);
        let tries = share_of_the_first(&roster);
        assert!((50..150).contains(&tries), "its share: {tries}");
        take(&roster, 0).finish(Outcome::Completed, MS);
        let share = share_of_the_first(&roster);
        assert!((50..150).contains(&share), "it has recovered: {share}");
    }

    #[test]
    fn a_slow_worker_of_unknown_times_is_tried_now_and_then() {
        fastrand::seed(0x6a69);
        let roster = with_a_slow_one(10, Clock::simulated().0);
        let tries = (0..300_000).filter(|_| pick(&roster) == 0).count();
        assert!((60..140).contains(&tries), "one in 1,024 of a third, seed 0x6a69: {tries}");
    }

    #[test]
    fn a_million_picks_change_nothing() {
        let roster = roster(3);
        let _busy = take(&roster, 1);
        for _ in 0..1_000_000 {
            assert_ne!(pick(&roster), 1);
        }
        let in_flight: Vec<_> =
            roster.members().iter().map(|member| member.worker.stats().in_flight()).collect();
        assert_eq!(in_flight, [0, 1, 0]);
        assert!(roster.members().iter().all(|member| !member.worker.stats().is_closed()));
    }
}
