use std::time::Duration;

use raddle_core::{Clock, Worker};

/// What a worker runs: state, and a handler for one type of message.
///
/// Each worker of a pool has an actor of its own, made on the worker's thread by the function given
/// to [`PoolBuilder::spawn`](crate::PoolBuilder::spawn). It never leaves that thread and need not
/// be `Send`; messages, replies and errors travel and must be.
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
    ///
    /// A panic ends this task alone, as [`Panicked`](raddle_core::Outcome::Panicked): the actor is
    /// dropped and made anew, and the mailbox is kept.
    fn handle(&mut self, msg: Self::Msg, cx: &mut Context<'_>) -> Result<Self::Reply, Self::Error>;
}

/// What a handler may know of the task it runs and the worker it runs on.
#[derive(Debug)]
pub struct Context<'w> {
    worker: &'w Worker,
    clock: &'w Clock,
    deadline: Option<u64>,
}

impl<'w> Context<'w> {
    pub(crate) fn new(worker: &'w Worker, deadline: Option<u64>) -> Self {
        Self { worker, clock: worker.clock(), deadline }
    }

    /// The worker that runs the task.
    pub fn worker(&self) -> &'w Worker {
        self.worker
    }

    /// The time until the task's deadline, zero once it has passed; `None` when it has none.
    /// Reads the clock.
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(Duration::from_nanos(deadline.saturating_sub(self.clock.now())))
    }
}
