use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use raddle_sync::{hint, thread};
use thiserror::Error;

use crate::context::Asker;
use crate::race::Race;

type Answer<R, E> = Result<R, AskError<E>>;

/// The answer to an ask, still to come.
///
/// It can be waited for by a thread or awaited on any executor. Dropping it is not an error: the
/// task is run and its answer discarded, unless it was to be
/// [cancelled](crate::TaskBuilder::cancel_on_drop) then.
#[must_use = "an answer that nobody waits for could have been a tell"]
pub struct Reply<R, E>(oneshot::Receiver<Answer<R, E>>);

/// A [`Reply`] being awaited.
pub struct ReplyFuture<R, E>(<oneshot::Receiver<Answer<R, E>> as IntoFuture>::IntoFuture);

/// Where the worker puts the answer.
pub enum ReplySender<R, E> {
    /// The only copy of the task.
    Own(oneshot::Sender<Answer<R, E>>),
    /// The same, cancelled by dropping the reply.
    Cancellable(oneshot::Sender<Answer<R, E>>),
    /// One of the copies of a hedged task.
    Shared(Arc<Hedged<R, E>>),
}

/// What decides which copy of a hedged task answers.
pub struct Hedged<R, E> {
    /// Those that have not ended.
    pub copies: Race<oneshot::Sender<Answer<R, E>>>,
    /// Whether dropping the reply cancels the copies.
    cancellable: bool,
}

/// Looks for an answer before its asker sleeps, the first of them with but pauses in between.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 120 };
const SPINS: u32 = 16;
/// Pauses between two looks, of about 28 ns each; fewer at first.
const PAUSES: u32 = 4;
/// Who waits for less is not to spend it all on looking.
const WORTH_LOOKING: Duration = Duration::from_micros(100);

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
    /// The pool was shut down before the task was run, or the task was withdrawn.
    #[error("the task was cancelled before it was run")]
    Cancelled,
    /// The task was dropped, as the pool is overloaded; see [`Overflow`](crate::Overflow) and
    /// [`CoDel`](crate::CoDel).
    #[error("the task was shed before it was run, as the pool is overloaded")]
    Shed,
    /// The task's worker was retired before it was run, and no other could take it.
    #[error("the task's worker was retired before it was run, and no other could take it")]
    Retired,
    /// The time given to [`Reply::wait_timeout`] is over; the answer may still come.
    #[error("no answer within the time waited; it may still come")]
    TimedOut,
    /// The answer was taken before.
    #[error("the answer was already taken")]
    Taken,
}

/// One slot for an answer, from the allocator.
pub fn slot<R, E>(cancel: bool) -> (ReplySender<R, E>, Reply<R, E>) {
    let (sender, receiver) = oneshot::channel();
    let own = if cancel { ReplySender::Cancellable } else { ReplySender::Own };
    (own(sender), Reply(receiver))
}

impl<R, E> ReplySender<R, E> {
    /// Puts the answer and wakes who waits for it. Hands it back when nobody will take it.
    pub fn send(self, answer: Answer<R, E>) -> Option<Answer<R, E>> {
        let sender = match self {
            Self::Own(sender) | Self::Cancellable(sender) => Some(sender),
            Self::Shared(hedged) => {
                hedged.copies.finish(matches!(answer, Ok(_) | Err(AskError::Failed(_))))
            }
        };
        match sender {
            Some(sender) => sender.send(answer).err().map(oneshot::SendError::into_inner),
            None => Some(answer),
        }
    }

    /// Lets another copy of the task answer as well.
    pub fn share(self) -> (Self, Arc<Hedged<R, E>>) {
        let hedged = match self {
            Self::Own(sender) => Hedged::new(sender, false),
            Self::Cancellable(sender) => Hedged::new(sender, true),
            Self::Shared(hedged) => hedged,
        };
        (Self::Shared(Arc::clone(&hedged)), hedged)
    }
}

impl<R, E> Asker for ReplySender<R, E> {
    fn has_withdrawn(&self) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Cancellable(sender) => sender.is_closed(),
            Self::Shared(hedged) => hedged.has_withdrawn(),
        }
    }
}

impl<R, E> Hedged<R, E> {
    fn new(sender: oneshot::Sender<Answer<R, E>>, cancellable: bool) -> Arc<Self> {
        Arc::new(Self { copies: Race::new(sender), cancellable })
    }
}

impl<R, E> Asker for Hedged<R, E> {
    fn has_withdrawn(&self) -> bool {
        self.copies.is_over()
            || self.cancellable && self.copies.prize_is(oneshot::Sender::is_closed)
    }
}

impl<R, E> Reply<R, E> {
    /// Blocks until the answer is there: looks for it for some [50 microseconds](Self::wait_timeout), then
    /// sleeps.
    ///
    /// # Errors
    /// When the task ended without one.
    pub fn wait(mut self) -> Result<R, AskError<E>> {
        match self.look_for_a_while(|| true) {
            Some(answer) => answer,
            None => self.0.recv().unwrap_or(Err(AskError::Taken)),
        }
    }

    /// Blocks until the answer is there or the time is over; may be called again then.
    ///
    /// Looks for it for some 50 microseconds, all but the first of them between giving the core to
    /// other threads, then sleeps. To be woken takes as long, and costs who answers a system call. A
    /// time that is shorter than a tenth of a millisecond is slept from the first.
    ///
    /// # Errors
    /// [`AskError::TimedOut`], or when the task ended without an answer.
    pub fn wait_timeout(&mut self, time: Duration) -> Result<R, AskError<E>> {
        let mut left = time;
        if time >= WORTH_LOOKING {
            let begun = Instant::now();
            if let Some(answer) = self.look_for_a_while(|| begun.elapsed() < time) {
                return answer;
            }
            left = time.saturating_sub(begun.elapsed());
        }
        self.0.recv_timeout(left).unwrap_or_else(|error| {
            Err(match error {
                oneshot::RecvTimeoutError::Timeout => AskError::TimedOut,
                oneshot::RecvTimeoutError::Disconnected => AskError::Taken,
            })
        })
    }

    fn look_for_a_while(&mut self, may_wait: impl Fn() -> bool) -> Option<Answer<R, E>> {
        for look in 0..LOOKS {
            if let Some(answer) = self.try_recv() {
                return Some(answer);
            }
            match look {
                ..SPINS => (0..PAUSES.min(1 << look)).for_each(|_| hint::spin_loop()),
                // Others may have the core for long.
                _ if may_wait() => thread::yield_now(),
                _ => break,
            }
        }
        None
    }

    /// The answer, if it is there. Never blocks.
    pub fn try_recv(&mut self) -> Option<Result<R, AskError<E>>> {
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
