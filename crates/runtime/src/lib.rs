//! Worker actors on crossbeam channels: pools, mailboxes, replies, drain.
//!
//! A [`Pool`] gives each task to one of its workers on the caller's own thread: a
//! [`Strategy`](raddle_strategies::Strategy) picks the worker by reading atomic counters, the task
//! goes into that worker's channel, and the worker's thread runs its [`Actor`]'s handler. There is
//! no router thread and no central queue.

mod account;
mod actor;
#[allow(dead_code, reason = "no worker sheds yet")]
mod codel;
mod envelope;
mod error;
#[cfg_attr(not(any(loom, test)), expect(dead_code, reason = "no task has a key yet"))]
mod keys;
pub mod mailbox;
mod panics;
mod pool;
mod registry;
mod reply;
#[allow(dead_code, reason = "no worker keeps a history yet")]
mod restart;
#[allow(dead_code, unused_imports, reason = "nothing is put off yet")]
mod timer;
mod worker_thread;

pub use account::{Account, PoolStats};
pub use actor::{Actor, Context};
pub use codel::{CoDel, CoDelError};
pub use error::{AskResult, SendError, ShutdownError, SpawnError};
pub use mailbox::Overflow;
pub use pool::{Drain, Handle, Pool, PoolBuilder, Task};
pub use registry::{Registry, RegistryError};
pub use reply::{AskError, Reply, ReplyFuture};
pub use restart::{Backoff, RestartLimit, RestartPolicy, Restarts, RestartsError, RetireReason};
pub use timer::TimerHandle;

/// What the loom models look at besides.
#[cfg(loom)]
#[doc(hidden)]
pub mod models {
    pub use crate::keys::partitions::{Partition, Partitions, Seat};
    pub use crate::keys::rendezvous::owner;
    pub use crate::timer::{Fired, TimerHandle, TimerQueue};
}
