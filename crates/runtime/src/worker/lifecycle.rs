use std::sync::Arc;

use raddle_core::{Recorder, Worker};
use raddle_sync::channel::Sender;

use super::lease::SerialLease;
use crate::actor::StartError;
use crate::context::Call;
use crate::error::SpawnError;
use crate::restart::RetireReason;

/// What a thread needs to become a worker.
pub(crate) struct Start {
    pub(crate) worker: Arc<Worker>,
    pub(crate) recorder: Recorder,
    pub(crate) lease: Arc<SerialLease>,
    /// Receives whether the first actor has started; `None` for a thread that replaces another.
    pub(crate) started: Option<Sender<Result<(), SpawnError>>>,
}

/// Starts and ends what a host runs. Every panic is caught.
pub(crate) trait Lifecycle {
    /// Creates the actor and calls its first hook: `on_restart` if it is not the worker's first.
    /// Returns whether the actor stopped itself.
    fn start(&mut self, is_restart: bool, call: Call<'_>) -> Result<bool, StartError>;
    /// Lets the actor clean up, and drops it.
    fn stop(&mut self, call: Call<'_>);
    /// Notifies the actor that its handler has panicked, and drops it.
    fn fail(&mut self, message: &str, call: Call<'_>);
    /// Drops the actor.
    fn discard(&mut self);
}

/// Why an actor serves no more tasks, or did not start.
pub(crate) enum End {
    /// The mailbox is closed and empty.
    Drained,
    /// Its handler panicked with this message.
    Panicked(String),
    /// It stopped itself.
    Stopped,
    /// The worker was taken from this thread.
    Lost,
    /// It is not restarted any more.
    Retired(RetireReason),
    /// The worker's first actor did not start: the worker is not added.
    NotStarted,
}
