use raddle_core::{Candidates, Signals, TaskProfile};

use crate::lowest::{NEARBY, lowest, lowest_nearby};
use crate::{Strategy, delay, retry};

/// Picks the candidate with the least work ahead of it, by expected durations.
///
/// - **Rule:** `argmin work`, ties at random. Among more than 128 workers, an idle one that does not
///   fail, found as by [`JoinIdle`](crate::JoinIdle), or if none is found the best of 128 in a row
///   from a random one on. `work` is
///   [`Signals::work_ahead`](raddle_core::Signals::work_ahead): the
///   [expected durations](TaskProfile::expected_duration) in flight, minus what is done of the
///   running task.
///   - A task that overruns is expected to take as long again, so that a hung worker looks worse
///     and worse.
///   - A task without an expected duration counts as the pool's mean service time, and as 1 before
///     there is one. If no task has one, this is [`LeastLoaded`](crate::LeastLoaded) with a guard
///     against hung workers.
///   - For a worker that fails more often than not
///     ([`Signals::is_failing`](raddle_core::Signals::is_failing)) the mean of its latencies, which
///     includes the failure penalty, is added, until that [has
///     expired](raddle_core::Signals::has_expired).
/// - **Source:** J. Kiefer and J. Wolfowitz, "On the theory of queues with many servers" (1955):
///   with exact durations and equal first-come-first-served workers, each task starts when it would
///   from one central queue.
/// - **Use it for:** tasks of known and very unequal durations on workers of one speed.
/// - **Cost:** wait-free, O(n) up to 128 workers, O(n/64) beyond: a cache line and three quarters per
///   busy worker that is read, and one clock reading unless the task carries the time. A task with an
///   expected duration costs one more addition when it is admitted.
/// - **Weak points:** durations are those on a worker of usual speed: a slow worker gets as much
///   work as a fast one until its overruns show. A worker whose task has run for about its expected
///   duration looks nearly free: if durations are rough, `LeastLoaded` is as good. If the others'
///   queues are longer than the failure penalty's factor, a worker that fails at once is picked.
///   Targets without a [`SerialRecorder`](raddle_core::SerialRecorder) do not report which task they run, so
///   what is done of it is not subtracted.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastWork;

impl LeastWork {
    /// Creates the strategy.
    pub fn new() -> Self {
        Self
    }
}

/// The measure of the rule, at the time of a selection.
pub(crate) struct Work {
    now: u64,
    mean: Option<u64>,
}

impl Work {
    #[inline]
    pub(crate) fn of(task: &TaskProfile, candidates: &Candidates<'_>) -> Self {
        let mean = candidates.roster().baseline().whole_mean();
        Self { now: delay::now(task, candidates), mean: (mean != 0).then_some(mean) }
    }

    /// Returns the time of the selection.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    #[inline]
    pub(crate) fn ahead(&self, signals: Signals<'_>) -> u64 {
        // A closed worker's work is the maximum, and the sum saturates.
        let penalty = if signals.is_failing() { signals.recent_mean() } else { 0 };
        signals.work_ahead(self.now, self.mean).saturating_add(penalty)
    }
}

impl Strategy for LeastWork {
    fn name(&self) -> &'static str {
        "least_work"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let work = Work::of(task, candidates);
        let best = match candidates.len() > NEARBY {
            true => among_many(&work, candidates),
            false => lowest(candidates, |signals| work.ahead(signals)),
        };
        retry::or_one_that_is_due(candidates, work.now(), best, |one, _| one.is_failing())
    }

    fn reads_age(&self) -> bool {
        true
    }

    /// If durations are right, there is nothing to steal; if not, the first idle worker should have
    /// the task.
    fn lets_steal(&self) -> bool {
        true
    }
}

