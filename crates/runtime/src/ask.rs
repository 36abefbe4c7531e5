use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use oneshot::{Receiver, RecvTimeoutError, TryRecvError};
use raddle_sync::{fibers, time};
use thiserror::Error;

use crate::awaited::Awaited;
use crate::blocking::{self, Awaiting, InVain};
use crate::deadlock::Target;
use crate::desk::Wanted;
use crate::error::{Refusal, SendError};
use crate::mailbox::{Backoff, Notify};
use crate::reply::{NoReply, SharedReply, Stored};

/// A message of type `M` that was sent with [`ask`](crate::Pool::ask), and its reply to come.
///
/// `ask` submits the task at once and never blocks. Where the [overflow policy](crate::Overflow) waits for
/// room, the `Ask` does; callers that wait for room of one worker get it in the order in which they came,
/// threads and futures alike. The `Ask` receives the reply, or the message if the task was refused. A thread
/// waits for it with [`wait`](Self::wait). It is a future, so `.await`, `join_all` and `select!` take it as it
/// is, on any executor.
///
/// Dropping an `Ask` is not an error: the task runs and its reply is discarded, unless it was to be
/// [cancelled](crate::TaskBuilder::cancel_on_drop). A task that still waits for room is not sent, though. One
/// whose worker leaves the pool while it waits is sent to another when the `Ask` is polled or waited for.
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
pub struct Ask<M, R> {
    /// Boxed, so that an `Ask` is three words. Dropped first: who announces that an asker has withdrawn must
    /// not receive.
    rest: Option<Box<Rest<M, R>>>,
    pending: Pending<R>,
}

/// What most asks have not.
struct Rest<M, R> {
    /// Why the task was not admitted.
    refused: Option<SendError<M>>,
    /// The wait for room.
    waits: Option<Box<dyn Waits<M>>>,
    /// What will be in `pending` when there is room.
    receiver: Option<Receiver<Stored<R>>>,
    /// The task of a worker's handler that asked.
    target: Option<Target>,
    /// The reply, once a future waits for it.
    awaited: Option<Awaited<Stored<R>>>,
    /// End the wait at the task's deadlines. Set when the future is first polled in vain.
    expiries: Option<[Option<Wanted>; 2]>,
    /// Since the last poll in vain, if an async handler waits.
    awaiting: Option<Awaiting>,
}

impl<M, R> Default for Rest<M, R> {
    fn default() -> Self {
        Self {
            refused: None,
            waits: None,
            receiver: None,
            target: None,
            awaited: None,
            expiries: None,
            awaiting: None,
        }
    }
}

/// An admitted task's reply to come.
struct Pending<R> {
    /// `None` if the task was not admitted (yet), the wait is over, or a future waits.
    receiver: Option<Receiver<Stored<R>>>,
    shared: Option<Arc<SharedReply<R>>>,
}

/// A task that waits for room, as its caller sees it. Dropping it ends the wait, and drops the message.
pub(crate) trait Waits<M>: Send {
    /// Returns whether the task was sent or refused. If not, `waker` is woken when that may have changed.
    fn poll(&mut self, waker: &Waker) -> Poll<Result<(), SendError<M>>>;
}

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
    /// The deadline passed before the task ran, before its [deferred](crate::Context::defer) reply, or while
    /// its async handler waited.
    #[error("the deadline passed before the task ran or its reply came")]
    Expired,
    /// The pool was shut down, or the task withdrawn, before the task ran or while its async handler
    /// waited.
    #[error("the task was cancelled before it ran or its async handler ended")]
    Cancelled,
    /// The pool's shutdown reached its time limit while the task was running, or its
    /// [deferred](crate::Context::defer) reply was owed. The reply, if there will be one, is discarded.
    #[error("the pool was shut down while the task was running")]
    ShutDown,
    /// The async handler waited for longer than the pool's
    /// [await limit](crate::PoolBuilder::await_limit), and was dropped. Or a handler beside it did not come
    /// back from a poll, and the watchdog gave up their thread.
    #[error("the handler hung, and was dropped")]
    Hung,
    /// The task was dropped because the pool is overloaded; see [`Overflow`](crate::Overflow) and
    /// [`CoDel`](crate::CoDel).
    #[error("the task was shed because the pool is overloaded")]
    Shed,
    /// The task's worker was retired before the task ran, and no other worker could take it.
    #[error("the task's worker was retired before the task ran, and no other could take it")]
    Retired,
    /// The handler [deferred](crate::Context::defer) its reply, and what was to send it was dropped: the
    /// [`Replier`](crate::Replier).
    #[error("the handler deferred its reply, and dropped what was to send it")]
    Unanswered,
    /// The handler [gave up](crate::Context::give_up), or what was to send its deferred reply did.
    #[error("the handler gave up: {reason}")]
    GaveUp {
        /// Why.
        reason: String,
    },
    /// The handler that waits would wait forever: only workers whose handlers wait for each other, this
    /// one among them, could run the task. Noticed within some tenths of a second, for
    /// [`wait`](Ask::wait) and [`wait_timeout`](Ask::wait_timeout) alone. The task stays in its mailbox.
    #[error("the handler waits for itself; waiting for each other: {}", .workers.join(", "))]
    Deadlock {
        /// The workers that wait for each other, each as `pool/worker`.
        workers: Vec<String>,
    },
    /// The timeout of [`Ask::wait_timeout`] has passed, and the reply may still come; or that of
    /// [`ask_within`](crate::Pool::ask_within), and it will not.
    #[error("no reply within the timeout")]
    TimedOut,
    /// The reply was already received.
    #[error("the reply was already received")]
    Taken,
}

