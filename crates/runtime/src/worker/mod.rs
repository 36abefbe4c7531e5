//! A worker on its thread: a host serves the worker's tasks until the worker has left, is retired, or
//! is taken from the thread.
//!
//! Three parts: a [`Host`](host::Host) knows what runs (here, an [`ActorHost`] with plain handlers); the
//! [`Station`] takes tasks from the worker's mailbox and its siblings'; the
//! [`WorkerThread`](life::WorkerThread) starts and restarts what the host runs, and is generic in
//! neither. They know the router; the crew is their [`Overseer`].

mod actor_host;
mod actor_life;
mod async_host;
mod checkpoints;
mod host;
mod key_moves;
mod life;
mod nested;
mod owed;
mod run;
mod station;
mod steal;

use std::sync::Arc;

use raddle_core::{SerialRecorder, Worker};
use raddle_sync::channel::Sender;

pub(crate) use actor_host::ActorHost;
pub(crate) use actor_life::Factory;
pub(crate) use async_host::{AsyncHost, ConcurrentHost, ReadsAndWrites, Shared};
pub(crate) use run::run;
pub(crate) use station::{RunningAskers, Station};

use crate::deadlock::Waiter;
use crate::error::SpawnError;
use crate::event::EventKind;
use crate::lease::SerialLease;
use crate::restart::RetireReason;

/// What a thread needs to become a worker.
pub(crate) struct Start {
    pub(crate) worker: Arc<Worker>,
    pub(crate) recorder: SerialRecorder,
    pub(crate) lease: Arc<SerialLease>,
    pub(crate) waiter: Arc<Waiter>,
    /// Receives whether the first actor has started; `None` for a thread that replaces another.
    pub(crate) started: Option<Sender<Result<(), SpawnError>>>,
}

/// The crew, as a worker's thread sees it: what a thread reports, and asks for, about its worker.
pub(crate) trait Overseer: Send + Sync {
    /// Announces what happened to the worker.
    fn announce(&self, worker: &Worker, kind: EventKind);
    /// Gives the worker no tasks for now, if others can have them: it has no actor.
    fn set_aside(&self, worker: &Arc<Worker>);
    /// The worker's actor has started again.
    fn reinstate(&self, worker: &Arc<Worker>);
    /// Takes the worker out of service at once, because its actor is not restarted: it gets no more
    /// tasks and keys. Its thread then moves or ends what it has.
    fn expel(&self, worker: &Arc<Worker>);
    /// The worker has nothing in flight and takes no more tasks: it leaves the pool, unless that is
    /// closed or the worker never joined. What follows depends on the reason.
    fn depart(&self, worker: &Arc<Worker>, reason: RetireReason);
}
