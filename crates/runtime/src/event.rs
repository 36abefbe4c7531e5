use std::fmt;

use raddle_core::WorkerId;
use raddle_strategies::EjectionReason;

use crate::restart::RetireReason;

/// Something that happened to a pool or one of its workers, and to no task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The worker, where it is about one.
    pub worker: Option<WorkerId>,
    /// The worker's name, or the pool's.
    pub name: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A worker was added to the running pool.
    Added,
    /// A handler panicked.
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// An actor could not be made anew.
    StartFailed {
        /// What its `on_start` or the panic said.
        message: String,
    },
    /// An actor was made anew.
    Restarted {
        /// The worker's generation since.
        generation: u32,
    },
    /// A handler exceeds its limit: its worker is set aside.
    Quarantined,
    /// Another thread took over from one that hangs.
    Replaced {
        /// The worker's generation since.
        generation: u32,
    },
    /// A handler that exceeded its limit has returned; nobody had taken over.
    Recovered,
    /// A thread that had been replaced has returned, and ended.
    Returned,
    /// A worker fails, or is slow, more than it may: it is set aside for a while.
    Ejected {
        /// What it did since the review before.
        reason: EjectionReason,
    },
    /// A worker's time as ejected is over: it takes tasks again.
    Readmitted,
    /// A worker takes no more tasks and finishes those it has.
    Draining,
    /// A worker is gone.
    Retired {
        /// Why.
        reason: RetireReason,
    },
    /// The pool closed itself, as a worker was retired by its restarts.
    Failed,
    /// The pool has another strategy.
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
            Self::Restarted { generation } => write!(f, "actor made anew, generation {generation}"),
            Self::Quarantined => f.write_str("a handler exceeds its limit, worker quarantined"),
            Self::Replaced { generation } => {
                write!(f, "another thread took over, generation {generation}")
            }
            Self::Recovered => f.write_str("the handler has returned, worker no longer set aside"),
            Self::Returned => f.write_str("a replaced thread has returned and ended"),
            Self::Ejected { reason } => write!(f, "worker ejected: {reason}"),
            Self::Readmitted => f.write_str("worker readmitted"),
            Self::Draining => f.write_str("worker draining"),
            Self::Retired { reason } => write!(f, "worker retired: {reason}"),
            Self::Failed => f.write_str("pool closed itself"),
            Self::StrategyChanged { strategy } => write!(f, "strategy is now {strategy}"),
        }
    }
}
