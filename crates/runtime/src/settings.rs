use std::time::Duration;

use raddle_strategies::Ejection;

use crate::SpawnError;
use crate::codel::CoDel;
use crate::cores::CoreId;
use crate::mailbox::{Overflow, WaitStrategy};
use crate::restart::Restarts;

/// The settings of a pool, apart from its actors, callbacks and strategy.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Tasks per lane of a mailbox.
    pub(crate) capacity: usize,
    pub(crate) policy: Policy,
    pub(crate) codel: Option<CoDel>,
    pub(crate) wait: WaitStrategy,
    pub(crate) restarts: Restarts,
    pub(crate) on_retired: OnRetired,
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) ejection: Option<Ejection>,
    /// Whether idle workers steal; `None` to follow the strategy.
    pub(crate) stealing: Option<bool>,
    /// The core of each worker, in turn; empty to leave that to the operating system.
    pub(crate) cores: Vec<CoreId>,
    /// The most copies of hedged tasks, as a share of the tasks that requested hedging.
    pub(crate) hedge_budget: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            capacity: 1024,
            policy: Policy { overflow: Overflow::default(), reroute: false },
            codel: None,
            wait: WaitStrategy::default(),
            restarts: Restarts::default(),
            on_retired: OnRetired::default(),
            watchdog: None,
            ejection: None,
            stealing: None,
            cores: Vec::new(),
            hedge_budget: 0.05,
        }
    }
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<(), SpawnError> {
        if self.capacity == 0 {
            return Err(SpawnError::Mailbox);
        }
        if !(0.0..=1.0).contains(&self.hedge_budget) {
            return Err(SpawnError::HedgeBudget(self.hedge_budget));
        }
        if let Some(Watchdog { limit, .. }) = self.watchdog
            && limit < Watchdog::MIN_LIMIT
        {
            return Err(SpawnError::Watchdog(limit));
        }
        if let Some(codel) = self.codel {
            codel.validate()?;
        }
        Ok(self.restarts.validate()?)
    }
}

/// What happens to a task that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) overflow: Overflow,
    /// Whether another candidate with room takes the task first.
    pub(crate) reroute: bool,
}

impl Policy {
    /// This policy without waiting for room.
    pub(crate) fn without_waiting(self) -> Self {
        Self { overflow: self.overflow.without_waiting(), ..self }
    }
}

/// What a pool does when its restarts have retired a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnRetired {
    /// Continues with the other workers; when none is left, tasks are refused.
    #[default]
    Degrade,
    /// Closes itself: the other workers still run what is queued, new tasks are refused, and a
    /// [`Supervisor`](crate::Supervisor) acts.
    Close,
}

/// When a handler counts as hung, and what that may cost.
///
/// The worker of a handler that exceeds the limit is quarantined, its free tasks move to others, and
/// another thread takes the worker over under a new generation. The old thread cannot be ended from
/// outside: it is lost until its handler returns, and then it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    pub(crate) limit: Duration,
    pub(crate) max_lost: usize,
}

impl Watchdog {
    /// The shortest limit that [`PoolBuilder::spawn`](crate::PoolBuilder::spawn) accepts.
    pub const MIN_LIMIT: Duration = Duration::from_millis(1);

    /// Creates a watchdog that considers a handler hung after `limit`, and gives up at most 16
    /// threads.
    pub fn after(limit: Duration) -> Self {
        Self { limit, max_lost: 16 }
    }

    /// Sets how many threads may be lost at a time. A worker that hangs while that many are lost
    /// stays quarantined until its handler, or one of the lost threads, returns.
    #[must_use]
    pub fn max_lost(mut self, threads: usize) -> Self {
        self.max_lost = threads;
        self
    }
}

/// Why a task was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShedReason {
    /// It made room for a newer one: [`Overflow::DropOldest`].
    Oldest,
    /// There was no room for it: [`Overflow::DropNewest`].
    Newest,
    /// It had waited too long in an overloaded mailbox: [`CoDel`].
    Sojourn,
}
