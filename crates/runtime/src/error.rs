use std::collections::TryReserveError;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use raddle_core::{Capability, CapabilityError, Priority, RosterError, WorkerId};
use raddle_strategies::{ConfigError, EjectionError, SelectError, StrategyError};
use sync_wrapper::SyncWrapper;
use thiserror::Error as ThisError;

use crate::Account;
use crate::actor::StartError;
use crate::codel::CoDelError;
use crate::hedge::HedgeError;
use crate::mailbox::{Capacity, NoRoom, TooLarge};
use crate::restart::RestartsError;
use crate::timer::MIN_PERIOD;

/// A task that was not admitted: the reason, and its message.
///
/// It is `Send` and `Sync` for every message that is `Send`, so `?` converts it into
/// `Box<dyn Error + Send + Sync>` and the like.
pub struct SendError<M> {
    refusal: Refusal,
    msg: SyncWrapper<M>,
}

/// Why a task was not admitted.
#[derive(Clone, Debug, ThisError, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The pool is shut down or shutting down.
    #[error("the pool is shut down")]
    Closed,
    /// The selected worker's mailbox is full, and the overflow policy does not make room.
    #[error("the mailbox of the selected worker is full")]
    Full,
    /// The task's deadline passed while its caller waited for room.
    #[error("the deadline passed while the caller waited for room")]
    Expired,
    /// The pool has no worker that takes tasks.
    #[error("{}", SelectError::NoWorker)]
    NoWorker,
    /// No worker serves the capability.
    #[error("{}", SelectError::NoCapableWorker { capability: *capability })]
    NoCapableWorker {
        /// The capability that the task requires.
        capability: Capability,
    },
    /// The task is for one [worker](crate::TaskBuilder::worker), which is not a member of the pool or
    /// takes no more tasks.
    #[error("worker {worker} is not a member of the pool, or takes no more tasks")]
    NoSuchWorker {
        /// The worker.
        worker: WorkerId,
    },
    /// The task is for one [worker](crate::TaskBuilder::worker), which does not serve its capability.
    #[error("worker {worker} does not serve the capability {capability}")]
    NotCapable {
        /// The worker.
        worker: WorkerId,
        /// The capability that the task requires.
        capability: Capability,
    },
    /// The name of the task's capability cannot be used.
    #[error("the task's capability cannot be used")]
    Capability(#[source] CapabilityError),
    /// The task's hedge has a quantile that is out of bounds, or that the pool does not measure.
    #[error("the task's hedge cannot be used")]
    Hedge(#[from] HedgeError),
    /// The options of the task do not go together.
    #[error("the task's options cannot be used")]
    Options(#[from] OptionError),
    /// A parameter of the task's own strategy is out of bounds. Boxed, because every answer of an
    /// `Ask` has room for a refusal.
    #[error("the task's strategy cannot be used")]
    Strategy(#[source] Box<StrategyError>),
}

/// Options of a task that contradict each other, or the way in which the task is sent.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionError {
    /// The task has a key and a priority.
    #[error(
        "the task has a key and the priority {0:?}; tasks of a key run in the order in which they \
         were sent, so only Normal is allowed"
    )]
    KeyWithPriority(Priority),
    /// The task has a key and a strategy.
    #[error("the task has a key and a strategy; the key decides on the worker, so one is allowed")]
    KeyWithStrategy,
    /// The task has a key and a [worker](crate::TaskBuilder::worker), or is for each worker.
    #[error("the task has a key and a worker; the key decides on the worker, so one is allowed")]
    KeyWithWorker,
    /// More than one of: a strategy, a [worker](crate::TaskBuilder::worker),
    /// [each worker](crate::TaskBuilder::each_worker).
    #[error("the task has a strategy and a worker, or is for each worker; only one is allowed")]
    StrategyWithWorker,
    /// The task is for one [worker](crate::TaskBuilder::worker), or for each, and has a priority.
    #[error(
        "the task is for one worker and has the priority {0:?}; Normal and Control are allowed, since \
         tasks of other priorities may move to other workers"
    )]
    WorkerWithPriority(Priority),
    /// The task is for one [worker](crate::TaskBuilder::worker) and is hedged.
    #[error(
        "a task for one worker cannot be hedged, as its copy runs on another; `ask` is allowed"
    )]
    HedgedWorker,
    /// The task has a key and is hedged.
    #[error("a task with a key has one worker and cannot be hedged; `ask` is allowed")]
    HedgedKey,
    /// The task is a control message and is hedged.
    #[error("a control message cannot be hedged; `ask` is allowed")]
    HedgedControl,
    /// [`cancel_on_drop`](crate::TaskBuilder::cancel_on_drop) of a task without an
    /// [`Ask`](crate::Ask).
    #[error("`cancel_on_drop` needs an `Ask` to drop; `ask` and `ask_hedged` are allowed")]
    NothingToDrop,
    /// A [borrowed strategy](crate::TaskBuilder::strategy) of a task that is sent, or copied, later.
    #[error(
        "the strategy is borrowed and may be gone when the task or its copy is sent; \
         `shared_strategy` is allowed"
    )]
    BorrowedStrategy,
    /// A timer's task with an [overflow policy](crate::TaskBuilder::overflow) that waits.
    #[error(
        "the overflow policy waits for room, but a timer never does; Reject, DropOldest and \
         DropNewest are allowed"
    )]
    TimerWaits,
    /// A timer's period is too short.
    #[error("period is {0:?}; at least {MIN_PERIOD:?} is allowed")]
    Period(Duration),
}

