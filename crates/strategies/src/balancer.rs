use std::sync::Arc;
use std::time::Duration;

use raddle_core::{
    Completion, Outcome, RecordError, Reservation, Roster, TaskProfile, WorkerId, nanos,
};
use raddle_sync::Snapshot;
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::report::BalancerStats;
use crate::select::{reserve, reserve_by};
use crate::{SelectError, Strategy, StrategyError};

/// Selects workers by a strategy, records results and reports statistics, without a runtime.
///
/// A proxy or a connection pool keeps its targets in a [`Roster`] and asks a balancer which one is
/// next. What is learned belongs to the workers: several balancers can share one roster, and one
/// can replace another without losing anything.
///
/// ```
/// use std::time::Duration;
/// use raddle_core::{Outcome, Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, LeastLoaded};
///
/// let roster = Roster::builder().workers(3, WorkerSpec::general()).build()?;
/// let balancer = Balancer::new(LeastLoaded::new())?;
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
    reads_age: bool,
    /// Whether the strategy reads no ages and `prepared` holds none.
    is_plain: AtomicBool,
    /// Whether `prepared` holds a strategy. Like `is_plain` only a hint, so that other strategies
    /// need not load it: a selection that reads an old value selects by the unprepared strategy.
    is_prepared: AtomicBool,
    /// For the roster that was refreshed last of each lineage, the latest first.
    prepared: Snapshot<Vec<ForRoster>>,
}

/// A strategy that is prepared for a roster.
#[derive(Clone, Debug)]
struct ForRoster {
    lineage: u64,
    number: u64,
    strategy: Arc<dyn Strategy>,
}

/// The most lineages for which a balancer keeps prepared strategies.
const LINEAGES: usize = 16;

impl Balancer {
    /// Creates a balancer that selects by `strategy`.
    ///
    /// # Errors
    /// If a parameter of the strategy is outside its bounds.
    pub fn new(strategy: impl Strategy + 'static) -> Result<Self, StrategyError> {
        strategy.validate()?;
        let reads_age = strategy.reads_age();
        Ok(Self {
            strategy: Box::new(strategy),
            reads_age,
            is_plain: AtomicBool::new(!reads_age),
            is_prepared: AtomicBool::new(false),
            prepared: Snapshot::new(Arc::new(Vec::new())),
        })
    }

    /// Returns the strategy.
    pub fn strategy(&self) -> &dyn Strategy {
        &*self.strategy
    }

    /// Consumes the balancer and returns its strategy.
    pub fn into_strategy(self) -> Box<dyn Strategy> {
        self.strategy
    }

    /// Selects a worker for a task and counts the task as in flight there.
    ///
    /// Allocates nothing and never waits. Wait-free, except that a strategy which prepares for a
    /// roster ([`WeightedRoundRobin`](crate::WeightedRoundRobin)) costs a lock-free snapshot load
    /// of about 14 ns once it has been [refreshed](Self::refresh); a
    /// [`Prepared`](crate::Prepared) kept beside the roster avoids that.
    ///
    /// # Errors
    /// If no worker may take the task.
    #[inline]
    pub fn select<'r>(
        &self,
        task: &TaskProfile,
        roster: &'r Roster,
    ) -> Result<Reservation<'r>, SelectError> {
        if self.is_plain.load(Relaxed) {
            return reserve(&*self.strategy, task, roster);
        }
        self.select_in_full(task, roster)
    }

    /// Selects by the prepared strategy, and notes the time if it reads ages.
    #[inline(never)]
    fn select_in_full<'r>(
        &self,
        task: &TaskProfile,
        roster: &'r Roster,
    ) -> Result<Reservation<'r>, SelectError> {
        let prepared = self.is_prepared.load(Relaxed).then(|| self.prepared.load());
        let lineage = roster.lineage();
        let strategy = prepared
            .as_deref()
            .and_then(|prepared| prepared.iter().find(|prepared| prepared.lineage == lineage))
            .map_or(&*self.strategy, |prepared| &*prepared.strategy);
        if !self.reads_age {
            return reserve(strategy, task, roster);
        }
        let now = if task.submitted_at == 0 { roster.clock().now() } else { task.submitted_at };
        let selected =
            reserve_by(strategy, &task.submitted_at(now), roster, |candidates, index| {
                let (worker, position) = (candidates.worker(index), candidates.position(index));
                Reservation::take_at(worker, position, task.capability, now)
            });
        match task.key {
            Some(key) => selected.map(|reservation| reservation.noting_key(key)),
            None => selected,
        }
    }

    /// Records how a task ended whose reservation was [detached](Reservation::detach). Pass the
    /// worker's id and the profile that the task was selected with; `took` counts from the
    /// selection. Lock-free, allocates nothing. If you still have the reservation, call
    /// [`Reservation::finish`] instead, which is wait-free.
    ///
    /// # Errors
    /// If the worker is not in the roster or has nothing in flight.
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

    /// [Prepares](Strategy::prepare) the strategy for `roster`, with the latest statistics.
    ///
    /// Call this for each new roster and about once a second, from a thread that may allocate and
    /// take its time. Until then, and on any other roster, the strategy selects unprepared: see
    /// the strategy for what that means. Most strategies prepare nothing.
    ///
    /// Several sets of workers can share a balancer: what was prepared for the last roster of each of
    /// the last 16 sets is kept. Of rosters derived from one another only the newest counts, so a
    /// refresh for an older one has no effect. If two threads refresh at once, only one may count.
    pub fn refresh(&self, roster: &Roster) {
        let (lineage, number) = (roster.lineage(), roster.number());
        let before = self.prepared.load();
        if before.iter().any(|known| known.lineage == lineage && known.number > number) {
            return;
        }
        if let Some(strategy) = self.strategy.prepare(roster) {
            let others = before.iter().filter(|known| known.lineage != lineage).cloned();
            let new = ForRoster { lineage, number, strategy };
            let prepared = std::iter::once(new).chain(others).take(LINEAGES).collect();
            self.prepared.store(Arc::new(prepared));
            self.is_prepared.store(true, Relaxed);
            self.is_plain.store(false, Relaxed);
        }
    }

    /// Returns what was selected and what has been learned. Allocates.
    pub fn stats(&self, roster: &Roster) -> BalancerStats {
        BalancerStats::new(&*self.strategy, roster)
    }
}
