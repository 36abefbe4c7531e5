//! Load-balancing strategies: which worker gets the next task.
//!
//! This crate selects; it has no threads and no channels. Use it inside a pool of the crate
//! `raddle`, or on its own in a proxy, a connection pool or a simulation.
//!
//! # Concepts
//!
//! - A [`Roster`](raddle_core::Roster) is an immutable snapshot of the workers. Their statistics
//!   (tasks in flight, recent latencies, successes) belong to the workers and outlive any strategy.
//! - A [`Strategy`] picks one of a task's candidates by reading those statistics. It never waits,
//!   locks or allocates.
//! - A [`Reservation`](raddle_core::Reservation) is the result: the worker, with the task already
//!   counted in flight there. Recording the task's outcome consumes it.
//! - A [`Balancer`] combines the three operations (select, record, report) around one strategy.
//!   Code that publishes its own snapshots keeps a [`Prepared`] strategy beside the roster instead
//!   and calls [`reserve`].
//! - A [`BalancerConfig`] creates a balancer from code, text, serde or the environment.
//!
//! ```
//! use std::time::Duration;
//! use raddle_core::{Outcome, Roster, TaskProfile, WorkerSpec};
//! use raddle_strategies::{Balancer, JoinIdle};
//!
//! let roster = Roster::builder().workers(3, WorkerSpec::new("upstream")).build()?;
//! let balancer = Balancer::new(JoinIdle::new())?;
//!
//! let reservation = balancer.select(&TaskProfile::default(), &roster)?;
//! println!("send the request to {}", reservation.worker().name());
//! reservation.finish(Outcome::Completed, Duration::from_millis(3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Trade-offs
//!
//! - **Reading all workers or a few.** A strategy that reads every worker comes closest to one
//!   shared queue, at O(n) per task. Two or three random candidates cost O(1), and callers with
//!   stale views do not herd onto one worker, but an idle worker may not be drawn. [`JoinIdle`]
//!   finds an idle worker in O(n/64).
//! - **Queues or latencies.** Queue lengths are exact and react at once, but treat a slow worker
//!   like a fast one. Latencies reveal speed, but are always old; the strategies that use them
//!   guard against missing and stale data, hung workers, and workers that fail fast.
//! - **Load or affinity.** Strategies that pick a worker for what it is good at, or for a key, give
//!   up some balance for it.
//!
//! # Which one when
//!
//! Keep [`JoinIdle`], the default, unless one of these rows describes your case. If several do, the
//! first one counts.
//!
//! | your case | strategy |
//! |---|---|
//! | several dispatchers (such as one balancer per process) learn late of each other's choices | [`PowerOfTwo`], or [`RoundRobin`] if all workers are equally fast |
//! | a task runs faster at a worker that has run its key lately, which keeps at most some hundred keys | [`WarmFirst`] |
//! | a task runs faster where the last task of its key ran, and workers keep more keys, or a key must stay (session) | [`BoundedHash`] |
//! | tasks state their expected duration, and durations differ a lot | [`LeastWork`] |
//! | some workers are permanently faster than others | [`LatencyBased`] |
//! | workers differ in what they do well | [`CapabilityBest`], with bounded queues |
//! | you fix each worker's share | [`WeightedRoundRobin::fixed`] |
//! | durations are unknown, a few are far longer than the rest, and idle workers do not steal | [`LeastLoaded`] |
//!
//! All strategies:
//!
//! | strategy | rule | cost |
//! |---|---|---|
//! | [`RoundRobin`] | the next in rotation | O(1) |
//! | [`Random`] | uniform | O(1) |
//! | [`WeightedRoundRobin`] | smooth rotation by weight and measured performance | O(1) |
//! | [`LeastLoaded`] | fewest tasks in flight | O(n) |
//! | [`PowerOfTwo`] | of two random ones, the lower `(q + 1) / weight` | O(1) |
//! | [`JoinIdle`] | an idle one, otherwise the better of two | O(n/64), at most eight workers |
//! | [`LeastWork`] | least work ahead, by expected durations | O(n) |
//! | [`LatencyBased`], [`ExpectedDelay`] | lowest `max(mean, age) x (q + 1)` | O(n) |
//! | [`PeakEwma`] | of two, the lower `max(peak, age) x (q + 1)`; up to three pairs | O(1) |
//! | [`HotCold`] | of three, the fastest that is not among the pool's busiest | O(1) |
//! | [`CapabilityBest`] | best `match x history x status` | O(n) |
//! | [`BoundedHash`] | the key's worker while it has room, otherwise the next | O(n) |
//! | [`WarmFirst`] | least work ahead, where a key that is not at hand counts as its cost | O(n) |
//!
//! # Around a strategy
//!
//! [`SlowStart`] lets a new worker's share grow, [`Shadow`] scores a second strategy on the same
//! traffic, and an [`OutlierDetector`] decides which workers to eject because they fail, or are
//! slow, more than the others.
//!
//! # Features
//! `serde` (default): `Serialize` for reports, `Serialize` and `Deserialize` for the configuration.

mod balancer;
mod bounded_hash;
mod capability_best;
mod config;
mod delay;
mod ejection;
mod error;
mod hot_cold;
mod join_idle;
mod latency;
mod least_loaded;
mod least_work;
mod lowest;
#[cfg(feature = "serde")]
mod nanoseconds;
mod peak_ewma;
mod power_of_two;
mod prepared;
mod quantile;
mod random;
pub mod rendezvous;
mod report;
mod retry;
mod round_robin;
mod sample;
mod select;
mod sequences;
mod shadow;
mod slow_start;
mod strategy;
#[cfg(all(test, not(loom)))]
mod testing;
mod warm_first;
mod weighted_round_robin;

pub use balancer::Balancer;
pub use bounded_hash::BoundedHash;
pub use capability_best::CapabilityBest;
pub use config::{BalancerConfig, ConfigError, StrategyName};
pub use ejection::{Decision, Ejection, EjectionError, EjectionReason, OutlierDetector, Verdict};
pub use error::StrategyError;
pub use hot_cold::HotCold;
pub use join_idle::JoinIdle;
pub use latency::{ExpectedDelay, LatencyBased};
pub use least_loaded::LeastLoaded;
pub use least_work::LeastWork;
pub use peak_ewma::PeakEwma;
pub use power_of_two::PowerOfTwo;
pub use prepared::Prepared;
pub use random::Random;
pub use report::{BalancerStats, Percentiles, WorkerReport};
pub use round_robin::RoundRobin;
pub use select::{SelectError, reserve, reserve_other};
pub use shadow::{Shadow, ShadowReport, ShadowScore};
pub use slow_start::SlowStart;
pub use strategy::Strategy;
pub use warm_first::WarmFirst;
pub use weighted_round_robin::WeightedRoundRobin;
