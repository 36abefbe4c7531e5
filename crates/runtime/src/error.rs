use std::error::Error;
use std::fmt;
use std::io;

use raddle_core::{Capability, CapabilityError, RosterError, WorkerId};
use raddle_strategies::{ConfigError, EjectionError, SelectError, StrategyError};
use sync_wrapper::SyncWrapper;
use thiserror::Error as ThisError;

use crate::Account;
use crate::actor::StartError;
use crate::codel::CoDelError;
use crate::hedge::HedgeError;
use crate::restart::RestartsError;

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
    /// The pool has no worker that takes tasks.
    #[error("{}", SelectError::NoWorker)]
    NoWorker,
    /// No worker serves the capability.
    #[error("{}", SelectError::NoCapableWorker { capability: *capability })]
    NoCapableWorker {
        /// The capability that the task requires.
        capability: Capability,
    },
    /// The name of the task's capability cannot be used.
    #[error("the task's capability cannot be used")]
    Capability(#[source] CapabilityError),
    /// The hedge's quantile is out of bounds.
    #[error("the task's hedge cannot be used")]
    Hedge(#[source] HedgeError),
}

impl<M> SendError<M> {
    pub(crate) fn new(refusal: Refusal, msg: M) -> Self {
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

    /// Returns whether the pool was too busy for the task.
    pub fn is_overload(&self) -> bool {
        self.is_full()
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
    /// A mailbox without room.
    #[error("mailbox capacity is 0; at least 1 is allowed")]
    Mailbox,
    /// A hedge budget that is not a share.
    #[error("hedge budget is {0}; 0 to 1 is allowed")]
    HedgeBudget(f64),
    /// A watchdog's limit that is too short.
    #[error("the watchdog's limit is {0:?}; at least 1ms is allowed")]
    Watchdog(std::time::Duration),
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

/// A shutdown after which a thread still runs.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
#[error("{}; what was queued is cancelled", still_running(workers, *.lost_threads))]
#[non_exhaustive]
pub struct ShutdownError {
    /// The workers whose handler, or a hook, did not return in time. Their threads end when it does.
    pub workers: Vec<String>,
    /// Threads that had been given up as hung and have not returned.
    pub lost_threads: usize,
    /// What became of the tasks so far; those in handlers are still in flight.
    pub account: Account,
}

fn still_running(workers: &[String], lost_threads: usize) -> String {
    let workers_running =
        format!("workers still running at the time limit: {}", workers.join(", "));
    let threads_lost = format!("hung threads that have not returned: {lost_threads}");
    match (workers, lost_threads) {
        ([], _) => threads_lost,
        (_, 0) => workers_running,
        _ => format!("{workers_running}; {threads_lost}"),
    }
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
    fn no_error_prints_its_source() {
        let refused = SendError::new(Refusal::Capability(CapabilityError::Empty), ());
        let source = refused.source().unwrap().to_string();
        assert!(!refused.to_string().contains(&source));
    }
}
