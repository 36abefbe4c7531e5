use raddle_core::{Candidates, TaskProfile};

use crate::lowest::lowest;
use crate::{Strategy, delay};

/// The candidate with the lowest recent latency, guarded against what that alone would do.
///
/// - **Rule:** `argmin max(mean, age) x (q + 1)`, ties at random. `mean` is that of the worker's
///   last N latencies (default 100; a failure enters as a penalty latency, see
///   [`Tracking::failure_penalty`](raddle_core::Tracking)). A worker that has none scores the
///   pool's mean, and so does one whose latencies are stale: idle for ten times its mean, and for
///   a tenth of a second at least. `age` is how long the worker has had tasks without making
///   progress ([`WorkerStats::stalled_for`](raddle_core::WorkerStats::stalled_for)), so that a
///   hung worker does not keep its good mean. `q` is what is in flight.
/// - **Cost:** O(n), wait-free: a cache line and a half a worker, and one clock reading a selection
///   unless the task tells its time.
/// - **Made for:** latency-sensitive tasks on workers of unequal speed.
/// - **Traps:** where the others' queues are longer than the failure penalty's factor, a worker that
///   fails at once is chosen again: raise the factor or bound the queues. `age` sees no single stuck
///   task where a target, driven without raddle's runtime, serves several at a time. Without the
///   guards (see [`unguarded`](Self::unguarded)) all callers herd onto one
///   worker until its mean has risen; one that fails at once looks fastest; one that hangs keeps
///   its good mean for ever; one without data is flooded; one with a few bad latencies is never
///   tried again.
#[derive(Clone, Copy, Debug)]
pub struct LatencyBased {
    guarded: bool,
}

impl LatencyBased {
    /// The guarded rule.
    pub fn new() -> Self {
        Self { guarded: true }
    }

    /// The bare `argmin mean`, a worker without data first: for comparison, not for use.
    pub fn unguarded() -> Self {
        Self { guarded: false }
    }
}

impl Default for LatencyBased {
    fn default() -> Self {
        Self::new()
    }
}

impl Strategy for LatencyBased {
    fn name(&self) -> &'static str {
        if self.guarded { "latency_based" } else { "latency_based_unguarded" }
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        if !self.guarded {
            return lowest(candidates, |signals| signals.recent_mean());
        }
        let (now, unknown) = (delay::now(task, candidates), delay::unknown(candidates));
        lowest(candidates, |signals| {
            let mean = delay::mean_or(unknown, &signals);
            match signals.in_flight() {
                0 => delay::while_idle(&signals, mean, now, unknown),
                in_flight => delay::while_busy(in_flight, mean, signals.stalled_for(now)),
            }
        })
    }

    fn reads_age(&self) -> bool {
        self.guarded
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Balancer;
    use raddle_core::{Clock, Outcome, Reservation, Roster, WorkerSpec};
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    fn finish_on(roster: &Roster, position: usize, outcome: Outcome, took: Duration) {
        let worker = &roster.members()[position].worker;
        Reservation::take(worker, position, None).unwrap().finish(outcome, took);
    }

    #[test]
    fn a_hung_worker_does_not_keep_its_good_mean() {
        let (clock, time) = Clock::simulated();
        let roster =
            Roster::builder().workers(2, WorkerSpec::general()).clock(clock).build().unwrap();
        finish_on(&roster, 0, Outcome::Completed, MS); // fast
        finish_on(&roster, 1, Outcome::Completed, 10 * MS);
        let balancer = Balancer::new(LatencyBased::new());
        let select = || balancer.select(&TaskProfile::default(), &roster).unwrap();
        let stuck = select();
        assert_eq!(stuck.position(), 0);
        assert_eq!(select().position(), 0, "2 x 1 ms is less than 10 ms");
        time.advance(6 * MS);
        assert_eq!(select().position(), 1, "2 x 6 ms is more");
        drop(stuck);
        assert_eq!(select().position(), 0, "nothing in flight has no age");
        time.set(0);
        let stuck = select();
        assert_eq!(stuck.position(), 0, "a clock that goes back makes no age");
    }

    #[test]
    fn a_failing_worker_is_not_a_fast_one() {
        let roster = crate::testing::roster(2);
        finish_on(&roster, 1, Outcome::Completed, MS);
        finish_on(&roster, 0, Outcome::Failed, MS / 1000);
        let task = TaskProfile::default();
        let candidates = roster.candidates(None);
        assert_eq!(LatencyBased::new().pick(&task, &candidates), 1);
        let penalty = roster.members()[0].worker.stats().latencies().mean();
        assert_eq!(penalty, Some(10_000_000), "ten times the mean of successes");
    }

    #[test]
    fn a_worker_without_data_is_neither_flooded_nor_starved() {
        let roster = crate::testing::roster(4);
        for position in 0..3 {
            finish_on(&roster, position, Outcome::Completed, MS);
        }
        let balancer = Balancer::new(LatencyBased::new());
        let held: Vec<_> =
            (0..40).map(|_| balancer.select(&TaskProfile::default(), &roster).unwrap()).collect();
        let share = held.iter().filter(|reservation| reservation.position() == 3).count();
        assert_eq!(share, 10, "it scores the pool's mean");
    }

    #[test]
    fn stale_latencies_are_not_trusted_for_ever() {
        let (clock, time) = Clock::simulated();
        let roster =
            Roster::builder().workers(2, WorkerSpec::general()).clock(clock).build().unwrap();
        let balancer = Balancer::new(LatencyBased::new());
        let select = || balancer.select(&TaskProfile::default(), &roster).unwrap();
        (0..10).for_each(|_| finish_on(&roster, 1, Outcome::Completed, MS));
        let slow = Reservation::take_at(&roster.members()[0].worker, 0, None, 1).unwrap();
        slow.finish(Outcome::Completed, 20 * MS);
        for _ in 0..20 {
            let reservation = select();
            assert_eq!(reservation.position(), 1, "ten times its mean is not over");
            time.advance(10 * MS);
            reservation.finish(Outcome::Completed, MS);
        }
        time.advance(MS);
        let busy = select();
        let tried = select();
        assert_eq!(busy.position() + tried.position(), 1, "the slow one is tried again");
    }

    #[test]
    fn reading_a_score_changes_nothing() {
        let roster = crate::testing::roster(2);
        finish_on(&roster, 0, Outcome::Completed, 2 * MS);
        finish_on(&roster, 1, Outcome::Completed, MS);
        let (task, strategy) = (TaskProfile::default().submitted_at(1), LatencyBased::new());
        for _ in 0..1_000_000 {
            assert_eq!(strategy.pick(&task, &roster.candidates(None)), 1);
        }
    }
}
