use std::time::Duration;

use raddle_core::{
    Completion, Outcome, RecordError, Reservation, Roster, TaskProfile, WorkerId, nanos,
};

use crate::report::BalancerStats;
use crate::select::{reserve, reserve_by};
use crate::{SelectError, Strategy};

/// A strategy and the three operations of balancing: select, record, report.
///
/// It needs no runtime: a proxy or a connection pool keeps its targets in a [`Roster`] and asks
/// here which is next. What is learnt is the workers', so that balancers of several strategies
/// can work over one roster, or one be replaced by another, and lose nothing.
///
/// ```
/// use std::time::Duration;
/// use raddle_core::{Outcome, Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, LeastLoaded};
///
/// let roster = Roster::builder().workers(3, WorkerSpec::general()).build()?;
/// let balancer = Balancer::new(LeastLoaded::new());
/// let task = TaskProfile::default();
///
/// let reservation = balancer.select(&task, &roster)?;
/// println!("ask {}", reservation.worker().name());
/// reservation.finish(Outcome::Completed, Duration::from_millis(3));
///
/// assert_eq!(balancer.stats(&roster).selections, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Balancer {
    strategy: Box<dyn Strategy>,
    /// Whether selections note the time, as the strategy reads ages.
    notes_time: bool,
}

impl Balancer {
    /// A balancer by this strategy.
    pub fn new(strategy: impl Strategy + 'static) -> Self {
        let notes_time = strategy.reads_age();
        Self { strategy: Box::new(strategy), notes_time }
    }

    /// Its strategy.
    pub fn strategy(&self) -> &dyn Strategy {
        &*self.strategy
    }

    /// Its strategy, out of it.
    pub fn into_strategy(self) -> Box<dyn Strategy> {
        self.strategy
    }

    /// Selects a worker for a task and counts it as in flight there. Wait-free, allocates nothing
    /// (but see [`WeightedRoundRobin`](crate::WeightedRoundRobin)).
    ///
    /// # Errors
    /// When no worker may take the task.
    #[inline]
    pub fn select<'r>(
        &self,
        task: &TaskProfile,
        roster: &'r Roster,
    ) -> Result<Reservation<'r>, SelectError> {
        if self.notes_time {
            return self.select_at(task, roster);
        }
        reserve(&*self.strategy, task, roster)
    }

    /// [`select`](Self::select) for a strategy that reads ages.
    fn select_at<'r>(
        &self,
        task: &TaskProfile,
        roster: &'r Roster,
    ) -> Result<Reservation<'r>, SelectError> {
        let now = if task.submitted_at == 0 { roster.clock().now() } else { task.submitted_at };
        reserve_by(&*self.strategy, &task.submitted_at(now), roster, |candidates, index| {
            let (worker, position) = (candidates.worker(index), candidates.position(index));
            Reservation::take_at(worker, position, task.capability, now)
        })
    }

    /// Records how a task ended whose reservation was [detached](Reservation::detach), by its
    /// worker's id and the profile that it was selected with; `took` counts from the selection.
    /// Lock-free, allocates nothing. Who still has the reservation calls [`Reservation::finish`],
    /// which is wait-free, instead.
    ///
    /// # Errors
    /// When the worker is not in the roster or has nothing in flight.
    pub fn record(
        &self,
        roster: &Roster,
        worker: WorkerId,
        task: &TaskProfile,
        outcome: Outcome,
        took: Duration,
    ) -> Result<(), RecordError> {
        let (service, capability, expected_duration) =
            (nanos(took), task.capability, task.expected_duration);
        let end = Completion { service, capability, expected_duration, ..Completion::new(outcome) };
        roster.record(worker, &end)
    }

    /// Lets the strategy work out anew what it keeps off the selection path (the schedule of
    /// weighted round robin). Call it about once a second, from a thread that may take a while.
    pub fn refresh(&self, roster: &Roster) {
        self.strategy.refresh(roster);
    }

    /// What was selected and what has been learnt. Allocates.
    pub fn stats(&self, roster: &Roster) -> BalancerStats {
        BalancerStats::new(&*self.strategy, roster)
    }
}
