use std::time::Duration;

use raddle_core::Worker;
use raddle_strategies::Ejection;

use crate::codel::CoDel;
use crate::restart::Restarts;
use crate::{Actor, Overflow, SendError, WaitStrategy};

/// Makes a worker's actor, on the worker's thread.
pub(crate) type Factory<A> = dyn Fn(&Worker) -> A + Send + Sync;
/// Is told of each refused task before its message goes back to the caller.
type OnRejected<M> = dyn Fn(&SendError<M>) + Send + Sync;
/// Is given the message of each shed task.
type OnShed<M> = dyn Fn(M, ShedReason) + Send + Sync;

/// What a pool does, as it was built.
pub(crate) struct Settings<A: Actor> {
    pub(crate) capacity: usize,
    pub(crate) overflow: Overflow,
    pub(crate) codel: Option<CoDel>,
    pub(crate) wait: WaitStrategy,
    pub(crate) restarts: Restarts,
    pub(crate) on_retired: OnRetired,
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) ejection: Option<Ejection>,
    /// Whether idle workers steal; `None` as the strategy says.
    pub(crate) stealing: Option<bool>,
    /// The core of each worker in turn; none to leave that to the operating system.
    pub(crate) cores: Vec<core_affinity::CoreId>,
    /// Copies of hedged tasks, as a share of the tasks that asked for hedging.
    pub(crate) hedge_budget: f64,
    pub(crate) on_rejected: Option<Box<OnRejected<A::Msg>>>,
    pub(crate) on_shed: Option<Box<OnShed<A::Msg>>>,
}

impl<A: Actor> Default for Settings<A> {
    fn default() -> Self {
        Self {
            capacity: 1024,
            overflow: Overflow::default(),
            codel: None,
            wait: WaitStrategy::default(),
            restarts: Restarts::default(),
            on_retired: OnRetired::default(),
            watchdog: None,
            ejection: None,
            stealing: None,
            cores: Vec::new(),
            hedge_budget: 0.05,
            on_rejected: None,
            on_shed: None,
        }
    }
}

/// What becomes of a pool when one of its workers was retired by its restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnRetired {
    /// It goes on with the others; when none is left, tasks are refused.
    #[default]
    Degrade,
    /// It closes itself: queued tasks are still run by the other workers, new ones are refused,
    /// and a [`Supervisor`](crate::Supervisor) acts.
    Close,
}

/// When a handler counts as hung, and what that may cost.
///
/// The worker of a handler that exceeds the limit is quarantined, its free tasks move to others,
/// and another thread takes the worker over under a new generation. The old thread cannot be ended
/// from outside: it is lost until its handler returns, and then it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    pub(crate) limit: Duration,
    pub(crate) max_lost: usize,
}

impl Watchdog {
    /// A watchdog that calls a handler hung after this time, at least a millisecond, and gives up
    /// 16 threads at the most.
    pub fn after(limit: Duration) -> Self {
        Self { limit: limit.max(Duration::from_millis(1)), max_lost: 16 }
    }

    /// Sets how many threads may be lost at a time. A worker that hangs while so many are lost
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