/// Polls for a reply before its asker parks, the first of them with pauses in between. A checker
/// explores each of them, so one is enough there.
const POLLS: u32 = if cfg!(loom) { 1 } else { 120 };
const SPINS: u32 = if cfg!(loom) { 1 } else { 16 };
/// A shorter timeout would be spent on polling alone.
const WORTH_POLLING: Duration = Duration::from_micros(100);

impl<M, R> Ask<M, R> {
    #[inline]
    pub(crate) fn admitted(
        receiver: Receiver<Stored<R>>,
        shared: Option<Arc<SharedReply<R>>>,
    ) -> Self {
        Self { rest: None, pending: Pending { receiver: Some(receiver), shared } }
    }

    /// The same of a handler, which must not wait for itself.
    #[cold]
    pub(crate) fn by_handler(mut self, target: Target) -> Self {
        self.rest().target = Some(target);
        self
    }

    /// An ask whose task waits for room.
    #[cold]
    pub(crate) fn waiting(
        receiver: Receiver<Stored<R>>,
        shared: Option<Arc<SharedReply<R>>>,
        waits: Box<dyn Waits<M>>,
        target: Option<Target>,
    ) -> Self {
        let mut ask = Self { rest: None, pending: Pending { receiver: None, shared } };
        let rest = ask.rest();
        (rest.waits, rest.receiver, rest.target) = (Some(waits), Some(receiver), target);
        ask
    }

    #[cold]
    pub(crate) fn refused(error: SendError<M>) -> Self {
        let mut ask = Self { rest: None, pending: Pending { receiver: None, shared: None } };
        ask.rest().refused = Some(error);
        ask
    }

    fn rest(&mut self) -> &mut Rest<M, R> {
        self.rest.get_or_insert_default()
    }

    /// Returns this `Ask` if its task was admitted. Blocks while the task waits for room.
    ///
    /// # Errors
    /// The refusal, with the message.
    pub fn into_admitted(mut self) -> Result<Self, SendError<M>> {
        if self.waits_for_room() {
            let woken = Notify::default();
            let waker = woken.waker();
            blocking::waiting(|| {
                while self.poll_room(&waker).is_pending() {
                    woken.wait();
                }
            });
        }
        match self.refusal() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// Takes the refusal, if the task was not admitted.
    fn refusal(&mut self) -> Option<SendError<M>> {
        self.rest.as_mut()?.refused.take()
    }

    fn waits_for_room(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.waits.is_some())
    }

