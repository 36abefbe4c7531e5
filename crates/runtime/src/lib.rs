//! Pools of worker actors on crossbeam channels.
//!
//! A [`Pool`] sends each task to one of its workers on the caller's own thread: a
//! [`Strategy`](raddle_strategies::Strategy) picks the worker by reading atomic counters, the task
//! goes into that worker's mailbox, and the worker's thread runs the handler of its [`Actor`]. There
//! is no router thread, no central queue and no lock on that path.
//!
//! ```
//! use raddle_core::WorkerSpec;
//! use raddle_runtime::{Actor, Context, Drain, Handler, Pool};
//!
//! struct Greeter;
//!
//! impl Actor for Greeter {}
//!
//! impl Handler<String> for Greeter {
//!     type Reply = String;
//!
//!     fn handle(&mut self, name: String, _: &mut Context<'_, Self>) -> String {
//!         format!("Hello, {name}!")
//!     }
//! }
//!
//! let pool = Pool::builder("greet").workers(4, WorkerSpec::general()).spawn(|_| Greeter)?;
//! pool.tell("nobody".into())?;
//! assert_eq!(pool.ask("world".into()).wait()?, "Hello, world!");
//! let account = pool.shutdown(Drain::all())?;
//! assert!(account.is_balanced());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Concepts
//! - A *task* is one message sent to a pool, with what routing may know about it: a capability, a
//!   key, a priority, a deadline, an expected duration ([`TaskBuilder`]).
//! - A *worker* is one place where tasks run: an id, statistics, health and a mailbox.
//! - An *actor* is the state with which a worker runs tasks, and a handler. It lives on the
//!   worker's thread and is restarted when the handler panics ([`Restarts`]), not when it returns
//!   an `Err`.
//! - An admitted task ends exactly once, as completed, failed, panicked, expired or cancelled. The
//!   [`Account`] adds up at any quiescent moment.
//! - A task that is refused returns to its caller inside a [`SendError`]. A task that is shed
//!   because of overload is counted as such, and its admission, if any, is taken back.
//!
//! # Trade-offs
//! - Every worker has a mailbox of its own. So a strategy can avoid a worker that hangs, is slow or
//!   fails, and the tasks of a key can run in order. A single shared queue would need no strategy,
//!   but could do neither. Idle workers steal from busy ones to make up for a bad pick.
//! - A worker is a thread. Handlers may block and keep state that is not `Send`; a thousand workers
//!   cost a thousand threads.
//! - A worker without tasks polls for about 100 microseconds before it parks ([`WaitStrategy`]).
//!   Waking a parked worker takes about 30 microseconds and costs the caller a system call.
//! - A full mailbox makes the caller wait by default ([`Overflow`]), so overload slows callers down
//!   instead of using memory.
//! - A hung handler cannot be ended. A [`Watchdog`] gives its worker to another thread; the old one
//!   is lost until the handler returns.
//!
//! # The pieces
//! | | |
//! |---|---|
//! | [`Pool`], [`PoolBuilder`], [`LocalPool`] | the workers, as callers see them |
//! | [`Actor`], [`Handler`], [`Reply`], [`Context`] | what workers run |
//! | [`TaskBuilder`], [`Ask`], [`Hedge`], [`TimerHandle`] | sending tasks and receiving replies |
//! | [`Overflow`], [`CoDel`], [`WaitStrategy`] | full mailboxes, overload, idle workers |
//! | [`Restarts`], [`OnRetired`], [`Watchdog`], [`Supervisor`] | faults |
//! | [`Account`], [`PoolStats`], [`Events`] | what has happened |
//!
//! # Features
//! All are on by default.
//! - `affinity`: workers' threads can be pinned to cores.
//! - `serde`: statistics can be serialised.
//! - `tracing`: a pool's events are also `tracing` events.

mod account;
mod actor;
mod ask;
mod codel;
mod context;
mod cores;
mod crew;
mod deadline;
mod desk;
mod envelope;
mod error;
mod event;
mod hedge;
mod inlet;
mod keys;
mod log;
#[cfg(not(any(loom, shuttle)))]
mod mailbox;
#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub mod mailbox;
mod panics;
mod pool;
mod race;
mod registry;
mod reply;
mod restart;
mod router;
mod settings;
mod subscription;
mod supervisor;
mod timer;
mod worker;

pub use account::{Account, PoolStats};
pub use actor::{Actor, Handler, Reply, StartError};
pub use ask::{Ask, AskError, AskFuture};
pub use codel::{CoDel, CoDelError};
pub use context::Context;
pub use error::{MembershipError, Refusal, SendError, ShutdownError, SpawnError};
pub use event::{Event, EventKind};
pub use hedge::{Hedge, HedgeError};
pub use mailbox::{Overflow, WaitStrategy};
pub use pool::{Drain, LocalPool, Pool, PoolBuilder, TaskBuilder};
pub use registry::{Registry, RegistryError};
pub use restart::{Backoff, RestartLimit, RestartPolicy, Restarts, RestartsError, RetireReason};
pub use settings::{OnRetired, ShedReason, Watchdog};
pub use subscription::Events;
pub use supervisor::{
    ChildError, ChildReport, ShutdownReport, SuperviseError, SupervisionStrategy, Supervisor,
    SupervisorBuilder, SupervisorEvent, SupervisorEventKind, SupervisorEvents,
};
pub use timer::TimerHandle;

/// The internals that the model checkers explore.
#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub mod models {
    pub use crate::keys::partitions::{Partition, Partitions, ShortId};
    pub use crate::race::Race;
    pub use crate::reply::{Asker, Hedged, NoReply, ReplySender};
    pub use crate::timer::{Fired, TimerHandle, TimerQueue};
    pub use crate::worker::{Revoked, SerialLease, Stay};

    /// Creates the ends of an admitted task's reply.
    pub fn slot<R>(cancel_on_drop: bool) -> (ReplySender<R>, crate::Ask<(), R>) {
        let (sender, receiver) = crate::reply::slot(cancel_on_drop);
        (sender, crate::Ask::admitted(receiver))
    }
}
