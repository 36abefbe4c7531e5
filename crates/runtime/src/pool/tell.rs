use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::ask::Waits;
use crate::blocking::Awaiting;
use crate::error::SendError;

/// A message that was sent with [`tell_async`](crate::Pool::tell_async), and may still wait for room.
///
/// `tell_async` submits the task at once; the future is ready when it was admitted or refused. Callers
/// that wait for room of one worker get it in the order in which they came, threads and futures alike.
/// Dropping the future ends the wait and drops the message; a task that was admitted stays admitted. A task
/// whose worker leaves the pool while it waits is sent to another when the future is polled.
///
/// Ready at once, without an allocation, unless it waits. Polled again after it was ready, it stays pending.
///
/// ```
/// # use raddle_core::WorkerSpec;
/// # use raddle_runtime::{Actor, Context, Handler, Overflow, Pool};
/// # struct Doubler;
/// # impl Actor for Doubler {}
/// # impl Handler<u64> for Doubler {
/// #     type Reply = u64;
/// #     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 { 2 * number }
/// # }
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let pool = Pool::builder("double").workers(1, WorkerSpec::general()).mailbox(4, Overflow::Block);
/// let pool = pool.spawn(|_| Doubler)?;
/// for number in 0..100 {
///     pool.tell_async(number).await?; // other futures go on meanwhile
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it may end a wait for room, and drops the message then"]
pub struct Tell<M>(State<M>);

enum State<M> {
    /// Boxed, so that a `Tell` is small.
    Waits {
        waits: Box<dyn Waits<M>>,
        /// Since the last poll in vain, if an async handler waits.
        #[expect(dead_code, reason = "held")]
        awaiting: Option<Awaiting>,
    },
    Done(Result<(), SendError<M>>),
    Taken,
}

impl<M> Tell<M> {
    pub(super) fn done(result: Result<(), SendError<M>>) -> Self {
        Self(State::Done(result))
    }

    pub(super) fn waiting(waits: Box<dyn Waits<M>>) -> Self {
        Self(State::Waits { waits, awaiting: None })
    }
}

impl<M> Future for Tell<M> {
    type Output = Result<(), SendError<M>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.0, State::Taken) {
            State::Done(result) => Poll::Ready(result),
            State::Taken => Poll::Pending,
            State::Waits { mut waits, .. } => {
                let polled = waits.poll(cx.waker());
                if polled.is_pending() {
                    self.0 = State::Waits { waits, awaiting: Awaiting::begin() };
                }
                polled
            }
        }
    }
}

// The message is only ever moved.
impl<M> Unpin for Tell<M> {}

impl<M> fmt::Debug for Tell<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tell").finish_non_exhaustive()
    }
}
