//! The slot that carries a reply from the worker to the asker.

use std::sync::Arc;

use raddle_core::Outcome;

use crate::race::Race;

/// What a worker sends back: the handler's reply, or why there is none.
pub type Answer<R> = Result<R, NoReply>;

/// Why an admitted task has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// The handler panicked with this message.
    Panicked(String),
    /// The deadline had passed when the task's turn came.
    Expired,
    /// The pool was shut down, or the asker withdrew.
    Cancelled,
    /// The task was dropped because the pool is overloaded.
    Shed,
    /// The task's worker was retired, and no other could take the task.
    Retired,
}

impl NoReply {
    /// The outcome that the task counts as; a shed task is counted apart.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Panicked(_) => Outcome::Panicked,
            Self::Expired => Outcome::Expired,
            Self::Cancelled | Self::Shed | Self::Retired => Outcome::Cancelled,
        }
    }
}

/// The asker, as its task's worker sees it.
pub trait Asker {
    /// Whether the task is cancelled because nobody would receive its reply.
    fn has_withdrawn(&self) -> bool;
}

/// The worker's end of a reply's slot.
pub enum ReplySender<R> {
    /// The only copy of the task.
    Own(oneshot::Sender<Answer<R>>),
    /// The only copy; dropping the [`Ask`](crate::Ask) cancels the task.
    Cancellable(oneshot::Sender<Answer<R>>),
    /// One of the copies of a hedged task.
    Shared(Arc<Hedged<R>>),
}

/// Decides which copy of a hedged task answers.
pub struct Hedged<R> {
    /// The copies that have not ended.
    pub copies: Race<oneshot::Sender<Answer<R>>>,
    /// Whether dropping the [`Ask`](crate::Ask) cancels the copies.
    cancellable: bool,
}

/// Allocates a slot for one reply.
pub fn slot<R>(cancel_on_drop: bool) -> (ReplySender<R>, oneshot::Receiver<Answer<R>>) {
    let (sender, receiver) = oneshot::channel();
    let own = if cancel_on_drop { ReplySender::Cancellable } else { ReplySender::Own };
    (own(sender), receiver)
}

impl<R> ReplySender<R> {
    /// Stores the answer and wakes the asker; returns the answer if nobody will receive it.
    pub fn send(self, answer: Answer<R>) -> Option<Answer<R>> {
        let sender = match self {
            Self::Own(sender) | Self::Cancellable(sender) => Some(sender),
            Self::Shared(hedged) => hedged.copies.finish(answer.is_ok()),
        };
        match sender {
            Some(sender) => sender.send(answer).err().map(oneshot::SendError::into_inner),
            None => Some(answer),
        }
    }

    /// Lets another copy of the task answer as well.
    pub fn share(self) -> (Self, Arc<Hedged<R>>) {
        let cancellable = matches!(self, Self::Cancellable(_));
        let hedged = match self {
            Self::Own(sender) | Self::Cancellable(sender) => {
                Arc::new(Hedged { copies: Race::new(sender), cancellable })
            }
            Self::Shared(hedged) => hedged,
        };
        (Self::Shared(Arc::clone(&hedged)), hedged)
    }
}

impl<R> Asker for ReplySender<R> {
    fn has_withdrawn(&self) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Cancellable(sender) => sender.is_closed(),
            Self::Shared(hedged) => hedged.has_withdrawn(),
        }
    }
}

impl<R> Asker for Hedged<R> {
    fn has_withdrawn(&self) -> bool {
        self.copies.is_over()
            || self.cancellable && self.copies.prize_is(oneshot::Sender::is_closed)
    }
}
