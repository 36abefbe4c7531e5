use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use oneshot::{Receiver, RecvTimeoutError, TryRecvError};
use thiserror::Error;

use crate::SendError;
use crate::mailbox::Backoff;
use crate::reply::{Answer, NoReply};

/// A message of type `M` that was sent with [`ask`](crate::Pool::ask), and its reply to come.
///
/// `ask` submits the task at once; the `Ask` receives the reply, or the message if the task was
/// refused. A thread waits for it with [`wait`](Self::wait), a future with `.await` on any executor.
/// Dropping an `Ask` is not an error: the task runs and its reply is discarded, unless it was to be
/// [cancelled](crate::TaskBuilder::cancel_on_drop).
///
/// ```
/// # use raddle_core::WorkerSpec;
/// # use raddle_runtime::{Actor, Context, Handler, Pool};
/// # struct Doubler;
/// # impl Actor for Doubler {}
/// # impl Handler<u64> for Doubler {
/// #     type Reply = u64;
/// #     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 { 2 * number }
/// # }
/// # let pool = Pool::builder("double").workers(2, WorkerSpec::general()).spawn(|_| Doubler)?;
/// let (first, second) = (pool.ask(1), pool.ask(2)); // both are under way
/// assert_eq!(first.wait()? + second.wait()?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a reply that nobody waits for could have been a `tell`"]
pub struct Ask<M, R>(Result<Receiver<Answer<R>>, Refused<M>>);

/// Boxed, so that an `Ask` is two words. `None` once it was received.
type Refused<M> = Option<Box<SendError<M>>>;

/// An [`Ask`] being awaited.
#[must_use = "futures do nothing unless polled"]
pub struct AskFuture<M, R>(Result<<Receiver<Answer<R>> as IntoFuture>::IntoFuture, Refused<M>>);

/// Why an [`Ask`] has no reply.
#[derive(Error)]
#[non_exhaustive]
pub enum AskError<M> {
    /// The task was not admitted; the error holds the message.
    #[error("the task was refused")]
    Refused(#[source] SendError<M>),
    /// The handler panicked.
    #[error("the handler panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The deadline passed before the task ran.
    #[error("the deadline passed before the task ran")]
    Expired,
    /// The pool was shut down, or the task withdrawn, before the task ran.
    #[error("the task was cancelled before it ran")]
    Cancelled,
    /// The task was dropped because the pool is overloaded; see [`Overflow`](crate::Overflow) and
    /// [`CoDel`](crate::CoDel).
    #[error("the task was shed because the pool is overloaded")]
    Shed,
    /// The task's worker was retired before the task ran, and no other worker could take it.
    #[error("the task's worker was retired before the task ran, and no other could take it")]
    Retired,
    /// The timeout of [`Ask::wait_timeout`] has passed; the reply may still come.
    #[error("no reply within the timeout; it may still come")]
    TimedOut,
    /// The reply was already received.
    #[error("the reply was already received")]
    Taken,
}

/// Polls for a reply before its asker parks, the first of them with pauses in between. A checker
/// explores each of them, so one is enough there.
const POLLS: u32 = if cfg!(loom) { 1 } else { 120 };
const SPINS: u32 = 16;
/// A shorter timeout would be spent on polling alone.
const WORTH_POLLING: Duration = Duration::from_micros(100);

impl<M, R> Ask<M, R> {
    #[inline]
    pub(crate) fn admitted(receiver: Receiver<Answer<R>>) -> Self {
        Self(Ok(receiver))
    }

    #[cold]
    pub(crate) fn refused(error: SendError<M>) -> Self {
        Self(Err(Some(Box::new(error))))
    }

    /// Returns this `Ask` if its task was admitted.
    ///
    /// # Errors
    /// The refusal, with the message.
    pub fn into_admitted(self) -> Result<Self, SendError<M>> {
        match self.0 {
            Err(Some(error)) => Err(*error),
            other => Ok(Self(other)),
        }
    }

    /// Blocks until the reply is there: polls for it for about 50 microseconds, then parks.
    ///
    /// # Errors
    /// If the task was refused, or ended without a reply.
    pub fn wait(mut self) -> Result<R, AskError<M>> {
        match self.poll_while(|| true) {
            Some(result) => result,
            None => match self.0 {
                Ok(receiver) => received(receiver.recv()),
                Err(refusal) => Err(AskError::from_refusal(refusal)),
            },
        }
    }

