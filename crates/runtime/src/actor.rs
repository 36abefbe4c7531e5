use raddle_core::Worker;

use crate::Context;

/// Why an actor could not start.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// What a worker runs: state, and a handler for one type of message.
///
/// Each worker of a pool has an actor of its own, made on the worker's thread by the function given
/// to [`PoolBuilder::spawn`](crate::PoolBuilder::spawn). It never leaves that thread and need not
/// be `Send`; messages, replies and errors travel and must be.
///
/// A panic in the handler ends that task alone, as
/// [`Panicked`](raddle_core::Outcome::Panicked): the actor is dropped and, as the pool's
/// [`Restarts`](crate::Restarts) say, made anew; the mailbox is kept. A panic in a hook or a `Drop`
/// ends nothing else.
///
/// ```
/// use raddle_runtime::{Actor, Context};
///
/// struct Counter(u64);
///
/// impl Actor for Counter {
///     type Msg = u64;
///     type Reply = u64;
///     type Error = std::convert::Infallible;
///
///     fn handle(&mut self, by: u64, _: &mut Context<'_>) -> Result<u64, Self::Error> {
///         self.0 += by;
///         Ok(self.0)
///     }
/// }
/// ```
pub trait Actor: 'static {
    /// What it is given.
    type Msg: Send + 'static;
    /// What it answers.
    type Reply: Send + 'static;
    /// Why it could not.
    type Error: Send + 'static;

    /// Handles one message.
    fn handle(&mut self, msg: Self::Msg, cx: &mut Context<'_>) -> Result<Self::Reply, Self::Error>;

    /// Called once before the first message of an actor that was made as its worker's first.
    ///
    /// # Errors
    /// What keeps it from working: the pool is then not spawned, the worker not added.
    fn on_start(&mut self, worker: &Worker) -> Result<(), StartError> {
        let _ = worker;
        Ok(())
    }

    /// Called once before the first message of an actor that was made anew, after a panic, a
    /// requested stop, or in place of one that hangs. Calls [`on_start`](Self::on_start) unless
    /// told otherwise.
    ///
    /// # Errors
    /// What keeps it from working: counts as a failed start, and the pool's
    /// [`Restarts`](crate::Restarts) say what follows. So does a panic.
    fn on_restart(&mut self, worker: &Worker) -> Result<(), StartError> {
        self.on_start(worker)
    }

    /// Called when its handler has panicked, before it is dropped.
    fn on_panic(&mut self, message: &str, worker: &Worker) {
        let _ = (message, worker);
    }

    /// Called before it is dropped, unless its handler has panicked: its worker was drained or
    /// retired, it [asked to stop](Context::stop), or it came back from a handler that was given
    /// up as hung.
    fn on_stop(&mut self, worker: &Worker) {
        let _ = worker;
    }
}
