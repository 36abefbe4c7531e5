use raddle_core::Worker;

use crate::event::{Event, EventKind};
use crate::log;
use crate::subscription::{Events, Subscribers};

/// Sends a pool's events to its subscribers and to the log.
pub(crate) struct Announcer {
    pool: Box<str>,
    subscribers: Subscribers<Event>,
}

impl Announcer {
    pub(crate) fn new(pool: &str) -> Self {
        Self { pool: pool.into(), subscribers: Subscribers::default() }
    }

    /// The pool's name.
    pub(crate) fn pool(&self) -> &str {
        &self.pool
    }

    pub(crate) fn subscribe(&self) -> Events {
        self.subscribers.subscribe()
    }

    /// Ends the subscriptions: nothing more happens.
    pub(crate) fn close(&self) {
        self.subscribers.close();
    }

    /// Announces what happened to a worker.
    pub(crate) fn of_worker(&self, worker: &Worker, kind: EventKind) {
        log::info!(pool = &*self.pool, worker = worker.name(), "{kind}");
        let name = worker.name().to_owned();
        self.subscribers.send(&Event { worker: Some(worker.id()), name, kind });
    }

    /// Announces what happened to the pool.
    pub(crate) fn of_pool(&self, kind: EventKind) {
        log::info!(pool = &*self.pool, "{kind}");
        self.subscribers.send(&Event { worker: None, name: self.pool.to_string(), kind });
    }
}
