use raddle_core::{Candidates, TaskProfile};

use crate::lowest::lowest;
use crate::{Strategy, delay};

/// Picks the candidate with the lowest expected delay by its recent latencies.
///
/// - **Rule:** `argmin max(mean, age) x (q + 1)`, ties at random. `mean` is that of the worker's
///   last N latencies (100 by default; a failure enters as a penalty, see
///   [`Tracking::failure_penalty`](raddle_core::Tracking)). A worker without latencies counts as
///   having the pool's mean. `age` is how long the worker has had tasks without making progress
///   ([`WorkerStats::stalled_for`](raddle_core::WorkerStats::stalled_for)), so a hung worker does
///   not keep its good mean. `q` is the number of tasks in flight.
/// - **Retry:** an idle worker's latencies go stale after a hundred times its mean (ten times if it
///   fails more often than not), but at least a tenth of a second
///   ([`Signals::has_expired`](raddle_core::Signals::has_expired)). It is then tried again with one
///   task: one that is ten times slower than the others costs one task in the time of a thousand of
///   theirs.
/// - **Use it for:** latency-sensitive tasks on workers of unequal or changing speed.
/// - **Cost:** O(n), wait-free: a cache line and a half per worker, and one clock reading unless
///   the task carries the time.
/// - **Weak points:** if the others' queues are longer than the failure penalty's factor, a worker
///   that fails at once is picked: raise the factor or bound the queues. `age` does not notice a
///   single stuck task on a target that serves several at a time. Latencies that include the wait,
///   as with a [`Balancer`](crate::Balancer) without a runtime, count the queue twice. The rule
///   needs all candidates: of a few fast workers among many slow ones, a random pair mostly has
///   none.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatencyBased;

impl LatencyBased {
    /// Creates the strategy.
    pub fn new() -> Self {
        Self
    }
}

/// Picks the candidate with the shortest expected delay: the rule of [`LatencyBased`], under the
/// name it has in queueing theory.
///
/// - **Rule:** `argmin (q + 1) / mu`, ties at random, where `q` is the number of tasks in flight
///   and `1 / mu` the mean latency. Missing, stale and hung statistics are treated as by
///   [`LatencyBased`], including its retry of stale idle workers, without which equal workers
///   starve each other. A worker's [weight](raddle_core::WorkerSpec::weight) does not count, since
///   its speed is measured.
/// - **Source:** Weinrib and Shenker, "Greed is not enough: adaptive load sharing in large
///   heterogeneous systems", INFOCOM 1988; SED in Linux's IP virtual server.
/// - **Use it for, cost, weak points:** see [`LatencyBased`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpectedDelay;

impl ExpectedDelay {
    /// Creates the strategy.
    pub fn new() -> Self {
        Self
    }
}

#[inline]
fn pick(task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
    let (now, unknown) = (delay::now(task, candidates), delay::unknown(candidates));
    lowest(candidates, |signals| {
        let mean = delay::mean_or(unknown, &signals);
        match signals.in_flight() {
            0 => delay::while_idle(&signals, mean, now),
            in_flight => delay::while_busy(in_flight, mean, signals.stalled_for(now)),
        }
    })
}

impl Strategy for LatencyBased {
    fn name(&self) -> &'static str {
        "latency_based"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        pick(task, candidates)
    }

    fn reads_age(&self) -> bool {
        true
    }

    fn needs_tracking(&self) -> bool {
        true
    }
}

impl Strategy for ExpectedDelay {
    fn name(&self) -> &'static str {
        "expected_delay"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        pick(task, candidates)
    }

    fn reads_age(&self) -> bool {
        true
    }

    fn needs_tracking(&self) -> bool {
        true
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
        let balancer = Balancer::new(LatencyBased::new()).unwrap();
        let select = || balancer.select(&TaskProfile::default(), &roster).unwrap();
        let stuck = select();
        assert_eq!(stuck.position(), 0);
        assert_eq!(select().position(), 0, "2 x 1 ms is less than 10 ms");
        time.advance(6 * MS);
        assert_eq!(select().position(), 1, "2 x 6 ms is more");
        drop(stuck);
        assert_eq!(select().position(), 0, "without tasks in flight there is no age");
        time.set(0);
        let stuck = select();
        assert_eq!(stuck.position(), 0, "a clock that goes back adds no age");
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
    fn a_worker_without_data_gets_a_fair_share() {
        let roster = crate::testing::roster(4);
        for position in 0..3 {
            finish_on(&roster, position, Outcome::Completed, MS);
        }
        let balancer = Balancer::new(LatencyBased::new()).unwrap();
        let held: Vec<_> =
            (0..40).map(|_| balancer.select(&TaskProfile::default(), &roster).unwrap()).collect();
        let share = held.iter().filter(|reservation| reservation.position() == 3).count();
        assert_eq!(share, 10, "it scores the pool's mean");
    }

    #[test]
    fn a_stale_idle_worker_is_tried_again() {
        let (clock, time) = Clock::simulated();
        let roster =
            Roster::builder().workers(2, WorkerSpec::general()).clock(clock).build().unwrap();
        let balancer = Balancer::new(LatencyBased::new()).unwrap();
        let select = || balancer.select(&TaskProfile::default(), &roster).unwrap();
        (0..10).for_each(|_| finish_on(&roster, 1, Outcome::Completed, MS));
        let slow = Reservation::take_at(&roster.members()[0].worker, 0, None, 1).unwrap();
        slow.finish(Outcome::Completed, 20 * MS);
        let mean = roster.members()[0].worker.stats().recent_mean();
        for _ in 0..10 {
            let reservation = select();
            assert_eq!(reservation.position(), 1, "a hundred times its mean has not passed");
            time.advance(10 * Duration::from_nanos(mean));
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
