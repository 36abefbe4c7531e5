use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use raddle_core::sync::channel::{self, Receiver, Sender, TrySendError};

use crate::restart::RetireReason;

/// Something that happened to a child of a [`Supervisor`](crate::Supervisor).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorEvent {
    /// The child's name.
    pub child: String,
    /// What happened.
    pub kind: SupervisorEventKind,
}

/// What happened to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisorEventKind {
    /// Its pool has closed, and it was not the supervisor who closed it.
    Failed,
    /// The supervisor has shut its pool down, as far as the time limit let it.
    Stopped,
    /// It has another pool.
    Restarted {
        /// How often it has been started anew.
        restarts: u32,
    },
    /// It could not be started anew.
    StartFailed {
        /// What the error or the panic said.
        message: String,
    },
    /// It has failed once too often: the supervisor has shut every pool down and ends.
    GaveUp {
        /// Why.
        reason: RetireReason,
    },
}

impl fmt::Display for SupervisorEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed => f.write_str("pool failed"),
            Self::Stopped => f.write_str("pool shut down"),
            Self::Restarted { restarts } => write!(f, "pool started anew, restart {restarts}"),
            Self::StartFailed { message } => write!(f, "the pool could not start: {message}"),
            Self::GaveUp { reason } => write!(f, "supervisor gave up: {reason}"),
        }
    }
}

/// Events that a subscriber which does not read them can fall behind by.
const BACKLOG: usize = 1024;

/// A subscription to a supervisor's events. Iterates, blocking, until the supervisor is gone;
/// misses what comes while 1024 are unread.
#[derive(Debug)]
pub struct SupervisorEvents(Receiver<SupervisorEvent>);

impl SupervisorEvents {
    /// The next event, if one is there.
    pub fn try_next(&mut self) -> Option<SupervisorEvent> {
        self.0.try_recv().ok()
    }

    /// Waits for the next event, so long at the most; `None` then, and when the supervisor is gone.
    pub fn next_within(&mut self, time: Duration) -> Option<SupervisorEvent> {
        self.0.recv_timeout(time).ok()
    }
}

impl Iterator for SupervisorEvents {
    type Item = SupervisorEvent;

    fn next(&mut self) -> Option<SupervisorEvent> {
        self.0.recv().ok()
    }
}

/// Who is told of a supervisor's events.
#[derive(Default)]
#[allow(clippy::disallowed_types, reason = "locked at events, which are no task's")]
pub(super) struct Subscribers(std::sync::Mutex<Vec<Sender<SupervisorEvent>>>);

impl Subscribers {
    pub(super) fn subscribe(&self) -> SupervisorEvents {
        let (sender, events) = channel::bounded(BACKLOG);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        SupervisorEvents(events)
    }

    pub(super) fn tell(&self, event: &SupervisorEvent) {
        let mut subscribers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| {
            let told = subscriber.try_send(event.clone());
            !matches!(told, Err(TrySendError::Disconnected(_)))
        });
    }
}
