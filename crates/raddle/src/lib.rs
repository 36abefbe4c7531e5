//! A lock-free actor runtime for latency-critical systems.
//!
//! Tasks go to a pool of worker actors, each on its own thread behind a crossbeam channel. A
//! strategy picks the worker on the caller's own thread by reading atomic counters and latency
//! rings, without a lock and without a router thread.
//!
//! ```
//! use std::time::Duration;
//! use raddle::prelude::*;
//!
//! struct Greeter { greeting: &'static str }
//!
//! impl Actor for Greeter {
//!     type Msg = String;
//!     type Reply = String;
//!     type Error = std::convert::Infallible;
//!
//!     fn handle(&mut self, name: String, _: &mut Context<'_>) -> Result<String, Self::Error> {
//!         Ok(format!("{}, {name}!", self.greeting))
//!     }
//! }
//!
//! let pool = Pool::builder("greet")
//!     .worker(WorkerSpec::new("polyglot").capability("french").weight(2))
//!     .workers(3, WorkerSpec::general())
//!     .strategy(LatencyBased::default())
//!     .mailbox(1024, Overflow::Block)
//!     .spawn(|_worker| Greeter { greeting: "Hello" })?;
//!
//! pool.tell("nobody".into())?; // fire and forget
//! assert_eq!(pool.ask("world".into())?.wait()?, "Hello, world!");
//! let reply = pool.task("monde".into()).capability("french").timeout(Duration::from_secs(1)).ask()?;
//! assert_eq!(reply.wait()?, "Hello, monde!");
//!
//! pool.set_strategy(LeastLoaded::new())?; // under traffic
//! let account = pool.shutdown(Drain::within(Duration::from_secs(5)))?;
//! assert_eq!(account.counts.completed, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate is the other three in one: [`core`] (what is known about each worker),
//! [`strategies`] (which worker next, useful without the runtime) and [`runtime`] (pools). With the
//! feature `sim` there is a fourth, the simulator.

pub use raddle_core as core;
pub use raddle_runtime as runtime;
#[cfg(feature = "sim")]
pub use raddle_sim as sim;
pub use raddle_strategies as strategies;

/// Everything that a program with a pool needs.
pub mod prelude {
    pub use raddle_core::{
        Capability, Counts, FastThreshold, Health, Outcome, Priority, Roster, TaskProfile,
        Tracking, Worker, WorkerId, WorkerSpec,
    };
    pub use raddle_runtime::{
        Account, Actor, AskError, Backoff, CoDel, Context, Drain, Event, EventKind, Events, Hedge,
        LocalPool, MembershipError, OnRetired, Overflow, Pool, PoolStats, Registry, Reply,
        RestartLimit, RestartPolicy, Restarts, SendError, ShedReason, ShutdownError, SpawnError,
        StartError, SupervisionStrategy, Supervisor, TaskBuilder, TimerHandle, WaitStrategy,
        Watchdog,
    };
    pub use raddle_strategies::{
        Balancer, BalancerConfig, BoundedHash, CapabilityBest, Ejection, EjectionReason,
        ExpectedDelay, HotCold, JoinIdle, LatencyBased, LeastLoaded, LeastWork, OutlierDetector,
        PeakEwma, PowerOfTwo, Prepared, Random, RoundRobin, SelectError, Shadow, ShadowReport,
        SlowStart, Strategy, StrategyError, StrategyName, WeightedRoundRobin,
    };
}
