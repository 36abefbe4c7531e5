use std::fmt;

use raddle_core::WorkerId;
use raddle_strategies::EjectionReason;

use crate::keys::MovedKeys;
use crate::reply::NoReply;
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
    /// An async handler was dropped while it waited. Unless handlers run side by side, its actor may be
    /// half changed, so it is restarted, or its worker is retired.
    Dropped {
        /// Why.
        reason: DropReason,
    },
    /// A handler exceeded the watchdog's limit: its worker takes no tasks for now.
    Quarantined,
    /// Another thread took over from one that hangs.
    Replaced {
        /// The worker's new generation.
        generation: u32,
    },
    /// A handler got [`AskError::Deadlock`](crate::AskError::Deadlock), because it waited for a reply
    /// that waited for it.
    Deadlock {
        /// The workers that waited for each other, each as `pool/worker`.
        workers: Vec<String>,
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
    /// Keys moved to another worker, and the state that this worker may keep for them did not: its actor
    /// has no [keyed state](crate::Actor::keyed_state), or could not hand it over. A change of workers is
    /// the cause; the picks of a strategy that [routes keys](raddle_strategies::Strategy::routes_keys) are
    /// not announced.
    KeysMoved {
        /// The keys.
        keys: MovedKeys,
        /// The name of their new worker, which is the same one if that lost the state of keys while it
        /// took them over; `None` if no worker serves them any more.
        to: Option<String>,
    },
    /// The strategy was replaced.
    StrategyChanged {
        /// Its name.
        strategy: &'static str,
    },
}

/// Why an async handler was dropped while it waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The task's deadline had passed.
    Expired,
    /// The task's [`Ask`](crate::Ask) was dropped, which was to
    /// [cancel](crate::TaskBuilder::cancel_on_drop) it, or the pool's shutdown reached its time limit.
    Cancelled,
    /// It waited for longer than the pool's [await limit](crate::PoolBuilder::await_limit).
    Hung,
}

impl DropReason {
    pub(crate) fn of(why: &NoReply) -> Self {
        match why {
            NoReply::Expired => Self::Expired,
            NoReply::Hung => Self::Hung,
            _ => Self::Cancelled,
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the deadline had passed",
            Self::Cancelled => "the task was cancelled",
            Self::Hung => "it hung",
        })
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("worker added"),
            Self::Panicked { message } => write!(f, "a handler panicked: {message}"),
            Self::StartFailed { message } => write!(f, "the actor could not start: {message}"),
            Self::Restarted { generation } => write!(f, "actor restarted, generation {generation}"),
            Self::Dropped { reason } => write!(f, "an async handler was dropped: {reason}"),
            Self::Quarantined => f.write_str("handler exceeded its limit, worker quarantined"),
            Self::Replaced { generation } => {
                write!(f, "another thread took over, generation {generation}")
            }
            Self::Deadlock { workers } => {
                write!(f, "handlers that wait for each other: {}", workers.join(", "))
            }
            Self::Recovered => f.write_str("handler returned, worker reinstated"),
            Self::Returned => f.write_str("a replaced thread returned and ended"),
            Self::Ejected { reason } => write!(f, "worker ejected: {reason}"),
            Self::Readmitted => f.write_str("worker readmitted"),
            Self::Draining => f.write_str("worker draining"),
            Self::Retired { reason } => write!(f, "worker retired: {reason}"),
            Self::Failed => f.write_str("pool closed itself"),
            Self::KeysMoved { keys, to } => {
                let (partitions, to) = (keys.partitions(), to.as_deref().unwrap_or("no worker"));
                write!(f, "the keys of {partitions} partitions moved to {to} without their state")
            }
            Self::StrategyChanged { strategy } => write!(f, "strategy is now {strategy}"),
        }
    }
}