    /// Pending while the task waits for room.
    fn poll_room(&mut self, waker: &Waker) -> Poll<()> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(()) };
        let Some(waits) = &mut rest.waits else { return Poll::Ready(()) };
        match ready!(waits.poll(waker)) {
            Ok(()) => self.pending.receiver = rest.receiver.take(),
            Err(error) => (rest.refused, rest.receiver, rest.awaited) = (Some(error), None, None),
        }
        rest.waits = None;
        Poll::Ready(())
    }

    /// Blocks until the reply is there: polls for it for about 50 microseconds, then parks. Also waits
    /// for room, if the task does. If the task has a deadline and has not started by then, the wait ends
    /// there; a handler that has started is waited for, up to the limit of
    /// [`ask_within`](crate::Pool::ask_within).
    ///
    /// # Errors
    /// If the task was refused, or ended without a reply.
    pub fn wait(mut self) -> Result<R, AskError<M>> {
        self.wait_for(None)
    }

    /// Blocks until the reply is there or `timeout` has passed; it may then be called again.
    /// Otherwise as [`wait`](Self::wait).
    ///
    /// A timeout of at least 100 microseconds begins with polling: being woken takes about as long,
    /// and costs the worker a system call.
    ///
    /// # Errors
    /// [`AskError::TimedOut`]; or if the task was refused, or ended without a reply.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<R, AskError<M>> {
        self.wait_for(Some(timeout))
    }

    /// Returns the reply if it is there, or why there is none. Never blocks.
    #[inline]
    pub fn try_recv(&mut self) -> Option<Result<R, AskError<M>>> {
        if self.pending.receiver.is_none() {
            return self.try_recv_otherwise();
        }
        self.pending.try_recv()
    }

    /// [`try_recv`](Self::try_recv) without the thread's receiver.
    #[cold]
    fn try_recv_otherwise(&mut self) -> Option<Result<R, AskError<M>>> {
        match self.poll_reply(Waker::noop(), false) {
            Poll::Ready(result) => Some(result),
            Poll::Pending if self.waits_for_room() => None,
            Poll::Pending => self.give_up().map(Err),
        }
    }

    /// Ends the wait if its time is over.
    fn give_up(&mut self) -> Option<AskError<M>> {
        let why = self.pending.give_up()?;
        self.rest().awaited = None;
        Some(why)
    }

    /// Polls for room and then for the reply. `waker` is woken for what is not there, except for a reply
    /// that no future has waited for, or if it is not to be set.
    fn poll_reply(&mut self, waker: &Waker, sets_waker: bool) -> Poll<Result<R, AskError<M>>> {
        let waits = self.poll_room(waker).is_pending();
        if let Some(error) = self.refusal() {
            return Poll::Ready(Err(AskError::Refused(error)));
        }
        let awaited = self.rest.as_mut().and_then(|rest| rest.awaited.as_mut());
        match (awaited, &self.pending.receiver) {
            (Some(awaited), _) => {
                if !sets_waker && !awaited.is_ready() {
                    return Poll::Pending;
                }
                let received = ready!(awaited.poll(&mut Context::from_waker(waker)));
                self.rest().awaited = None;
                Poll::Ready(match received {
                    Ok(answer) => answered(answer),
                    Err(_) => Err(AskError::Taken),
                })
            }
            (None, _) if waits => Poll::Pending,
            (None, None) => Poll::Ready(Err(AskError::Taken)),
            // Not `try_recv`, which may give up: a future is told by its timer.
            (None, Some(receiver)) => match receiver.try_recv() {
                Ok(answer) => Poll::Ready(answered(answer)),
                Err(TryRecvError::Disconnected) => Poll::Ready(Err(AskError::Taken)),
                Err(TryRecvError::Empty) => Poll::Pending,
            },
        }
    }

    #[inline]
    fn wait_for(&mut self, timeout: Option<Duration>) -> Result<R, AskError<M>> {
        let limit = timeout.map(|timeout| (time::now(), timeout));
        let polls = timeout.is_none_or(|timeout| timeout >= WORTH_POLLING);
        match if polls { self.spin() } else { None } {
            Some(result) => result,
            None => self.block(limit, polls),
        }
    }

    #[cold]
    fn block(&mut self, limit: Option<(Instant, Duration)>, polls: bool) -> Result<R, AskError<M>> {
        let left = || limit.map(|(begun, timeout)| timeout.saturating_sub(time::now() - begun));
        blocking::waiting(|| {
            if polls && let Some(result) = self.poll_while(|| left() != Some(Duration::ZERO)) {
                return result;
            }
            if let Some(result) = self.block_as_future(left) {
                return result;
            }
            let target = self.rest.as_ref().and_then(|rest| rest.target.as_ref());
            self.pending.recv(target, left)
        })
    }

    /// Blocks for room, and for the reply if the future's end waits for it. `None` if the thread's does.
    fn block_as_future(
        &mut self,
        left: impl Fn() -> Option<Duration>,
    ) -> Option<Result<R, AskError<M>>> {
        if self.pending.receiver.is_some() {
            return None;
        }
        let woken = Notify::default();
        let waker = woken.waker();
        loop {
            if let Poll::Ready(result) = self.poll_reply(&waker, true) {
                return Some(result);
            }
            let waits = self.waits_for_room();
            if !waits && self.pending.receiver.is_some() {
                return None;
            }
            if !waits && let Some(why) = self.give_up() {
                return Some(Err(why));
            }
            if left() == Some(Duration::ZERO) {
                return Some(Err(AskError::TimedOut));
            }
            let to_deadline = if waits { None } else { self.pending.to_deadline() };
            woken.wait_timeout(left().into_iter().chain(to_deadline).min());
        }
    }

    /// Polls for the reply for about a microsecond.
    fn spin(&mut self) -> Option<Result<R, AskError<M>>> {
        let mut backoff = Backoff::new(SPINS, SPINS);
        loop {
            let result = self.try_recv();
            if result.is_some() || !backoff.wait() {
                return result;
            }
        }
    }

    /// Then yields between polls, for as long as that is worth it and `may_wait`.
    fn poll_while(&mut self, may_wait: impl Fn() -> bool) -> Option<Result<R, AskError<M>>> {
        let mut backoff = Backoff::new(0, POLLS - SPINS);
        // A yield may take long.
        while may_wait() && backoff.wait() {
            let result = self.try_recv();
            if result.is_some() {
                return result;
            }
        }
        None
    }
}

