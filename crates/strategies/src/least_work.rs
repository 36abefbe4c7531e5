use raddle_core::{Candidates, TaskProfile};

use crate::lowest::lowest;
use crate::{Strategy, delay};

/// The candidate with the least work ahead of it, by the sizes of its tasks.
///
/// - **Rule:** `argmin work`, ties at random; to the work of a worker that fails more often than not
///   ([`Signals::is_failing`](raddle_core::Signals::is_failing)) the mean of its latencies is added,
///   which holds the failure penalty.
///   `work` is [`Signals::work_ahead`](raddle_core::Signals::work_ahead): the
///   [sizes](TaskProfile::expected_duration) in flight without what is done of the running task. A task that runs
///   longer than its size is expected to take as long again, so that a hung worker looks worse and
///   worse. A task without a size counts as the pool's mean service time, and as 1 before there is
///   one: where none has a size this is [`LeastLoaded`](crate::LeastLoaded) with a guard against
///   hung workers.
/// - **Source:** J. Kiefer and J. Wolfowitz, "On the theory of queues with many servers" (1955):
///   with exact sizes and equal workers, who takes their tasks in order, each task starts when it
///   would from one central queue.
/// - **Cost:** O(n), wait-free: a cache line and three quarters a busy worker, and one clock reading
///   a selection unless the task tells its time. A task with a size costs one more addition to its
///   worker's line when it is admitted.
/// - **Made for:** tasks of known and very unequal lengths on workers of one speed.
/// - **Traps:** sizes are those of a worker of the usual speed: a slow one is given as much work as a
///   fast one, until its overruns show. A worker whose task has run for about its size looks nearly
///   free, whether it is or not: where sizes are rough, `LeastLoaded` is as good. Where the others' queues
///   are longer than the failure penalty's factor, a worker that fails at once is chosen again. Targets that are driven
///   without a [`Recorder`](raddle_core::Recorder) do not tell which task they run: what is done of
///   it is no credit to them.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastWork;

impl LeastWork {
    /// The least work ahead.
    pub fn new() -> Self {
        Self
    }
}

