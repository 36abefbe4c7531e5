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
//! - A full mailbox makes callers wait by default ([`Overflow`]), threads and futures alike, so overload slows
//!   them down instead of using memory.
//! - A hung handler cannot be ended. A [`Watchdog`] gives its worker to another thread; the old one
//!   is lost until the handler returns.
//!
//! # The pieces
//! | | |
//! |---|---|
//! | [`Pool`], [`PoolBuilder`], [`LocalPool`], [`WeakPool`], [`Recipient`] | the workers, as callers see them |
//! | [`Actor`], [`Handler`], [`Reply`], [`Context`], [`KeyedState`] | what workers run |
//! | [`Deferred`], [`Replier`] | replies that come after their handlers have returned |
//! | [`TaskBuilder`], [`Ask`], [`Tell`], [`Hedge`], [`TimerHandle`] | sending tasks and receiving replies |
//! | [`Overflow`], [`CoDel`], [`WaitStrategy`] | full mailboxes, overload, idle workers |
//! | [`Restarts`], [`OnRetired`], [`Watchdog`], [`Supervisor`] | faults |
//! | [`Account`], [`PoolStats`], [`Events`], [`Watch`] | what has happened |
//!
//! # Features
//! - `affinity` (default): workers' threads can be pinned to cores.
//! - `serde` (default): statistics can be serialised.
//! - `tracing` (default): a pool's events are also `tracing` events, and the handler of a task that is
//!   sent within a span runs in a span that follows from it.
//! - `futures`: `Pool::forward` and `Pool::sink`, and [`Events`] is a stream.
//! - `test`: the module `test`, for tests of actors.

mod account;
mod actor;
mod ask;
mod async_context;
mod async_handler;
mod awaited;
mod blocking;
mod codel;
mod context;
mod cores;
mod crew;
mod deadline;
mod deadlock;
mod deferred;
mod desk;
mod enter;
mod envelope;
mod error;
mod event;
mod hedge;
mod inlet;
mod keyed_state;
mod keys;
mod lease;
mod log;
#[cfg(not(any(loom, shuttle)))]
mod mailbox;
#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub mod mailbox;
mod panics;
mod payload;
mod pool;
mod race;
mod registry;
mod reply;
mod restart;
mod router;
mod settings;
mod span;
mod subscription;
mod supervisor;
#[cfg(feature = "test")]
pub mod test;
mod timer;
#[cfg(not(feature = "test"))]
mod untested;
mod watch;
mod worker;

pub use account::{Account, PoolStats};
pub use actor::{Actor, Handler, IntoActor, IntoReply, Reply, StartError};
pub use ask::{Ask, AskError};
pub use async_context::AsyncContext;
pub use async_handler::{AsyncHandler, ReadWrite, SharedHandler};
pub use codel::{CoDel, CoDelError};
pub use context::Context;
pub use deferred::{Deferred, Replier};
pub use enter::Enter;
pub use error::{MembershipError, OptionError, Refusal, SendError, ShutdownError, SpawnError};
pub use event::{DropReason, Event, EventKind};
pub use hedge::{Hedge, HedgeError};
pub use keyed_state::KeyedState;
pub use keys::MovedKeys;
pub use mailbox::{Overflow, WaitStrategy};
#[cfg(feature = "futures")]
pub use pool::PoolSink;
pub use pool::{
    Broadcast, Drain, LocalPool, Pool, PoolBuilder, Recipient, TaskBuilder, Tell, TimerHandle,
    WeakPool,
};
pub use registry::{Registry, RegistryError};
pub use restart::{Backoff, RestartLimit, RestartPolicy, Restarts, RestartsError, RetireReason};
pub use settings::{OnRetired, ShedReason, Watchdog};
pub use subscription::Events;
pub use supervisor::{
    ChildError, ChildReport, ShutdownReport, SuperviseError, SupervisionStrategy, Supervisor,
    SupervisorBuilder, SupervisorEvent, SupervisorEventKind, SupervisorEvents,
};
pub use watch::Watch;

/// The internals that the model checkers explore.
#[cfg(any(loom, shuttle))]
#[doc(hidden)]
pub mod models {
    pub use crate::keys::handover::{Batch, Gain, Handover, Work};
    pub use crate::keys::partitions::{Partition, Partitions, ShortId};
    pub use crate::lease::{PausedStay, Revoked, RevokedPause, SerialLease, Stay};
    pub use crate::race::Race;
    pub use crate::reply::{Asker, NoReply, Owed, ReplySender, RunningAsker, SharedReply};
    pub use crate::timer::{Fired, TimerQueue, TimerState};

    /// The id of the only partition of a key without a capability.
    pub fn partition() -> crate::keys::PartitionId {
        crate::keys::PartitionId::new(0, 0)
    }

    /// A worker that gains the keys of that partition, with their state.
    pub fn gain(state: Option<u64>) -> Gain {
        let state = state.map(|state| crate::panics::Contained::new(Box::new(state) as Box<_>));
        Gain { keys: crate::MovedKeys::new(None, 1, &[0]), state }
    }

    /// The state that is gained.
    pub fn gained(gain: Gain) -> Option<u64> {
        gain.state.and_then(|state| state.into_inner().downcast().ok()).map(|state| *state)
    }

    /// Creates the ends of an admitted task's reply.
    pub fn slot<R>() -> (ReplySender<R>, crate::Ask<(), R>) {
        let (sender, receiver) = oneshot::channel();
        (ReplySender::Own(sender), crate::Ask::admitted(receiver, None))
    }

    /// Creates the ends of the reply of an admitted task that is cancelled by dropping its `Ask`, if
    /// it is `cancellable`, and may have copies.
    pub fn shared_slot<R>(
        cancellable: bool,
    ) -> (std::sync::Arc<SharedReply<R>>, crate::Ask<(), R>) {
        let (sender, receiver) = oneshot::channel();
        let shared = std::sync::Arc::new(SharedReply::new(sender, cancellable, None));
        (std::sync::Arc::clone(&shared), crate::Ask::admitted(receiver, Some(shared)))
    }
}
