use std::sync::Arc;

use raddle_core::Worker;

use crate::event::EventKind;

/// The crew, as a worker's thread sees it: what a thread reports, and asks for, about its worker.
pub(crate) trait Overseer: Send + Sync {
    /// Announces what happened to the worker.
    fn announce(&self, worker: &Worker, kind: EventKind);
    /// Takes the worker out of service at once, because its actor is not restarted: it gets no more
    /// tasks and keys. Its thread then moves or ends what it has.
    fn expel(&self, worker: &Arc<Worker>);
    /// The worker has nothing in flight and takes no more tasks: it leaves the pool. `false` if the
    /// pool is closed, or the worker never joined.
    fn depart(&self, worker: &Arc<Worker>) -> bool;
    /// Closes the pool because its restarts retired a worker.
    fn fail(&self);
    /// The calling thread, which ran this worker, is about to end.
    fn ended(&self, worker: &Worker);
    /// The calling thread, whose worker was given to another, is about to end.
    fn returned(&self);
}
