//! Tasks that another pool answers in place of the handler that forwards them.

use super::handle::Pool;
use crate::actor::Reply;
use crate::context::Context;
use crate::deferred::Deferred;
use crate::error::SendError;

impl<A> Context<'_, A> {
    /// Forwards the running task: sends `msg` to another pool, which answers the asker in place of this
    /// handler. The handler returns the [`Deferred`]. [`TaskBuilder::forward`](crate::TaskBuilder::forward)
    /// does so with options.
    ///
    /// The other task has the deadline of this one. It is cancelled when this one is no longer wanted,
    /// and follows from this handler's span. Each pool counts its own task. This one is in flight until
    /// the other one has ended, and ends like it, except that a panic there counts as cancelled here: it
    /// is no fault of this worker. If the pool is shut down meanwhile, what holds for any [deferred
    /// reply](Self::defer) holds here.
    ///
    /// Waits for room in the other pool as [`tell`](Pool::tell) does, and costs what
    /// [`defer`](Self::defer) does.
    ///
    /// # Errors
    /// Returns the message if the task was not admitted. The handler then replies itself, or forwards to
    /// another pool.
    ///
    /// ```
    /// use raddle_core::WorkerSpec;
    /// use raddle_runtime::{Actor, Context, Deferred, Handler, Pool};
    ///
    /// struct Parse(Pool<u64, u64>);
    /// struct Square;
    ///
    /// impl Actor for Parse {}
    /// impl Actor for Square {}
    ///
    /// impl Handler<String> for Parse {
    ///     type Reply = Deferred<u64>;
    ///
    ///     fn handle(&mut self, text: String, cx: &mut Context<'_, Self>) -> Deferred<u64> {
    ///         match text.parse() {
    ///             Ok(number) => cx.forward(&self.0, number).unwrap_or_else(|_| Deferred::ready(0)),
    ///             Err(_) => Deferred::ready(0),
    ///         }
    ///     }
    /// }
    ///
    /// impl Handler<u64> for Square {
    ///     type Reply = u64;
    ///
    ///     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
    ///         number * number
    ///     }
    /// }
    ///
    /// let square = Pool::builder("square").workers(1, WorkerSpec::general()).spawn(|_| Square)?;
    /// let parse = Pool::builder("parse")
    ///     .workers(1, WorkerSpec::general())
    ///     .spawn(move |_| Parse(square.clone()))?;
    /// assert_eq!(parse.ask("12".into()).wait()?, 144);
    /// assert_eq!(parse.ask("twelve".into()).wait()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward<N, R>(&self, pool: &Pool<N, R>, msg: N) -> Result<Deferred<R>, SendError<N>>
    where
        N: Send + 'static,
        R: Reply,
    {
        pool.task(msg).forward(self)
    }
}
