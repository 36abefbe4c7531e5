use std::fmt;
use std::io;

use raddle_core::{Capability, CapabilityError, RosterError};
use raddle_strategies::{ConfigError, SelectError};
use thiserror::Error;

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

impl<M> SendError<M> {
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
    /// The workers could not be made.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The balancer's configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
    "workers {} were still in a handler at the time limit; what was queued is cancelled",
    workers.join(", ")
)]
pub struct ShutdownError {
    /// The workers whose handler did not return in time. Their threads end when it does.
    pub workers: Vec<String>,
    /// What became of the tasks so far; those in the handlers are still in flight.
    pub account: Account,
}
