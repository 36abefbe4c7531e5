use std::io;

use thiserror::Error;

use crate::actor::StartError;
use crate::restart::RestartsError;

/// Why a supervisor could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// The builder has no child.
    #[error("the supervisor has no child; add one with `child`")]
    NoChildren,
    /// Two children have one name.
    #[error("two children are named `{0}`; names are unique within a supervisor")]
    NameTaken(String),
    /// The limit or the backoff is out of bounds.
    #[error(transparent)]
    Restarts(#[from] RestartsError),
    /// A child could not be started; those before it were shut down.
    #[error("child `{child}` could not be started")]
    Start {
        /// The child.
        child: String,
        /// What its start returned, or the message of the panic.
        source: StartError,
    },
    /// The operating system refused the supervisor's thread; the children were shut down.
    #[error("no thread for the supervisor")]
    Thread(#[source] io::Error),
}

/// Why a child's pool, or its messages, could not be returned.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// No child has this name.
    #[error("no child is named `{name}`; the children are {}", .children.join(", "))]
    NotFound {
        /// The requested name.
        name: String,
        /// The names of the children.
        children: Vec<String>,
    },
    /// The child's pool has other message or reply types.
    #[error("the pool of child `{child}` is not a {requested}")]
    OtherPool {
        /// The child.
        child: String,
        /// The requested type.
        requested: &'static str,
    },
    /// The child's pool takes another type of message.
    #[error("the messages of child `{child}` are not of type {requested}")]
    OtherMessage {
        /// The child.
        child: String,
        /// The requested type.
        requested: &'static str,
    },
    /// The child has failed, or is affected by the failure of another, and has no pool right now.
    #[error("child `{0}` is restarting")]
    Restarting(String),
    /// The supervisor is shut down, or has given up.
    #[error("the supervisor is shut down, or has given up")]
    Ended,
}

/// Returns the index of a child among the names of all.
pub(super) fn position<'n>(
    name: &str,
    mut children: impl Iterator<Item = &'n String> + Clone,
) -> Result<usize, ChildError> {
    let all = children.clone();
    children.position(|child| child == name).ok_or_else(|| ChildError::NotFound {
        name: name.to_owned(),
        children: all.cloned().collect(),
    })
}