    /// Blocks until the reply is there or `timeout` has passed; it may then be called again.
    ///
    /// A timeout of at least 100 microseconds begins with polling, as in [`wait`](Self::wait): being
    /// woken takes about as long, and costs the worker a system call.
    ///
    /// # Errors
    /// [`AskError::TimedOut`]; or if the task was refused, or ended without a reply.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<R, AskError<M>> {
        let mut left = timeout;
        if timeout >= WORTH_POLLING {
            let begun = Instant::now();
            if let Some(result) = self.poll_while(|| begun.elapsed() < timeout) {
                return result;
            }
            left = timeout.saturating_sub(begun.elapsed());
        }
        match &mut self.0 {
            Ok(receiver) => match receiver.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) => Err(AskError::TimedOut),
                answer => received(answer),
            },
            Err(refusal) => Err(AskError::from_refusal(refusal.take())),
        }
    }

    /// Returns the reply if it is there. Never blocks.
    pub fn try_recv(&mut self) -> Option<Result<R, AskError<M>>> {
        match &mut self.0 {
            Ok(receiver) => match receiver.try_recv() {
                Err(TryRecvError::Empty) => None,
                answer => Some(received(answer)),
            },
            Err(refusal) => Some(Err(AskError::from_refusal(refusal.take()))),
        }
    }

    /// Polls for the reply for as long as that is worth it and `may_wait`.
    fn poll_while(&mut self, may_wait: impl Fn() -> bool) -> Option<Result<R, AskError<M>>> {
        let mut backoff = Backoff::new(SPINS, POLLS);
        loop {
            if let Some(result) = self.try_recv() {
                return Some(result);
            }
            // A yield may take long.
            if (backoff.is_yielding() && !may_wait()) || !backoff.wait() {
                return None;
            }
        }
    }
}

impl<M, R> IntoFuture for Ask<M, R> {
    type Output = Result<R, AskError<M>>;
    type IntoFuture = AskFuture<M, R>;

    fn into_future(self) -> AskFuture<M, R> {
        AskFuture(self.0.map(Receiver::into_future))
    }
}

impl<M, R> Future for AskFuture<M, R> {
    type Output = Result<R, AskError<M>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(receiver) => Pin::new(receiver).poll(cx).map(received),
            Err(refusal) => Poll::Ready(Err(AskError::from_refusal(refusal.take()))),
        }
    }
}

// The message is only ever moved.
impl<M, R> Unpin for AskFuture<M, R> {}

/// Converts what a slot held; a slot without a sender was emptied before.
fn received<M, R, E>(answer: Result<Answer<R>, E>) -> Result<R, AskError<M>> {
    match answer {
        Ok(answer) => answer.map_err(AskError::from),
        Err(_) => Err(AskError::Taken),
    }
}

impl<M> AskError<M> {
    #[cold]
    fn from_refusal(refusal: Refused<M>) -> Self {
        refusal.map_or(Self::Taken, |error| Self::Refused(*error))
    }

    /// Returns the message, if the task was refused.
    pub fn into_message(self) -> Option<M> {
        match self {
            Self::Refused(error) => Some(error.into_message()),
            _ => None,
        }
    }

    /// Returns whether the task was refused because a mailbox is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Refused(error) if error.is_full())
    }

    /// Returns whether the pool takes no more tasks: sending again cannot help.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Refused(error) if error.is_closed())
    }

    /// Returns whether the pool was too busy for the task: it was refused for lack of room, shed, or
    /// expired.
    pub fn is_overload(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_overload(),
            Self::Shed | Self::Expired => true,
            _ => false,
        }
    }
}

impl<M> From<NoReply> for AskError<M> {
    fn from(reason: NoReply) -> Self {
        match reason {
            NoReply::Panicked(message) => Self::Panicked { message },
            NoReply::Expired => Self::Expired,
            NoReply::Cancelled => Self::Cancelled,
            NoReply::Shed => Self::Shed,
            NoReply::Retired => Self::Retired,
        }
    }
}

// By hand, so that the message needs neither `Debug` nor anything else.
impl<M> fmt::Debug for AskError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
            Self::Panicked { message } => {
                f.debug_struct("Panicked").field("message", message).finish()
            }
            Self::Expired => f.write_str("Expired"),
            Self::Cancelled => f.write_str("Cancelled"),
            Self::Shed => f.write_str("Shed"),
            Self::Retired => f.write_str("Retired"),
            Self::TimedOut => f.write_str("TimedOut"),
            Self::Taken => f.write_str("Taken"),
        }
    }
}

impl<M, R> fmt::Debug for Ask<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").finish_non_exhaustive()
    }
}

impl<M, R> fmt::Debug for AskFuture<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskFuture").finish_non_exhaustive()
    }
}
