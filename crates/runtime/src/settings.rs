use std::ops::RangeInclusive;
use std::time::Duration;

use raddle_core::{MailboxOrder, Tracking};
use raddle_strategies::{Ejection, Strategy, StrategyError};

use crate::SpawnError;
use crate::codel::CoDel;
use crate::cores::CoreId;
use crate::mailbox::{Capacity, Overflow, WaitStrategy};
use crate::restart::Restarts;

/// The settings of a pool, apart from its actors, callbacks and strategy.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Tasks per lane of a mailbox.
    pub(crate) capacity: Capacity,
    /// The order of the tasks in a mailbox.
    pub(crate) order: MailboxOrder,
    pub(crate) policy: Policy,
    pub(crate) codel: Option<CoDel>,
    pub(crate) wait: WaitStrategy,
    pub(crate) restarts: Restarts,
    pub(crate) on_retired: OnRetired,
    pub(crate) watchdog: Option<Watchdog>,
    /// How many tasks a worker of a concurrent pool runs side by side; 0 if it is none.
    pub(crate) slots: usize,
    /// How long an async handler may wait; `None` for as long as the watchdog's limit.
    pub(crate) await_limit: Option<Duration>,
    /// How long an urgent or short task waits before it runs at a checkpoint.
    pub(crate) quantum: Duration,
    pub(crate) ejection: Option<Ejection>,
    /// Whether idle workers steal; `None` to follow the strategy.
    pub(crate) stealing: Option<bool>,
    /// The stack of each thread, in bytes; `None` for the default of the standard library.
    pub(crate) stack_size: Option<usize>,
    /// What the names of the threads begin with; `None` for the pool's name.
    pub(crate) thread_name: Option<String>,
    /// The core of each worker, in turn; empty to leave that to the operating system.
    pub(crate) cores: Vec<CoreId>,
    /// The most copies of hedged tasks, as a share of the tasks that requested hedging.
    pub(crate) hedge_budget: f64,
    /// For how long keys that move wait for the state that their old owner keeps; `None` if actors have no
    /// keyed state.
    pub(crate) hand_over_within: Option<Duration>,
}

/// The sizes that a thread's stack may have, in bytes: 128 KiB to 1 GiB.
const STACK_SIZES: RangeInclusive<usize> = 128 << 10..=1 << 30;

/// The quanta that a pool may have.
const QUANTA: RangeInclusive<Duration> = Duration::from_micros(10)..=Duration::from_secs(10);

impl Default for Settings {
    fn default() -> Self {
        Self {
            capacity: Capacity::Bounded(1024),
            order: MailboxOrder::Fifo,
            policy: Policy { overflow: Overflow::default(), reroute: false },
            codel: None,
            wait: WaitStrategy::default(),
            restarts: Restarts::default(),
            on_retired: OnRetired::default(),
            watchdog: None,
            slots: 0,
            await_limit: None,
            quantum: Duration::from_millis(1),
            ejection: None,
            stealing: None,
            stack_size: None,
            thread_name: None,
            cores: Vec::new(),
            hedge_budget: 0.05,
            hand_over_within: None,
        }
    }
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<(), SpawnError> {
        if let Capacity::Bounded(tasks) = self.capacity
            && !(1..=Capacity::MAX).contains(&tasks)
        {
            return Err(SpawnError::Mailbox(tasks));
        }
        if let Some(bytes) = self.stack_size
            && !STACK_SIZES.contains(&bytes)
        {
            return Err(SpawnError::StackSize(bytes));
        }
        if let Some(name) = &self.thread_name
            && name.contains('\0')
        {
            return Err(SpawnError::Name { name: name.clone() });
        }
        if self.capacity == Capacity::Unbounded && self.policy.reroute {
            let because = "the mailboxes are unbounded, and tasks with keys are not rerouted";
            return Err(SpawnError::Meaningless { option: "reroute", because });
        }
        if !(0.0..=1.0).contains(&self.hedge_budget) {
            return Err(SpawnError::HedgeBudget(self.hedge_budget));
        }
        if let Some(Watchdog { limit, .. }) = self.watchdog
            && limit < Watchdog::MIN_LIMIT
        {
            return Err(SpawnError::Watchdog(limit));
        }
        if let Some(limit) = self.await_limit
            && limit < Watchdog::MIN_LIMIT
        {
            return Err(SpawnError::AwaitLimit(limit));
        }
        if !QUANTA.contains(&self.quantum) {
            return Err(SpawnError::Quantum(self.quantum));
        }
        if let Some(codel) = self.codel {
            codel.validate()?;
        }
        Ok(self.restarts.validate()?)
    }
}

/// Checks a strategy of a pool with this tracking, whose actors may have keyed state.
pub(crate) fn check_strategy(
    strategy: &dyn Strategy,
    tracking: &Tracking,
    keyed_state: bool,
) -> Result<(), StrategyError> {
    strategy.validate()?;
    if keyed_state && strategy.routes_keys() {
        return Err(StrategyError::moves_keys(strategy.name()));
    }
    match strategy.needs_tracking() && !tracking.enabled {
        true => Err(StrategyError::untracked(strategy.name())),
        false => Ok(()),
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
    /// This policy with another overflow, if there is one.
    pub(crate) fn with(self, overflow: Option<Overflow>) -> Self {
        Self { overflow: overflow.unwrap_or(self.overflow), ..self }
    }

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
/// The time that a handler waits inside raddle, for room, a reply, a drain or a worker's start, does not
/// count. Other waits do, such as that of an executor which polls a future.
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
