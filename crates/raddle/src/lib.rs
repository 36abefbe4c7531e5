//! Worker pools with load-balancing strategies, and actors.
//!
//! Tasks go to a pool of workers, each an actor on a thread of its own behind a crossbeam channel.
//! A strategy picks the worker on the caller's thread by reading atomic counters and latency rings,
//! without a lock, a central queue or a router thread.
//!
//! ```
//! use std::time::Duration;
//! use raddle::{Actor, Context, Drain, Handler, Pool, WorkerSpec};
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
//! let pool = Pool::builder("greet").workers(4, WorkerSpec::general()).spawn(|_worker| Greeter)?;
//! pool.tell("nobody".into())?; // without a reply
//! assert_eq!(pool.ask("world".into()).wait()?, "Hello, world!"); // or .await
//! let account = pool.shutdown(Drain::within(Duration::from_secs(5)))?;
//! assert!(account.is_balanced());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Choosing the worker
//! The pool's strategy is [`JoinIdle`](strategies::JoinIdle) unless it is built with another of
//! [`strategies`]; a task can ask for a capability, a key, a priority or a deadline:
//!
//! ```
//! # use std::time::Duration;
//! # use raddle::{Actor, Context, Handler, Overflow, Pool, WorkerSpec};
//! use raddle::strategies::{LatencyBased, LeastLoaded};
//! # struct Resizer;
//! # impl Actor for Resizer {}
//! # impl Handler<u32> for Resizer {
//! #     type Reply = u32;
//! #     fn handle(&mut self, width: u32, _: &mut Context<'_, Self>) -> u32 { width / 8 }
//! # }
//! let pool = Pool::builder("resize")
//!     .worker(WorkerSpec::new("gpu").capability("vision").weight(4))
//!     .workers(3, WorkerSpec::general())
//!     .strategy(LatencyBased::new())
//!     .mailbox(1024, Overflow::Block)
//!     .spawn(|_worker| Resizer)?;
//! let task = pool.task(800).capability("vision").timeout(Duration::from_secs(1));
//! assert_eq!(task.ask().wait()?, 100);
//! pool.set_strategy(LeastLoaded::new())?; // under traffic
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Without a pool
//! A proxy or a connection pool can balance its own targets: a [`Roster`] of workers and a
//! [`Balancer`](strategies::Balancer) need no thread and no channel.
//!
//! # Features
//! - `serde` (default): statistics and configuration can be serialised.
//! - `tracing` (default): a pool's events are also `tracing` events, and the handler of a task that is sent
//!   within a span runs in a span that follows from it.
//! - `affinity` (default): workers' threads can be pinned to cores.
//! - `futures`: `Pool::forward` and `Pool::sink`, and [`Events`] is a stream.
//! - `tokio`: workers can enter a tokio runtime by its handle.
//! - `sim`: the simulator, as `raddle::sim`.
//! - `test`: tests of actors, as `raddle::test`.

#[doc(inline)]
pub use raddle_core::{
    Baseline, Candidates, Capability, CapabilityError, CapabilitySet, Clock, Completion, Counts,
    FastThreshold, Health, Histogram, HistogramSnapshot, LatencyRing, MailboxOrder, Member,
    Outcome, OwnedReservation, PeakLatency, Priority, RecordError, Reservation, Roster,
    RosterBuilder, RosterError, Signals, TaskProfile, Tracking, TrackingError, VirtualTime, Worker,
    WorkerId, WorkerSpec, WorkerStats, hash, nanos,
};
#[cfg(feature = "futures")]
#[doc(inline)]
pub use raddle_runtime::PoolSink;
#[cfg(feature = "test")]
#[doc(inline)]
pub use raddle_runtime::test;
#[doc(inline)]
pub use raddle_runtime::{
    Account, Actor, Ask, AskError, AsyncContext, AsyncHandler, Backoff, Broadcast, ChildError,
    ChildReport, CoDel, CoDelError, Context, Deferred, Drain, DropReason, Enter, Event, EventKind,
    Events, Handler, Hedge, HedgeError, IntoActor, IntoReply, KeyedState, LocalPool,
    MembershipError, MovedKeys, OnRetired, OptionError, Overflow, Pool, PoolBuilder, PoolStats,
    ReadWrite, Recipient, Refusal, Registry, RegistryError, Replier, Reply, RestartLimit,
    RestartPolicy, Restarts, RestartsError, RetireReason, SendError, SharedHandler, ShedReason,
    ShutdownError, ShutdownReport, SpawnError, StartError, SuperviseError, SupervisionStrategy,
    Supervisor, SupervisorBuilder, SupervisorEvent, SupervisorEventKind, SupervisorEvents,
    TaskBuilder, Tell, TimerHandle, WaitStrategy, Watch, Watchdog, WeakPool,
};
#[cfg(feature = "sim")]
pub use raddle_sim as sim;
pub use raddle_strategies as strategies;

/// The names that most programs with a pool use.
///
/// It leaves out names that a program may well define itself, such as [`Context`] and [`Event`].
pub mod prelude {
    pub use raddle_core::{Capability, Priority, WorkerSpec};
    pub use raddle_runtime::{
        Actor, AskError, AsyncHandler, Drain, Handler, Overflow, Pool, SendError, Supervisor,
        Watchdog,
    };
    pub use raddle_strategies::{BalancerConfig, Strategy};
}