/// Waits for the reply, for no longer than `limit` if there is one.
fn receive<R>(receiver: &Receiver<R>, limit: Option<Duration>) -> Result<R, RecvTimeoutError> {
    if fibers::is_active() {
        let poll = || match receiver.try_recv() {
            Ok(reply) => Some(Ok(reply)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvTimeoutError::Disconnected)),
            Err(TryRecvError::Empty) => None,
        };
        return fibers::wait_timeout(limit, poll).unwrap_or(Err(RecvTimeoutError::Timeout));
    }
    match limit {
        None => receiver.recv_ref().map_err(|_| RecvTimeoutError::Disconnected),
        Some(limit) => receiver.recv_timeout(limit),
    }
}

impl<R> Pending<R> {
    #[inline]
    fn try_recv<M>(&mut self) -> Option<Result<R, AskError<M>>> {
        let Some(receiver) = &self.receiver else { return Some(Err(AskError::Taken)) };
        match receiver.try_recv() {
            Ok(answer) => Some(answered(answer)),
            Err(TryRecvError::Disconnected) => Some(Err(AskError::Taken)),
            Err(TryRecvError::Empty) if self.shared.is_none() => None,
            Err(TryRecvError::Empty) => self.give_up().map(Err),
        }
    }

    fn to_deadline(&self) -> Option<Duration> {
        self.shared.as_ref().and_then(|shared| shared.to_deadline())
    }

    /// Blocks until the reply is there, no time is `left`, or the wait is in vain.
    fn recv<M>(
        &mut self,
        target: Option<&Target>,
        left: impl Fn() -> Option<Duration>,
    ) -> Result<R, AskError<M>> {
        loop {
            let Some(receiver) = &self.receiver else { return Err(AskError::Taken) };
            let limit = left().into_iter().chain(self.to_deadline()).min();
            let received = match (target, limit) {
                (Some(target), _) => {
                    let until = limit.and_then(|limit| time::now().checked_add(limit));
                    blocking::wait_for_reply(target, until, |time| {
                        match receive(receiver, Some(time)) {
                            Err(RecvTimeoutError::Timeout) => None,
                            received => Some(received.ok()),
                        }
                    })
                }
                (None, limit) => match receive(receiver, limit) {
                    Err(RecvTimeoutError::Timeout) => Err(InVain::TimedOut),
                    received => Ok(received.ok()),
                },
            };
            return match received {
                Ok(Some(answer)) => answered(answer),
                Ok(None) => Err(AskError::Taken),
                Err(InVain::Deadlock(workers)) => Err(AskError::Deadlock { workers }),
                Err(InVain::TimedOut) => match self.give_up() {
                    Some(why) => Err(why),
                    None if left() == Some(Duration::ZERO) => Err(AskError::TimedOut),
                    // The task has started, or the deadline has not quite passed by its clock.
                    None => continue,
                },
            };
        }
    }

