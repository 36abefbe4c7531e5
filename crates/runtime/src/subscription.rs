use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use raddle_sync::channel::{self, Receiver, Sender, TrySendError};

use crate::Event;

/// Events that a subscriber which does not read them can fall behind by.
const BACKLOG: usize = 1024;

/// A subscription to the events of a pool, or of a supervisor. Iterates, blocking, until that is
/// gone; misses what comes while 1024 are unread.
#[derive(Debug)]
pub struct Events<E = Event>(Receiver<E>);

impl<E> Events<E> {
    /// The next event, if one is there.
    pub fn try_next(&mut self) -> Option<E> {
        self.0.try_recv().ok()
    }

    /// Waits for the next event, so long at the most; `None` then, and when there can be none any
    /// more.
    pub fn recv_timeout(&mut self, time: Duration) -> Option<E> {
        self.0.recv_timeout(time).ok()
    }
}

impl<E> Iterator for Events<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        self.0.recv().ok()
    }
}

/// Who is told of events.
#[allow(clippy::disallowed_types, reason = "locked at events, which are no task's")]
pub(crate) struct Subscribers<E>(std::sync::Mutex<Vec<Sender<E>>>);

impl<E: Clone> Subscribers<E> {
    pub(crate) fn subscribe(&self) -> Events<E> {
        let (sender, events) = channel::bounded(BACKLOG);
        self.add(sender);
        Events(events)
    }

    /// Lets a channel be told, as far as there is room in it.
    pub(crate) fn add(&self, subscriber: Sender<E>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(subscriber);
    }

    pub(crate) fn tell(&self, event: &E) {
        let mut subscribers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| {
            let told = subscriber.try_send(event.clone());
            !matches!(told, Err(TrySendError::Disconnected(_)))
        });
    }
}

impl<E> Default for Subscribers<E> {
    fn default() -> Self {
        Self(Vec::new().into())
    }
}

impl<E> fmt::Debug for Subscribers<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribers").finish_non_exhaustive()
    }
}
