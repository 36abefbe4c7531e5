//! Worker actors on crossbeam channels: pools, mailboxes, replies, drain.
//!
//! A [`Pool`] gives each task to one of its workers on the caller's own thread: a
//! [`Strategy`](raddle_strategies::Strategy) picks the worker by reading atomic counters, the task
//! goes into that worker's channel, and the worker's thread runs its [`Actor`]'s handler. There is
//! no router thread and no central queue.

mod account;
mod actor;
mod codel;
mod context;
mod envelope;
mod error;
mod event;
mod keys;
mod lease;
pub mod mailbox;
mod panics;
mod pool;
mod race;
mod registry;
mod reply;
mod restart;
mod subscription;
mod supervisor;
mod timer;
mod worker;

pub use account::{Account, PoolStats};
pub use actor::{Actor, StartError};
pub use codel::{CoDel, CoDelError};
pub use context::Context;
pub use error::{AskResult, MembershipError, SendError, ShutdownError, SpawnError};
pub use event::{Event, EventKind};
pub use mailbox::{Overflow, WaitStrategy};
pub use pool::{
    Drain, Hedge, HedgeError, LocalPool, OnRetired, Pool, PoolBuilder, ShedReason, TaskBuilder,
    Watchdog,
};
pub use registry::{Registry, RegistryError};
pub use reply::{AskError, Reply, ReplyFuture};
pub use restart::{Backoff, RestartLimit, RestartPolicy, Restarts, RestartsError, RetireReason};
pub use subscription::Events;
pub use supervisor::{
    ChildError, ChildReport, ShutdownReport, SuperviseError, SupervisionStrategy, Supervisor,
    SupervisorBuilder, SupervisorEvent, SupervisorEventKind, SupervisorEvents,
};
pub use timer::TimerHandle;

/// What the loom models look at besides.
#[cfg(loom)]
#[doc(hidden)]
pub mod models {
    pub use crate::context::Asker;
    pub use crate::keys::partitions::{Partition, Partitions, ShortId};
    pub use crate::lease::{Lease, Revoked, Stay};
    pub use crate::race::Race;
    pub use crate::reply::{Hedged, ReplySender, slot};
    pub use crate::timer::{Fired, TimerHandle, TimerQueue};
}