/// Picks an idle candidate, which has the least work that there is, or the best of some.
#[inline(never)]
fn among_many(work: &Work, candidates: &Candidates<'_>) -> usize {
    let is_sound = |_, signals: &Signals<'_>, _| !signals.is_failing();
    let idle = candidates.find_idle(fastrand::u64(..), is_sound);
    idle.unwrap_or_else(|| lowest_nearby(candidates, |signals| work.ahead(signals)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{picks, roster};
    use crate::{Balancer, reserve};
    use raddle_core::{
        Clock, Completion, Outcome, Reservation, Roster, SerialRecorder, WorkerSpec,
    };

    fn expecting(nanos: u64) -> TaskProfile {
        TaskProfile::default().expected_duration(Duration::from_nanos(nanos)).submitted_at(1)
    }

    /// Submits a task to the worker at `position`.
    fn submit(roster: &Roster, position: usize, expected_duration: u64) {
        let worker = &roster.members()[position].worker;
        let _ = Reservation::take(worker, position, None)
            .unwrap()
            .expecting(expected_duration)
            .hand_over();
    }

    fn work(roster: &Roster) -> Vec<i64> {
        roster.members().iter().map(|member| member.worker.stats().work_in_flight()).collect()
    }

    fn recorders(roster: &Roster) -> Vec<SerialRecorder> {
        roster.members().iter().map(|member| member.worker.recorder().unwrap()).collect()
    }

    #[test]
    fn expected_durations_count_and_not_tasks() {
        let roster = roster(2);
        submit(&roster, 0, 1_000);
        (0..9).for_each(|_| submit(&roster, 1, 100));
        assert_eq!(picks(&LeastWork, &expecting(1), &roster, 5), [1; 5]);
        submit(&roster, 1, 101);
        assert_eq!(picks(&LeastWork, &expecting(1), &roster, 5), [0; 5]);
    }

    #[test]
    fn selections_see_each_other_s_work_until_it_is_dropped() {
        let roster = roster(4);
        let balancer = Balancer::new(LeastWork).unwrap();
        let sizes = [40, 30, 20, 10, 5, 6, 4];
        let held: Vec<_> = sizes
            .iter()
            .map(|expected_duration| {
                balancer.select(&expecting(*expected_duration), &roster).unwrap()
            })
            .collect();
        let mut seen = work(&roster);
        seen.sort_unstable();
        // 5 and 6 join the 10; 4 then joins the 20.
        assert_eq!(seen, [21, 24, 30, 40]);
        let owned = held.into_iter().map(Reservation::into_owned).collect::<Vec<_>>();
        drop(owned);
        assert_eq!(work(&roster), [0; 4]);
    }

    #[test]
    fn every_way_to_record_subtracts_the_expected_duration() {
        let roster = roster(1);
        let balancer = Balancer::new(LeastWork).unwrap();
        let (task, took) = (expecting(70), Duration::from_nanos(50));
        let select = || balancer.select(&task, &roster).unwrap();
        select().finish(Outcome::Completed, took);
        select().into_owned().finish(Outcome::Failed, took);
        let id = select().detach();
        assert_eq!(work(&roster), [70]);
        balancer.record(&roster, id, &task, Outcome::Completed, took).unwrap();
        assert_eq!(work(&roster), [0]);
    }

    #[test]
    fn progress_of_the_running_task_is_subtracted_and_overruns_are_added() {
        let roster = roster(2);
        let mut recorders = recorders(&roster);
        for (position, recorder) in recorders.iter_mut().enumerate() {
            submit(&roster, position, 100);
            recorder.start(1_000);
            recorder.set_running(100);
        }
        submit(&roster, 0, 50);
        let at = |now| picks(&LeastWork, &expecting(1).submitted_at(now), &roster, 3);
        assert_eq!(at(1_010), [1; 3]);
        // The second begins its next task of 100 while the first runs on.
        recorders[1]
            .end(&Completion { expected_duration: 100, ..Completion::new(Outcome::Completed) });
        submit(&roster, 1, 100);
        recorders[1].start(1_020);
        recorders[1].set_running(100);
        assert_eq!(at(1_069), [1; 3], "51 ahead, and 31 + 50");
        assert_eq!(at(1_100), [1; 3], "20, and 50");
        assert_eq!(at(1_165), [1; 3], "45 late, and 65 late with 50 behind it");
        recorders[1]
            .end(&Completion { expected_duration: 100, ..Completion::new(Outcome::Completed) });
        submit(&roster, 1, 10_000);
        recorders[1].start(1_180);
        recorders[1].set_running(10_000);
        assert_eq!(at(1_200), [0; 3]);
        recorders[1].start(1_999_000);
        assert_eq!(at(2_000_000), [1; 3], "a hung worker ends up worse than any queue");
    }

    #[test]
    fn tasks_without_a_duration_count_as_the_pool_s_mean() {
        let roster = roster(2);
        (0..3).for_each(|_| submit(&roster, 0, 0));
        (0..2).for_each(|_| submit(&roster, 1, 0));
        assert_eq!(picks(&LeastWork, &expecting(0), &roster, 3), [1; 3], "least loaded");
        submit(&roster, 1, 500);
        assert_eq!(picks(&LeastWork, &expecting(0), &roster, 3), [0; 3], "no mean is known");
        let other = Roster::builder().workers(2, WorkerSpec::general()).build().unwrap();
        for _ in 0..8 {
            let worker = &other.members()[0].worker;
            let took = Duration::from_nanos(400);
            Reservation::take(worker, 0, None).unwrap().finish(Outcome::Completed, took);
        }
        (0..3).for_each(|_| submit(&other, 0, 0));
        submit(&other, 1, 1_199);
        assert_eq!(picks(&LeastWork, &expecting(0), &other, 3), [1; 3]);
        submit(&other, 1, 2);
        assert_eq!(picks(&LeastWork, &expecting(0), &other, 3), [0; 3]);
    }

    #[test]
    fn a_hung_target_without_a_recorder_looks_worse_and_worse() {
        let (clock, time) = Clock::simulated();
        let roster =
            Roster::builder().workers(2, WorkerSpec::general()).clock(clock).build().unwrap();
        time.set(1);
        let balancer = Balancer::new(LeastWork).unwrap();
        let task = TaskProfile::default().expected_duration(Duration::from_nanos(100));
        let hung = balancer.select(&task, &roster).unwrap();
        let other =
            balancer.select(&task.expected_duration(Duration::from_nanos(150)), &roster).unwrap();
        assert_ne!(hung.position(), other.position());
        let next = || balancer.select(&task, &roster).map(|next| next.position()).unwrap();
        assert_eq!(next(), hung.position());
        time.advance(Duration::from_nanos(140));
        assert_eq!(next(), hung.position());
        time.advance(Duration::from_nanos(20));
        other.finish(Outcome::Completed, Duration::from_nanos(150));
        let other = balancer.select(&task, &roster).unwrap();
        assert_ne!(hung.position(), other.position());
        assert_eq!(next(), other.position(), "100 of expected_duration, and 160 of age");
    }

    #[test]
    fn failing_workers_lose_ties_and_closed_ones_lose_against_all() {
        let roster = roster(3);
        for _ in 0..20 {
            let worker = &roster.members()[0].worker;
            let took = Duration::from_nanos(1);
            Reservation::take(worker, 0, None).unwrap().finish(Outcome::Failed, took);
        }
        roster.members()[0].worker.recorder().unwrap().mark_idle(roster.clock().now());
        let chosen = picks(&LeastWork, &expecting(1), &roster, 100);
        assert!(!chosen.contains(&0) && chosen.contains(&1) && chosen.contains(&2));
        roster.members()[1].worker.close();
        submit(&roster, 2, u64::MAX);
        assert_eq!(picks(&LeastWork, &expecting(1), &roster, 3), [0; 3]);
        submit(&roster, 0, u64::MAX);
        submit(&roster, 0, 1);
        assert_eq!(picks(&LeastWork, &expecting(1), &roster, 3), [2; 3]);
        let reservation = reserve(&LeastWork, &expecting(1), &roster).unwrap();
        assert_eq!(reservation.position(), 2);
    }

    #[test]
    fn reading_a_score_changes_nothing() {
        let roster = roster(2);
        submit(&roster, 0, 200);
        submit(&roster, 1, 199);
        let mut recorders = recorders(&roster);
        recorders.iter_mut().for_each(|recorder| recorder.start(1));
        let (task, strategy) = (expecting(1).submitted_at(7), LeastWork);
        for _ in 0..1_000_000 {
            assert_eq!(strategy.pick(&task, &roster.candidates(None)), 1);
        }
    }
}
