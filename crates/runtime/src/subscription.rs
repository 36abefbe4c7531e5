use std::time::Duration;

use raddle_sync::channel::{self, Receiver, Sender, TrySendError};
use raddle_sync::lock::ColdLock;

/// Events that a subscriber may leave unread before it misses the next ones.
const BACKLOG: usize = 1024;

/// A subscription to the events of a pool or a supervisor.
///
/// As an iterator it blocks for each next event, and ends with the pool or supervisor. A subscriber
/// that has 1024 unread events misses those that follow.
#[derive(Debug)]
pub struct Events<E = crate::Event>(Receiver<E>);

impl<E> Events<E> {
    /// Returns the next event, if there is one. Never blocks.
    pub fn try_recv(&mut self) -> Option<E> {
        self.0.try_recv().ok()
    }

    /// Waits for the next event for no longer than `timeout`. Returns `None` if there was none by then,
    /// or if no more can come.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<E> {
        self.0.recv_timeout(timeout).ok()
    }
}

impl<E> Iterator for Events<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        self.0.recv().ok()
    }
}

/// Receivers of events, locked by events.
pub(crate) struct Subscribers<E>(ColdLock<Vec<Sender<E>>>);

impl<E: Clone> Subscribers<E> {
    pub(crate) fn subscribe(&self) -> Events<E> {
        let (sender, events) = channel::bounded(BACKLOG);
        self.0.lock().push(sender);
        Events(events)
    }

    pub(crate) fn send(&self, event: &E) {
        let mut subscribers = self.0.lock();
        subscribers.retain(|subscriber| {
            let sent = subscriber.try_send(event.clone());
            !matches!(sent, Err(TrySendError::Disconnected(_)))
        });
    }
}

impl<E> Default for Subscribers<E> {
    fn default() -> Self {
        Self(ColdLock::default())
    }
}
