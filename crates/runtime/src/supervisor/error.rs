use std::io;

use thiserror::Error;

use crate::restart::RestartsError;

/// Why a supervisor could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// There is nothing to supervise.
    #[error("the supervisor has no child; add one with `child`")]
    NoChildren,
    /// A name that two children have.
    #[error("two children are named `{0}`; names are unique within a supervisor")]
    NameTaken(String),
    /// The restarts are described wrongly.
    #[error(transparent)]
    Restarts(#[from] RestartsError),
    /// A child could not be started; those before it were shut down.
    #[error("child `{child}` could not be started: {message}")]
    Start {
        /// The child.
        child: String,
        /// What the error or the panic said.
        message: String,
    },
    /// The operating system refused the supervisor's thread; the children were shut down.
    #[error("no thread for the supervisor: {0}")]
    Thread(io::Error),
}

/// Why a child's pool, or messages, could not be had.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// No child of this name.
    #[error("no child is named `{name}`; the children are {}", .children.join(", "))]
    NotFound {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        children: Vec<String>,
    },
    /// The child's pool runs another type of actor.
    #[error("child `{child}` does not run actors of type {asked}")]
    OtherActor {
        /// The child.
        child: String,
        /// The actor type that was asked for.
        asked: &'static str,
    },
    /// The child's pool takes another type of message.
    #[error("the messages of child `{child}` are not of type {asked}")]
    OtherMessage {
        /// The child.
        child: String,
        /// The message type that was asked for.
        asked: &'static str,
    },
    /// The child has failed or is affected by another's failure, and has no pool at the moment.
    #[error("child `{0}` is being started anew")]
    Restarting(String),
    /// The supervisor is shut down, or has given up.
    #[error("the supervisor is shut down, or has given up")]
    Ended,
}
