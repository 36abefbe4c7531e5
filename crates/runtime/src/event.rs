use std::fmt;

use raddle_core::WorkerId;
use raddle_strategies::EjectionReason;

use crate::restart::RetireReason;

/// Something that happened to a pool or to one of its workers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The worker, if the event is about one.
    pub worker: Option<WorkerId>,
    /// The worker's name, or the pool's.
    pub name: String,
    /// What happened.
    pub kind: EventKind,
}

/// The kind of an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A worker was added to the running pool.
    Added,
    /// A handler panicked.
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// A restarted actor could not start. It is tried again, or its worker is retired.
    StartFailed {
        /// The error of its hook, or the panic's message.
        message: String,
    },
    /// An actor was restarted.
    Restarted {
        /// The worker's new generation.
        generation: u32,
    },
    /// A handler exceeded the watchdog's limit: its worker takes no tasks for now.
    Quarantined,
    /// Another thread took over from one that hangs.
    Replaced {
        /// The worker's new generation.
        generation: u32,
    },
    /// A handler that exceeded the limit has returned before another thread took over.
    Recovered,
    /// The handler of a replaced thread has returned, and the thread ended.
    Returned,
    /// A worker that fails or is slow takes no tasks for a while.
    Ejected {
        /// What it did since the last review.
        reason: EjectionReason,
    },
    /// An ejected worker takes tasks again.
    Readmitted,
    /// A worker takes no more tasks, and runs those it has.
    Draining,
    /// A worker has left the pool.
    Retired {
        /// Why.
        reason: RetireReason,
    },
    /// The pool closed itself because its restarts retired a worker.
    Failed,
    /// The strategy was replaced.
    StrategyChanged {
        /// Its name.
        strategy: &'static str,
    },
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("worker added"),
            Self::Panicked { message } => write!(f, "a handler panicked: {message}"),
            Self::StartFailed { message } => write!(f, "the actor could not start: {message}"),
            Self::Restarted { generation } => write!(f, "actor restarted, generation {generation}"),
            Self::Quarantined => f.write_str("handler exceeded its limit, worker quarantined"),
            Self::Replaced { generation } => {
                write!(f, "another thread took over, generation {generation}")
            }
            Self::Recovered => f.write_str("handler returned, worker reinstated"),
            Self::Returned => f.write_str("a replaced thread returned and ended"),
            Self::Ejected { reason } => write!(f, "worker ejected: {reason}"),
            Self::Readmitted => f.write_str("worker readmitted"),
            Self::Draining => f.write_str("worker draining"),
            Self::Retired { reason } => write!(f, "worker retired: {reason}"),
            Self::Failed => f.write_str("pool closed itself"),
            Self::StrategyChanged { strategy } => write!(f, "strategy is now {strategy}"),
        }
    }
}
