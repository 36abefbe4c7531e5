use raddle_core::{Capability, Outcome};

use crate::keys::Slot;
use crate::mailbox::Lane;
use crate::reply::ReplySender;
use crate::{Actor, AskError};

/// A task on its way: the message, where its answer goes, and what the worker must know.
pub(crate) struct Envelope<A: Actor> {
    pub(crate) msg: A::Msg,
    pub(crate) reply: Option<ReplySender<A::Reply, A::Error>>,
    pub(crate) given_at: u64,
    /// The clock when the task is no longer worth running; [`NEVER`] for none.
    pub(crate) deadline: u64,
    pub(crate) capability: Option<Capability>,
    /// What it counts as in the work ahead of its worker; 0 when unknown.
    pub(crate) size: u64,
    /// Where its key is kept in order; from when it is bound there.
    pub(crate) key: Option<Slot>,
    pub(crate) lane: Lane,
}

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// How a task ended, with what its asker is told.
pub(crate) type Ending<A> = Result<<A as Actor>::Reply, AskError<<A as Actor>::Error>>;

/// The outcome that an ending is counted as.
pub(crate) fn outcome_of<R, E>(ending: &Result<R, AskError<E>>) -> Outcome {
    match ending {
        Ok(_) => Outcome::Completed,
        Err(AskError::Panicked { .. }) => Outcome::Panicked,
        Err(AskError::Expired) => Outcome::Expired,
        Err(AskError::Cancelled | AskError::Retired) => Outcome::Cancelled,
        Err(_) => Outcome::Failed,
    }
}