impl<M> SendError<M> {
    /// Creates the error of a message that was refused, for a [`Recipient`](crate::Recipient) that is no
    /// pool.
    pub fn new(refusal: Refusal, msg: M) -> Self {
        Self { refusal, msg: SyncWrapper::new(msg) }
    }

    /// Returns why the task was not admitted.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// Returns the message.
    pub fn into_message(self) -> M {
        self.msg.into_inner()
    }

    /// Returns whether the mailbox was full.
    pub fn is_full(&self) -> bool {
        self.refusal == Refusal::Full
    }

    /// Returns whether the pool takes no more tasks: sending again cannot help.
    pub fn is_closed(&self) -> bool {
        self.refusal == Refusal::Closed
    }

    /// Returns whether the pool was too busy for the task: a mailbox was full, and stayed so to the
    /// task's deadline if the caller waited.
    pub fn is_overload(&self) -> bool {
        matches!(self.refusal, Refusal::Full | Refusal::Expired)
    }

    /// The message and the reason. Exclusive, since the message need not be `Sync`.
    pub(crate) fn parts(&mut self) -> (&M, &Refusal) {
        (self.msg.get_mut(), &self.refusal)
    }

    /// This error with another message.
    pub(crate) fn map<N>(self, map: impl FnOnce(M) -> N) -> SendError<N> {
        SendError::new(self.refusal, map(self.msg.into_inner()))
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

// By hand, so that the message need not be `Debug`.
impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("refusal", &self.refusal).finish_non_exhaustive()
    }
}

impl<M> Error for SendError<M> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.refusal.source()
    }
}

impl From<NoRoom> for Refusal {
    fn from(why: NoRoom) -> Self {
        match why {
            NoRoom::Full => Self::Full,
            NoRoom::Closed => Self::Closed,
            NoRoom::Expired => Self::Expired,
        }
    }
}

impl From<SelectError> for Refusal {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::NoWorker => Self::NoWorker,
            SelectError::NoCapableWorker { capability } => Self::NoCapableWorker { capability },
            // `SelectError::Closed`, and what a later version may add.
            _ => Self::Closed,
        }
    }
}

