use std::fmt;
use std::io;

use raddle_core::{Capability, CapabilityError, RosterError, WorkerId};
use raddle_strategies::{ConfigError, EjectionError, SelectError, StrategyError};
use thiserror::Error;

use crate::restart::RestartsError;
use crate::{Account, Actor, Reply};

/// What an ask returns: the answer to come, or the message handed back.
pub type AskResult<A> =
    Result<Reply<<A as Actor>::Reply, <A as Actor>::Error>, SendError<<A as Actor>::Msg>>;

/// A task that was not admitted: why, and its message.
#[derive(Error)]
#[non_exhaustive]
pub enum SendError<M> {
    /// The pool is being shut down, or is.
    #[error("the pool is shut down")]
    Closed(M),
    /// The selected worker's mailbox is full and the pool's policy is to reject.
    #[error("the mailbox of the selected worker is full")]
    Full(M),
    /// The pool has no worker that takes tasks.
    #[error("{}", SelectError::NoWorker)]
    NoWorker(M),
    /// No worker serves the capability.
    #[error("{}", SelectError::NoCapableWorker { capability: *.capability })]
    NoCapableWorker {
        /// What the task asked for.
        capability: Capability,
        /// The message.
        msg: M,
    },
    /// The capability's name could not be interned.
    #[error("{error}")]
    Capability {
        /// What is wrong with it.
        error: CapabilityError,
        /// The message.
        msg: M,
    },
}

/// Why a pool's workers could not be changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// The pool is shut down, or is being.
    #[error("the pool is shut down")]
    Closed,
    /// No worker of this id takes tasks.
    #[error("worker {0} is not in the pool, or already draining")]
    UnknownWorker(WorkerId),
    /// The pool would have no worker.
    #[error("worker {0} is the last one that takes tasks; add another before, or shut down")]
    LastWorker(WorkerId),
    /// The pool would have no worker.
    #[error("a pool of 0 workers was asked for, allowed is at least 1")]
    NoWorkers,
    /// A worker could not be made.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl<M> SendError<M> {
    /// The same error with another message.
    pub(crate) fn map<N>(self, message: impl FnOnce(M) -> N) -> SendError<N> {
        match self {
            Self::Closed(msg) => SendError::Closed(message(msg)),
            Self::Full(msg) => SendError::Full(message(msg)),
            Self::NoWorker(msg) => SendError::NoWorker(message(msg)),
            Self::NoCapableWorker { capability, msg } => {
                SendError::NoCapableWorker { capability, msg: message(msg) }
            }
            Self::Capability { error, msg } => SendError::Capability { error, msg: message(msg) },
        }
    }

    /// The message, out of the error.
    pub fn into_message(self) -> M {
        match self {
            Self::Closed(msg)
            | Self::Full(msg)
            | Self::NoWorker(msg)
            | Self::NoCapableWorker { msg, .. }
            | Self::Capability { msg, .. } => msg,
        }
    }

    pub(crate) fn from_select(error: SelectError, msg: M) -> Self {
        match error {
            SelectError::NoWorker => Self::NoWorker(msg),
            SelectError::NoCapableWorker { capability } => {
                Self::NoCapableWorker { capability, msg }
            }
            // Closed, and what a later version may add.
            _ => Self::Closed(msg),
        }
    }
}

// By hand, so that a message need not be `Debug` for its error to be one.
impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Full(_) => f.write_str("Full(..)"),
            Self::NoWorker(_) => f.write_str("NoWorker(..)"),
            Self::NoCapableWorker { capability, .. } => {
                write!(f, "NoCapableWorker({capability}, ..)")
            }
            Self::Capability { error, .. } => write!(f, "Capability({error:?}, ..)"),
        }
    }
}

/// Why a pool could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// No worker was asked for.
    #[error("pool `{pool}` has no worker; add one with `worker` or `workers`")]
    NoWorkers {
        /// The pool.
        pool: String,
    },
    /// A name that cannot be a thread's.
    #[error("the name {name:?} contains a NUL, which a thread's name cannot")]
    Name {
        /// The pool's or worker's name.
        name: String,
    },
    /// A mailbox without room.
    #[error("mailbox capacity is 0, allowed is at least 1")]
    Mailbox,
    /// A budget that is no share.
    #[error("hedge budget is {0}, allowed is a share from 0 to 1")]
    HedgeBudget(f64),
    /// A core that the process may not use.
    #[error("core {core} cannot be used, allowed are {allowed:?}")]
    Core {
        /// What was asked for.
        core: usize,
        /// The cores that may be used.
        allowed: Vec<usize>,
    },
    /// The restarts are described wrongly.
    #[error(transparent)]
    Restarts(#[from] RestartsError),
    /// The ejection is described wrongly.
    #[error(transparent)]
    Ejection(#[from] EjectionError),
    /// The workers could not be made.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The balancer's configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A parameter of the strategy is outside its bounds.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// An actor could not be made.
    #[error("the actor of worker `{worker}` could not be made: {message}")]
    Actor {
        /// The worker.
        worker: String,
        /// What the panic said.
        message: String,
    },
    /// The operating system refused a thread.
    #[error("no thread for worker `{worker}`: {source}")]
    Thread {
        /// The worker.
        worker: String,
        /// Why.
        source: io::Error,
    },
}

/// A shutdown that left something running.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{}; what was queued is cancelled",
    still_running(workers, *.lost_threads)
)]
pub struct ShutdownError {
    /// The workers whose handler, or a hook, did not return in time. Their threads end when it does.
    pub workers: Vec<String>,
    /// Threads that had been given up as hung and have not returned.
    pub lost_threads: usize,
    /// What became of the tasks so far; those in the handlers are still in flight.
    pub account: Account,
}

fn still_running(workers: &[String], lost_threads: usize) -> String {
    match (workers, lost_threads) {
        ([], lost) => format!("{lost} threads that were given up as hung have not returned"),
        (workers, 0) => {
            format!("workers {} were still running at the time limit", workers.join(", "))
        }
        (workers, lost) => format!(
            "workers {} were still running at the time limit, and {lost} threads that were \
             given up as hung have not returned",
            workers.join(", ")
        ),
    }
}