    /// Ends the wait if its time is over: the task has not started by its deadline, or was not answered
    /// by its limit. Returns why.
    #[cold]
    #[inline(never)]
    fn give_up<M>(&mut self) -> Option<AskError<M>> {
        match &self.shared {
            Some(shared) if shared.give_up() => {
                let is_late = shared.is_late();
                self.receiver = None;
                Some(if is_late { AskError::TimedOut } else { AskError::Expired })
            }
            _ => None,
        }
    }
}

impl<R> Drop for Pending<R> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            self.receiver = None;
            shared.withdraw();
        }
    }
}

impl<M, R: Send + 'static> Ask<M, R> {
    /// This ask, which may be answered while its task waits for room, by a copy.
    pub(crate) fn hedged(mut self) -> Self {
        self.let_future_wait();
        self
    }

    fn let_future_wait(&mut self) {
        let kept = |rest: &mut Box<Rest<M, R>>| rest.receiver.take();
        let receiver = self.pending.receiver.take().or_else(|| self.rest.as_mut().and_then(kept));
        if let Some(receiver) = receiver {
            self.rest().awaited = Some(Awaited::new(receiver));
        }
    }
}

impl<M, R: Send + 'static> Future for Ask<M, R> {
    type Output = Result<R, AskError<M>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.poll_future(cx);
        if let Some(rest) = &mut self.rest {
            // Each time: another handler may await it than before.
            rest.awaiting = if polled.is_pending() { Awaiting::begin() } else { None };
        }
        polled
    }
}

impl<M, R: Send + 'static> Ask<M, R> {
    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, AskError<M>>> {
        if let Poll::Ready(result) = self.poll_reply(cx.waker(), true) {
            return Poll::Ready(result);
        }
        if self.waits_for_room() {
            return Poll::Pending;
        }
        if self.pending.receiver.is_some() {
            self.let_future_wait();
            if let Poll::Ready(result) = self.poll_reply(cx.waker(), true) {
                return Poll::Ready(result);
            }
        }
        if let (Some(rest), Some(shared)) = (&mut self.rest, &self.pending.shared) {
            rest.expiries.get_or_insert_with(|| shared.expire_in_time());
        }
        Poll::Pending
    }
}

// Neither is pinned: both are only ever moved.
impl<M, R> Unpin for Ask<M, R> {}

#[inline]
fn answered<M, R>(answer: Stored<R>) -> Result<R, AskError<M>> {
    match answer {
        Ok(reply) => Ok(reply.into_inner()),
        Err(why) => Err(why.into()),
    }
}

impl<M> AskError<M> {
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

    /// Returns whether the pool takes no more tasks, or was shut down while the task ran: sending again
    /// cannot help.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_closed(),
            Self::ShutDown => true,
            _ => false,
        }
    }

    /// Returns whether time ran out: that of the wait ([`TimedOut`](Self::TimedOut)), or that of the task, while
    /// it waited for room or to start.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Refused(error) => *error.refusal() == Refusal::Expired,
            Self::TimedOut | Self::Expired => true,
            _ => false,
        }
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
            NoReply::TimedOut => Self::TimedOut,
            NoReply::Cancelled => Self::Cancelled,
            NoReply::ShutDown => Self::ShutDown,
            NoReply::Hung => Self::Hung,
            NoReply::Shed => Self::Shed,
            NoReply::Retired => Self::Retired,
            NoReply::Unanswered => Self::Unanswered,
            NoReply::GaveUp(reason) => Self::GaveUp { reason: reason.into() },
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
            Self::ShutDown => f.write_str("ShutDown"),
            Self::Hung => f.write_str("Hung"),
            Self::Shed => f.write_str("Shed"),
            Self::Retired => f.write_str("Retired"),
            Self::Unanswered => f.write_str("Unanswered"),
            Self::GaveUp { reason } => f.debug_struct("GaveUp").field("reason", reason).finish(),
            Self::Deadlock { workers } => {
                f.debug_struct("Deadlock").field("workers", workers).finish()
            }
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
