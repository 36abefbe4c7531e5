use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use thiserror::Error;

type Answer<R, E> = Result<R, AskError<E>>;

/// The answer to an ask, still to come.
///
/// It can be waited for by a thread or awaited on any executor. Dropping it is not an error: the
/// task is run and its answer discarded.
#[must_use = "an answer that nobody waits for could have been a tell"]
pub struct Reply<R, E>(oneshot::Receiver<Answer<R, E>>);

/// A [`Reply`] being awaited.
pub struct ReplyFuture<R, E>(<oneshot::Receiver<Answer<R, E>> as IntoFuture>::IntoFuture);

/// Where the worker puts the answer.
pub(crate) struct ReplySender<R, E>(oneshot::Sender<Answer<R, E>>);

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError<E> {
    /// The handler said why not.
    #[error("the handler failed: {0}")]
    Failed(E),
    /// The handler, or the making of its actor, panicked.
    #[error("the handler panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The deadline had passed when the task's turn came; it was not run.
    #[error("the deadline passed before the task was run")]
    Expired,
    /// The pool was shut down before the task was run.
    #[error("the pool was shut down before the task was run")]
    Cancelled,
    /// The time given to [`Reply::wait_for`] is over; the answer may still come.
    #[error("no answer within the time waited; it may still come")]
    TimedOut,
    /// The answer was taken before.
    #[error("the answer was already taken")]
    Taken,
}

/// One slot for an answer, from the allocator.
pub(crate) fn slot<R, E>() -> (ReplySender<R, E>, Reply<R, E>) {
    let (sender, receiver) = oneshot::channel();
    (ReplySender(sender), Reply(receiver))
}

impl<R, E> ReplySender<R, E> {
    /// Puts the answer and wakes who waits for it. Hands it back when nobody will take it.
    pub(crate) fn send(self, answer: Answer<R, E>) -> Option<Answer<R, E>> {
        self.0.send(answer).err().map(oneshot::SendError::into_inner)
    }
}

impl<R, E> Reply<R, E> {
    /// Blocks until the answer is there.
    ///
    /// # Errors
    /// When the task ended without one.
    pub fn wait(self) -> Result<R, AskError<E>> {
        self.0.recv().unwrap_or(Err(AskError::Taken))
    }

    /// Blocks until the answer is there or the time is over; may be called again then.
    ///
    /// # Errors
    /// [`AskError::TimedOut`], or when the task ended without an answer.
    pub fn wait_for(&mut self, time: Duration) -> Result<R, AskError<E>> {
        self.0.recv_timeout(time).unwrap_or_else(|error| {
            Err(match error {
                oneshot::RecvTimeoutError::Timeout => AskError::TimedOut,
                oneshot::RecvTimeoutError::Disconnected => AskError::Taken,
            })
        })
    }

    /// The answer, if it is there. Never blocks.
    pub fn try_take(&mut self) -> Option<Result<R, AskError<E>>> {
        match self.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(oneshot::TryRecvError::Empty) => None,
            Err(oneshot::TryRecvError::Disconnected) => Some(Err(AskError::Taken)),
        }
    }
}

impl<R, E> IntoFuture for Reply<R, E> {
    type Output = Result<R, AskError<E>>;
    type IntoFuture = ReplyFuture<R, E>;

    fn into_future(self) -> ReplyFuture<R, E> {
        ReplyFuture(self.0.into_future())
    }
}

impl<R, E> Future for ReplyFuture<R, E> {
    type Output = Result<R, AskError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).unwrap_or(Err(AskError::Taken)))
    }
}

impl<R, E> fmt::Debug for Reply<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

impl<R, E> fmt::Debug for ReplyFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyFuture").finish_non_exhaustive()
    }
}
