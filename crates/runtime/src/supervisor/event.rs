use std::fmt;

use crate::restart::RetireReason;
use crate::subscription::Events;

/// Something that happened to a child of a [`Supervisor`](crate::Supervisor).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupervisorEvent {
    /// The child's name.
    pub child: String,
    /// What happened.
    pub kind: SupervisorEventKind,
}

/// The kind of a [`SupervisorEvent`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisorEventKind {
    /// Its pool has closed, and not because of the supervisor.
    Failed,
    /// The supervisor has shut its pool down, within the time limit.
    Stopped,
    /// It was restarted, with a new pool.
    Restarted {
        /// The number of its restarts so far.
        restarts: u32,
    },
    /// It could not be restarted.
    StartFailed {
        /// The error, or the message of the panic.
        message: String,
    },
    /// It has failed too often: the supervisor has shut every pool down, and ends.
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
            Self::Restarted { restarts } => write!(f, "pool restarted, restart {restarts}"),
            Self::StartFailed { message } => write!(f, "pool could not start: {message}"),
            Self::GaveUp { reason } => write!(f, "supervisor gave up: {reason}"),
        }
    }
}

/// A subscription to a supervisor's events.
pub type SupervisorEvents = Events<SupervisorEvent>;