/// Why a pool's workers could not be changed.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum MembershipError {
    /// The pool is shut down or shutting down.
    #[error("the pool is shut down")]
    Closed,
    /// No worker with this id takes tasks.
    #[error("worker {0} is not in the pool, or is already draining")]
    UnknownWorker(WorkerId),
    /// The worker to be retired is the last one that takes tasks.
    #[error("worker {0} is the last one that takes tasks; add another first, or shut down")]
    LastWorker(WorkerId),
    /// [`resize`](crate::Pool::resize) was called with 0 workers.
    #[error("0 workers were requested; at least 1 is allowed")]
    NoWorkers,
    /// A worker could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Why a pool, or a worker, could not be started.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum SpawnError {
    /// The builder has no worker.
    #[error("pool `{pool}` has no worker; add one with `worker` or `workers`")]
    NoWorkers {
        /// The pool.
        pool: String,
    },
    /// A name that no thread can have.
    #[error("the name {name:?} contains a NUL, which a thread's name cannot")]
    Name {
        /// The name of the pool or worker.
        name: String,
    },
    /// A mailbox without room, or with too much.
    #[error(
        "mailbox capacity is {0}; 1 to {max} are allowed, or `mailbox_unbounded()`",
        max = Capacity::MAX
    )]
    Mailbox(usize),
    /// Mailboxes that do not fit into memory.
    #[error(
        "no memory for mailboxes bounded to {capacity} tasks, which take {bytes} bytes; \
         use a lower capacity, or box the messages"
    )]
    MailboxMemory {
        /// The capacity of each lane.
        capacity: usize,
        /// What the normal lanes of all new workers take together.
        bytes: u128,
        /// The allocator's error.
        source: TryReserveError,
    },
    /// A stack that is too small or too large.
    #[error("stack size is {0} bytes; 131072 to 1073741824 are allowed")]
    StackSize(usize),
    /// A setting that has no meaning with another one.
    #[error("`{option}` has no meaning: {because}")]
    Meaningless {
        /// The setting.
        option: &'static str,
        /// Why it has no effect.
        because: &'static str,
    },
    /// A hedge budget that is not a share.
    #[error("hedge budget is {0}; 0 to 1 is allowed")]
    HedgeBudget(f64),
    /// A number of handlers side by side that is out of bounds.
    #[error("concurrency is {0}; 1 to 65536 are allowed")]
    Concurrency(usize),
    /// A limit on awaits that is too short.
    #[error("the await limit is {0:?}; at least 1ms is allowed")]
    AwaitLimit(std::time::Duration),
    /// A watchdog's limit that is too short.
    #[error("the watchdog's limit is {0:?}; at least 1ms is allowed")]
    Watchdog(std::time::Duration),
    /// A quantum that is too short or too long.
    #[error("the quantum is {0:?}; 10us to 10s are allowed")]
    Quantum(std::time::Duration),
    /// A core that the process may not use.
    #[error("core {core} cannot be used; allowed are {allowed:?}")]
    Core {
        /// The requested core.
        core: usize,
        /// The cores that may be used.
        allowed: Vec<usize>,
    },
    /// The restarts are out of bounds.
    #[error(transparent)]
    Restarts(#[from] RestartsError),
    /// CoDel's parameters are out of bounds.
    #[error(transparent)]
    CoDel(#[from] CoDelError),
    /// The ejection's settings are out of bounds.
    #[error(transparent)]
    Ejection(#[from] EjectionError),
    /// The workers' specifications are wrong.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// A parameter of the strategy is out of bounds.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// The balancer's configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An actor could not be started.
    #[error("the actor of worker `{worker}` could not be started")]
    Actor {
        /// The worker.
        worker: String,
        /// What `on_start` returned, or the message of the panic.
        source: StartError,
    },
    /// The operating system refused a thread.
    #[error("no thread for `{name}`")]
    Thread {
        /// The worker, or the pool's own thread.
        name: String,
        /// The operating system's error.
        source: io::Error,
    },
}

impl From<TooLarge> for SpawnError {
    fn from(TooLarge { capacity, bytes, source }: TooLarge) -> Self {
        Self::MailboxMemory { capacity, bytes, source }
    }
}

/// A shutdown after which a thread still runs.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
#[error("{}", still_running(*.called_within, workers, *.lost_threads))]
#[non_exhaustive]
pub struct ShutdownError {
    /// Whether a thread of the pool itself called `shutdown`, which therefore did not wait.
    pub called_within: bool,
    /// The workers whose handler, or a hook, has not returned. Their threads end when it does. If there
    /// are none, the pool's own thread `<pool>-keeper`, if the closure of a periodic task, or a value that
    /// it drops, holds it up.
    pub workers: Vec<String>,
    /// Threads that had been given up as hung and have not returned.
    pub lost_threads: usize,
    /// What became of the tasks so far.
    pub account: Account,
}

fn still_running(called_within: bool, workers: &[String], lost_threads: usize) -> String {
    let mut parts = Vec::new();
    if called_within {
        parts.push("a thread of the pool cannot wait for the pool's end".to_owned());
    }
    if !workers.is_empty() {
        parts.push(format!("still running: {}", workers.join(", ")));
    }
    if lost_threads > 0 {
        parts.push(format!("hung threads that have not returned: {lost_threads}"));
    }
    parts.join("; ")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_send_error_converts_even_if_the_message_is_neither_sync_nor_debug() {
        fn refuse() -> Result<(), Box<dyn Error + Send + Sync>> {
            Err(SendError::new(Refusal::Full, Cell::new(7_u8)))?;
            Ok(())
        }
        let error = refuse().unwrap_err().downcast::<SendError<Cell<u8>>>().unwrap();
        assert!(error.is_full() && error.is_overload() && !error.is_closed());
        assert_eq!(error.into_message().get(), 7);
    }

    #[test]
    fn a_refusal_is_three_words_since_every_answer_of_an_ask_has_room_for_one() {
        assert_eq!(size_of::<Refusal>(), 24);
    }

    #[test]
    fn no_error_prints_its_source() {
        let refused = SendError::new(Refusal::Capability(CapabilityError::Empty), ());
        let source = refused.source().unwrap().to_string();
        assert!(!refused.to_string().contains(&source));
    }
}
