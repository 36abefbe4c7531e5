use std::sync::Arc;

use crate::{Health, Worker};

/// A worker and its health, as listed by a [`Roster`](crate::Roster).
#[derive(Clone, Debug)]
pub struct Member {
    /// The worker.
    pub worker: Arc<Worker>,
    /// Whether the worker receives tasks.
    pub health: Health,
}