impl Strategy for LeastWork {
    fn name(&self) -> &'static str {
        "least_work"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let roster = candidates.roster();
        let now = delay::now(task, candidates);
        // At least 1, so that the queue counts.
        let mean = roster.baseline().mean().map(|mean| (mean as u64).max(1));
        lowest(candidates, |signals| {
            // A closed worker's work is the highest there is, and stays so.
            let penalty = if signals.is_failing() { signals.recent_mean() } else { 0 };
            signals.work_ahead(now, mean).saturating_add(penalty)
        })
    }

    fn reads_age(&self) -> bool {
        true
    }

    /// Where sizes are right nothing is left to steal, and where they are not the worker that is
    /// idle first is the one to have the task.
    fn lets_steal(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{picks, roster};
    use crate::{Balancer, reserve};
    use raddle_core::{Clock, Completion, Outcome, Recorder, Reservation, Roster, WorkerSpec};

    fn sized(nanos: u64) -> TaskProfile {
        TaskProfile::default().expected_duration(Duration::from_nanos(nanos)).submitted_at(1)
    }

    /// Gives the worker at `position` a task of this size.
    fn give(roster: &Roster, position: usize, expected_duration: u64) {
        let worker = &roster.members()[position].worker;
        let _ = Reservation::take(worker, position, None)
            .unwrap()
            .expecting(expected_duration)
            .hand_over();
    }

    fn work(roster: &Roster) -> Vec<i64> {
        roster.members().iter().map(|member| member.worker.stats().work_in_flight()).collect()
    }

    fn recorders(roster: &Roster) -> Vec<Recorder> {
        roster.members().iter().map(|member| member.worker.recorder().unwrap()).collect()
    }

    #[test]
    fn the_sizes_and_not_the_tasks_are_counted() {
        let roster = roster(2);
        give(&roster, 0, 1_000);
        (0..9).for_each(|_| give(&roster, 1, 100));
        assert_eq!(picks(&LeastWork, &sized(1), &roster, 5), [1; 5]);
        give(&roster, 1, 101);
        assert_eq!(picks(&LeastWork, &sized(1), &roster, 5), [0; 5]);
    }

    #[test]
    fn selections_see_the_sizes_of_each_other_and_dropped_ones_give_them_back() {
        let roster = roster(4);
        let balancer = Balancer::new(LeastWork).unwrap();
        let sizes = [40, 30, 20, 10, 5, 6, 4];
        let held: Vec<_> = sizes
            .iter()
            .map(|expected_duration| balancer.select(&sized(*expected_duration), &roster).unwrap())
            .collect();
        let mut seen = work(&roster);
        seen.sort_unstable();
        // 5 goes to 10, and so does 6; 4 then joins the 20.
        assert_eq!(seen, [21, 24, 30, 40]);
        let owned = held.into_iter().map(Reservation::into_owned).collect::<Vec<_>>();
        drop(owned);
        assert_eq!(work(&roster), [0; 4]);
    }

    #[test]
    fn the_end_takes_the_size_off_in_every_way_to_record() {
        let roster = roster(1);
        let balancer = Balancer::new(LeastWork).unwrap();
        let (task, took) = (sized(70), Duration::from_nanos(50));
        let select = || balancer.select(&task, &roster).unwrap();
        select().finish(Outcome::Completed, took);
        select().into_owned().finish(Outcome::Failed, took);
        let id = select().detach();
        assert_eq!(work(&roster), [70]);
        balancer.record(&roster, id, &task, Outcome::Completed, took).unwrap();
        assert_eq!(work(&roster), [0]);
    }

    #[test]
    fn what_is_done_of_the_running_task_is_no_work_and_an_overrun_is() {
        let roster = roster(2);
        let mut recorders = recorders(&roster);
        for (position, recorder) in recorders.iter_mut().enumerate() {
            give(&roster, position, 100);
            recorder.start(1_000);
            recorder.set_running(100);
        }
        give(&roster, 0, 50);
        let at = |now| picks(&LeastWork, &sized(1).submitted_at(now), &roster, 3);
        assert_eq!(at(1_010), [1; 3]);
        // The second begins its next task of 100 while the first runs on.
        recorders[1]
            .end(&Completion { expected_duration: 100, ..Completion::new(Outcome::Completed) });
        give(&roster, 1, 100);
        recorders[1].start(1_020);
        recorders[1].set_running(100);
        assert_eq!(at(1_069), [1; 3], "51 ahead, and 31 + 50");
        assert_eq!(at(1_100), [1; 3], "20, and 50");
        assert_eq!(at(1_165), [1; 3], "45 late, and 65 late with 50 behind it");
        recorders[1]
            .end(&Completion { expected_duration: 100, ..Completion::new(Outcome::Completed) });
        give(&roster, 1, 10_000);
        recorders[1].start(1_180);
        recorders[1].set_running(10_000);
        assert_eq!(at(1_200), [0; 3]);
        recorders[1].start(1_999_000);
        assert_eq!(at(2_000_000), [1; 3], "who hangs is worse than any queue in the end");
    }

    #[test]
    fn tasks_without_a_size_are_the_pools_mean_and_else_counted() {
        let roster = roster(2);
        (0..3).for_each(|_| give(&roster, 0, 0));
        (0..2).for_each(|_| give(&roster, 1, 0));
        assert_eq!(picks(&LeastWork, &sized(0), &roster, 3), [1; 3], "least loaded");
        give(&roster, 1, 500);
        assert_eq!(picks(&LeastWork, &sized(0), &roster, 3), [0; 3], "no mean is known");
        let other = Roster::builder().workers(2, WorkerSpec::general()).build().unwrap();
        for _ in 0..8 {
            let worker = &other.members()[0].worker;
            let took = Duration::from_nanos(400);
            Reservation::take(worker, 0, None).unwrap().finish(Outcome::Completed, took);
        }
        (0..3).for_each(|_| give(&other, 0, 0));
        give(&other, 1, 1_199);
        assert_eq!(picks(&LeastWork, &sized(0), &other, 3), [1; 3]);
        give(&other, 1, 2);
        assert_eq!(picks(&LeastWork, &sized(0), &other, 3), [0; 3]);
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
    fn failing_ones_are_last_among_equals_and_closed_ones_last_of_all() {
        let roster = roster(3);
        for _ in 0..20 {
            let worker = &roster.members()[0].worker;
            let took = Duration::from_nanos(1);
            Reservation::take(worker, 0, None).unwrap().finish(Outcome::Failed, took);
        }
        let chosen = picks(&LeastWork, &sized(1), &roster, 100);
        assert!(!chosen.contains(&0) && chosen.contains(&1) && chosen.contains(&2));
        roster.members()[1].worker.close();
        give(&roster, 2, u64::MAX);
        assert_eq!(picks(&LeastWork, &sized(1), &roster, 3), [0; 3]);
        give(&roster, 0, u64::MAX);
        give(&roster, 0, 1);
        assert_eq!(picks(&LeastWork, &sized(1), &roster, 3), [2; 3]);
        let reservation = reserve(&LeastWork, &sized(1), &roster).unwrap();
        assert_eq!(reservation.position(), 2);
    }

    #[test]
    fn reading_a_score_changes_nothing() {
        let roster = roster(2);
        give(&roster, 0, 200);
        give(&roster, 1, 199);
        let mut recorders = recorders(&roster);
        recorders.iter_mut().for_each(|recorder| recorder.start(1));
        let (task, strategy) = (sized(1).submitted_at(7), LeastWork);
        for _ in 0..1_000_000 {
            assert_eq!(strategy.pick(&task, &roster.candidates(None)), 1);
        }
    }
}
