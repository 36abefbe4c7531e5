use raddle_core::{Candidates, Signals, TaskProfile};

use crate::delay::{STALE, STALE_MEANS};
use crate::power_of_two::two;
use crate::{Strategy, delay};

/// A candidate with nothing in flight, while there is one.
///
/// - **Rule:** one is drawn, all alike; where it is not idle, an idle one of the 64 workers around
///   it, all alike; where none of them is, of the next 64. None idle: [the better of
///   two](crate::PowerOfTwo). One that fails more often than not
///   ([`Signals::is_failing`](raddle_core::Signals::is_failing)) is passed over, unless it was drawn
///   first and has been idle for so long that it may have recovered: ten times its mean latency, and a
///   tenth of a second at least. Where nobody notes times, it is tried once in 16 times that it is
///   drawn.
/// - **Source:** Lu, Xie, Kliot, Geller, Larus, Greenberg, *Join-Idle-Queue*, Performance Evaluation
///   68(11), 2011; with one list that all callers share, and two choices where that is empty.
/// - **Cost:** wait-free. Where many are idle: the drawn one's cache line and a half, and the word
///   with the bits of its 64. Where few or none are, O(n/64): a word for 64 workers that were made
///   together, at most eight of them looked at. The bits are the workers': who becomes idle sets
///   its own, and a pick that meets one which is stale clears it, by three read-modify-writes.
/// - **Made for:** tasks of any length on workers of one speed: an idle worker means no wait, and
///   one that hangs or is slow is not idle.
/// - **Traps:** with more than 64 workers an idle one whose neighbours are busy gets more than one
///   among idle neighbours. Speeds and weights do not count while anyone is idle: where a slow worker
///   is worse than a short wait, [`LatencyBased`](crate::LatencyBased) is better. A worker that fails
///   at once is always idle and draws tasks until it is known to fail, after 11 in a row; where
///   [tracking](raddle_core::Tracking) is disabled nobody is known to. Where eight that are drawn
///   fail, the choice is of two.
#[derive(Clone, Copy, Debug, Default)]
pub struct JoinIdle;

/// A failing worker that has been idle for nobody knows how long is tried once in so many times that
/// it is drawn.
const TRIED_IN: u8 = 16;

impl JoinIdle {
    /// An idle worker, or the better of two.
    pub fn new() -> Self {
        Self
    }
}

impl Strategy for JoinIdle {
    fn name(&self) -> &'static str {
        "join_idle"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        if candidates.len() == 1 {
            // Without a look at what its worker writes.
            return 0;
        }
        let wanted = |signals: &Signals<'_>, drawn: bool| {
            // Only where it was drawn: where all others are busy, each search would meet it.
            !signals.is_failing() || (drawn && may_have_recovered(signals, task, candidates))
        };
        match candidates.find_idle(fastrand::u64(..), wanted) {
            Some(index) => index,
            None => two(candidates),
        }
    }

    fn lets_steal(&self) -> bool {
        true
    }
}

#[cold]
fn may_have_recovered(
    signals: &Signals<'_>,
    task: &TaskProfile,
    candidates: &Candidates<'_>,
) -> bool {
    if signals.idle_for(u64::MAX) == 0 {
        return fastrand::u8(..TRIED_IN) == 0;
    }
    let now = delay::now(task, candidates);
    let idle = signals.idle_for(now);
    idle > STALE && idle / STALE_MEANS > signals.recent_mean()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Balancer;
    use crate::testing::roster;
    use raddle_core::{Clock, Finished, Outcome, Reservation, Roster, WorkerSpec};
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    fn take(roster: &Roster, position: usize) -> Reservation<'_> {
        Reservation::take(&roster.workers()[position].worker, position, None).unwrap()
    }

    fn pick(roster: &Roster) -> usize {
        JoinIdle.pick(&TaskProfile::default(), &roster.candidates(None))
    }

    /// Up to eight workers, of which a pick looks at all.
    #[test]
    fn every_idle_worker_is_taken_before_any_busy_one() {
        for workers in [1, 3, 8] {
            let roster = roster(workers);
            let balancer = Balancer::new(JoinIdle);
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
                // Stale bits are cleared by looking at them, eight a pick.
                (0..50 * workers).for_each(|_| _ = pick(&roster));
                for _ in 0..100 {
                    assert_eq!(pick(&roster), idle, "of {workers}");
                }
                drop(held);
            }
        }
    }

    #[test]
    fn a_worker_that_was_busy_is_found_again_whatever_ended_its_task() {
        let roster = roster(2);
        let _busy = take(&roster, 1);
        let worker = &roster.workers()[0].worker;
        let end = Finished::new(Outcome::Completed);
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
                worker.give_up();
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
        for rests in [true, false] {
            let _ = take(&roster, 0).hand_over();
            (0..20).for_each(|_| _ = pick(&roster));
            recorder.end(&end);
            if rests {
                recorder.rest(7);
                (0..20).for_each(|_| assert_eq!(pick(&roster), 0));
            }
        }
        drop(recorder);
        (0..20).for_each(|_| assert_eq!(pick(&roster), 0, "a recorder that is dropped rests"));
    }

    #[test]
    fn a_failing_worker_is_passed_over_until_it_has_been_idle_for_long() {
        let (clock, time) = Clock::simulated();
        let roster =
            Roster::builder().workers(3, WorkerSpec::general()).clock(clock).build().unwrap();
        let mut recorder = roster.workers()[0].worker.recorder().unwrap();
        (1..3).for_each(|position| take(&roster, position).finish(Outcome::Completed, MS));
        for _ in 0..50 {
            let _ = take(&roster, 0).hand_over();
            recorder.end(&Finished { service: 1_000, ..Finished::new(Outcome::Failed) });
        }
        recorder.rest(1);
        let tried = || (0..300).filter(|_| pick(&roster) == 0).count();
        let mean = roster.workers()[0].worker.stats().latencies().mean().unwrap();
        assert_eq!(mean, 10_000_000, "its penalty");
        time.set(STALE);
        assert_eq!(tried(), 0);
        time.advance(Duration::from_nanos(20));
        let tries = tried();
        assert!((50..150).contains(&tries), "its share, once stale: {tries}");
        recorder.rest(STALE);
        assert_eq!(tried(), 0, "it was tried");
    }

    #[test]
    fn a_failing_worker_of_unknown_times_is_tried_now_and_then() {
        fastrand::seed(0x6a69);
        let roster = roster(4);
        (0..50).for_each(|_| take(&roster, 0).finish(Outcome::Failed, Duration::ZERO));
        let tries = (0..16_000).filter(|_| pick(&roster) == 0).count();
        assert!((150..350).contains(&tries), "one in 16 of a fourth, seed 0x6a69: {tries}");
        let _held: Vec<_> = (1..4).map(|position| take(&roster, position)).collect();
        let tries = (0..16_000).filter(|_| pick(&roster) == 0).count();
        assert!((150..350).contains(&tries), "while others are busy too, seed 0x6a69: {tries}");
    }

    #[test]
    fn a_million_picks_change_nothing() {
        let roster = roster(3);
        let _busy = take(&roster, 1);
        for _ in 0..1_000_000 {
            assert_ne!(pick(&roster), 1);
        }
        let in_flight: Vec<_> =
            roster.workers().iter().map(|member| member.worker.stats().in_flight()).collect();
        assert_eq!(in_flight, [0, 1, 0]);
        assert!(roster.workers().iter().all(|member| !member.worker.stats().is_closed()));
    }
}
