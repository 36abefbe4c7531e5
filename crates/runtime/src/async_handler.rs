use crate::actor::{Actor, Reply};
use crate::async_context::AsyncContext;

/// Handles messages of type `M` in an `async fn`.
///
/// [`PoolBuilder::spawn_async`](crate::PoolBuilder::spawn_async) creates a pool of such actors. Each
/// worker runs **one message at a time**, and the handler has `&mut self` across its awaits. While it
/// waits, the worker's thread parks; other messages wait in the mailbox, or are stolen by idle
/// workers. Handlers that [share](SharedHandler) their actor run side by side.
///
/// # The future need not be `Send`
/// A handler's future is created, polled and dropped on its worker's own thread and never leaves it, as
/// the actor does not. So it may hold an `Rc` or a `RefCell`'s guard across an await, and there is no
/// bound to write. Messages and replies do travel between threads, and must be `Send`.
///
/// # When a handler is dropped
/// A handler that waits is dropped, at the await where it is, when
///
/// - the task's deadline passes: the task ends as [`Expired`](raddle_core::Outcome::Expired);
/// - its [`Ask`](crate::Ask) is dropped and was to [cancel](crate::TaskBuilder::cancel_on_drop) it, or
///   the pool's shutdown reaches its time limit: the task ends as
///   [`Cancelled`](raddle_core::Outcome::Cancelled);
/// - it waits for longer than the [await limit](crate::PoolBuilder::await_limit), that is, it *hangs*: the task ends as cancelled, and its asker gets
///   [`AskError::Hung`](crate::AskError::Hung).
///
/// The actor may be half changed then, so it ends by [`on_stop`](Actor::on_stop) and is restarted, as
/// the pool's [`Restarts`](crate::Restarts) say, at once. A handler that hung counts for their limit,
/// as one that panicked does; for the others, their policy alone matters. A handler that does not wait cannot
/// be dropped: it must return or await. The copy of a hedged task that is not needed any more goes on, as
/// in a plain handler.
///
/// # What may be awaited
/// Any future: raddle brings no I/O, and a handler's waker may be used from any thread. Where a future
/// needs an executor around it, such as tokio's timers and sockets, use
/// [`PoolBuilder::enter`](crate::PoolBuilder::enter).
///
/// # Cost
/// A handler that does not wait costs about 55 ns more than a plain one. Its future is part of one
/// that is allocated when the actor starts, so no task allocates, however large the future is. A handler
/// that waits costs the parking and waking of a thread.
///
/// ```
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::{Actor, AskError, AsyncContext, AsyncHandler, Context, Handler, Pool};
///
/// struct Doubler;
///
/// impl Actor for Doubler {}
///
/// impl Handler<u64> for Doubler {
///     type Reply = u64;
///
///     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
///         2 * number
///     }
/// }
///
/// /// Uses a pool of doublers.
/// struct Client {
///     doublers: Pool<u64, u64>,
///     calls: u64,
/// }
///
/// impl Actor for Client {}
///
/// impl AsyncHandler<u64> for Client {
///     type Reply = Result<u64, AskError<u64>>;
///
///     async fn handle(&mut self, number: u64, _: &mut AsyncContext<'_, Self>) -> Self::Reply {
///         self.calls += 1;
///         Ok(self.doublers.ask(number).await? + 1)
///     }
/// }
///
/// let doublers = Pool::builder("double").workers(1, WorkerSpec::general()).spawn(|_| Doubler)?;
/// let clients = Pool::builder("client")
///     .workers(2, WorkerSpec::general())
///     .spawn_async(move |_| Client { doublers: doublers.clone(), calls: 0 })?;
/// assert_eq!(clients.ask(3).wait()??, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait AsyncHandler<M: Send + 'static>: Actor {
    /// What an asker receives.
    type Reply: Reply;

    /// Handles one message, on the worker's thread. Written as an `async fn`.
    fn handle(
        &mut self,
        msg: M,
        cx: &mut AsyncContext<'_, Self>,
    ) -> impl Future<Output = Self::Reply>;
}

/// Handles messages of type `M` in an `async fn`, several at a time.
///
/// [`PoolBuilder::spawn_concurrent`](crate::PoolBuilder::spawn_concurrent) creates a pool of such actors,
/// each of whose workers runs up to a number of messages side by side, on its one thread. The handlers
/// share the actor by `&self`; what they change is in a `Cell`, a `RefCell` or the like, of which no guard
/// should be held across an await. Messages of one [key](crate::TaskBuilder::key) still run one after the
/// other.
///
/// The rest is as for an [`AsyncHandler`], with two differences:
///
/// - **An actor is not restarted** when one of its handlers is
///   [dropped](AsyncHandler#when-a-handler-is-dropped): the others go on with it. An `await` is where
///   other handlers see the actor anyway, so it is half changed at none.
/// - **A panic lets the others end first.** Then the actor is restarted. Until then, its worker starts no
///   more messages. The same holds for an actor that stops itself.
///
/// A worker counts as idle for strategies while it can start another message. The
/// [service time](raddle_core::WorkerStats::service) of a message is from its start to its end, without
/// waits inside raddle; the [core time](raddle_core::WorkerStats::core_time) says for how long handlers
/// ran.
///
/// Every handler of an actor has a slot that is allocated when the actor starts, with room for its future.
/// A task allocates nothing; one that is dropped has its slot allocated again.
///
/// ```
/// use std::cell::Cell;
///
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::{Actor, AsyncContext, Pool, SharedHandler};
///
/// #[derive(Default)]
/// struct Counter(Cell<u64>);
///
/// impl Actor for Counter {}
///
/// impl SharedHandler<u64> for Counter {
///     type Reply = u64;
///
///     async fn handle(&self, by: u64, _: &mut AsyncContext<'_, Self>) -> u64 {
///         self.0.update(|sum| sum + by);
///         self.0.get()
///     }
/// }
///
/// let pool = Pool::builder("count")
///     .workers(1, WorkerSpec::general())
///     .spawn_concurrent(16, |_| Counter::default())?;
/// assert_eq!(pool.ask(7).wait()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SharedHandler<M: Send + 'static>: Actor {
    /// What an asker receives.
    type Reply: Reply;

    /// Handles one message, on the worker's thread. Written as an `async fn`.
    fn handle(&self, msg: M, cx: &mut AsyncContext<'_, Self>) -> impl Future<Output = Self::Reply>;
}

/// A message that either reads its actor or changes it, for
/// [`PoolBuilder::spawn_read_write`](crate::PoolBuilder::spawn_read_write).
pub trait ReadWrite {
    /// Returns whether the message only reads: it is handled by [`SharedHandler`], beside others. One that
    /// writes is handled by [`AsyncHandler`], alone. Called on the worker's thread, whenever the message may
    /// be next; a panic counts as `false`.
    fn is_read(&self) -> bool;
}
