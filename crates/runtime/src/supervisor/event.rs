use std::fmt;

use crate::Events;
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

/// A subscription to a supervisor's events.
pub type SupervisorEvents = Events<SupervisorEvent>;
