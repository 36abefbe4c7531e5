//! A pool of which only the messages are known.

use std::fmt;
use std::sync::{Arc, mpsc};

use super::handle::Pool;
use super::tell::Tell;
use crate::error::{Refusal, SendError};

/// Stands for any pool that accepts messages of type `M`, whatever its replies are; in tests, for a channel
/// or a closure. Created by [`Pool::recipient`].
///
/// A cheap handle, `Send` and `Sync`: clones share what they stand for. That of a pool keeps the pool
/// alive, like a [`Pool`]. Sending costs an indirect call more than the pool's own `tell`.
///
/// ```
/// use std::sync::mpsc;
/// use raddle_runtime::{Recipient, SendError};
///
/// /// Sends each line to a recipient, and knows nothing else of it.
/// fn feed(lines: &str, to: &Recipient<String>) -> Result<(), SendError<String>> {
///     lines.lines().try_for_each(|line| to.tell(line.to_owned()))
/// }
///
/// // In the program: `feed(text, &pool.recipient())`. In a test:
/// let (sender, received) = mpsc::channel();
/// feed("one\ntwo", &Recipient::from(sender))?;
/// assert_eq!(received.try_iter().collect::<Vec<_>>(), ["one", "two"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recipient<M>(Arc<dyn Receive<M>>);

/// What a recipient stands for.
trait Receive<M>: Send + Sync {
    fn tell(&self, msg: M) -> Result<(), SendError<M>>;
    fn try_tell(&self, msg: M) -> Result<(), SendError<M>>;
    fn tell_async(&self, msg: M) -> Tell<M>;
}

impl<M> Recipient<M> {
    /// Creates a recipient that passes each message to `receive`, on the thread of its sender.
    ///
    /// ```
    /// use raddle_runtime::{Recipient, Refusal, SendError};
    ///
    /// let full = Recipient::from_fn(|line: String| Err(SendError::new(Refusal::Full, line)));
    /// assert!(full.tell("one".into()).is_err_and(|error| error.is_full()));
    /// ```
    pub fn from_fn(
        receive: impl Fn(M) -> Result<(), SendError<M>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Function(receive)))
    }

    /// Sends a message, as [`Pool::tell`] does: under some overflow policies this blocks until there is
    /// room.
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    pub fn tell(&self, msg: M) -> Result<(), SendError<M>> {
        self.0.tell(msg)
    }

    /// Sends a message, and never waits for room.
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    pub fn try_tell(&self, msg: M) -> Result<(), SendError<M>> {
        self.0.try_tell(msg)
    }

    /// Sends a message; where [`tell`](Self::tell) would wait for room, the returned future does.
    pub fn tell_async(&self, msg: M) -> Tell<M> {
        self.0.tell_async(msg)
    }
}

impl<M: Send + 'static, R: Send + 'static> Pool<M, R> {
    /// Returns a handle to the pool that hides what it replies. Allocates.
    pub fn recipient(&self) -> Recipient<M> {
        Recipient(Arc::new(self.clone()))
    }
}

impl<M: Send + 'static, R: Send + 'static> Receive<M> for Pool<M, R> {
    fn tell(&self, msg: M) -> Result<(), SendError<M>> {
        Pool::tell(self, msg)
    }

    fn try_tell(&self, msg: M) -> Result<(), SendError<M>> {
        Pool::try_tell(self, msg)
    }

    fn tell_async(&self, msg: M) -> Tell<M> {
        Pool::tell_async(self, msg)
    }
}

struct Function<F>(F);

impl<M, F> Receive<M> for Function<F>
where
    F: Fn(M) -> Result<(), SendError<M>> + Send + Sync,
{
    fn tell(&self, msg: M) -> Result<(), SendError<M>> {
        (self.0)(msg)
    }

    fn try_tell(&self, msg: M) -> Result<(), SendError<M>> {
        (self.0)(msg)
    }

    fn tell_async(&self, msg: M) -> Tell<M> {
        Tell::done((self.0)(msg))
    }
}

impl<M: Send + 'static, R: Send + 'static> From<Pool<M, R>> for Recipient<M> {
    fn from(pool: Pool<M, R>) -> Self {
        Self(Arc::new(pool))
    }
}

/// For tests: the messages are received from the channel. Once its receiver is dropped, they are refused as
/// [`Closed`](Refusal::Closed).
impl<M: Send + 'static> From<mpsc::Sender<M>> for Recipient<M> {
    fn from(sender: mpsc::Sender<M>) -> Self {
        Self::from_fn(move |msg| {
            sender.send(msg).map_err(|refused| SendError::new(Refusal::Closed, refused.0))
        })
    }
}

impl<M> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient")
    }
}
