//! Which worker next: the strategies of [raddle](https://docs.rs/raddle), with no thread and no
//! channel.
//!
//! A [`Strategy`] picks by reading what `raddle-core` knows of the workers. A [`Balancer`] is a
//! strategy with the operations around it, and needs no runtime. A [`BalancerConfig`] makes one
//! from code, text, serde or the environment.
//!
//! | strategy | rule | cost | made for |
//! |---|---|---|---|
//! | [`RoundRobin`] | next in rotation | O(1) | equal workers, equal tasks |
//! | [`LeastLoaded`] | fewest in flight, rather not a failing one | O(n) | tasks of varying length |
//! | [`Random`] | uniform | O(1) | highest rate, least state |
//! | [`CapabilityBest`] | best `match x history x status` | O(n) | workers that differ in what they do well |
//! | [`LatencyBased`] | lowest `max(mean, age) x (q + 1)` | O(n) | latency-sensitive tasks |
//! | [`WeightedRoundRobin`] | smooth rotation by dynamic weights | O(1) | mixed pools |
//! | [`JoinIdle`] | an idle one, else power of two | O(n/64) | small tasks, many workers, many callers |
//! | [`PowerOfTwo`] | of two at random, lower `(q + 1) / w` | O(1) | many workers, O(1), no black hole |
//! | [`PeakEwma`] | of two the lower `max(peak, age) x (q + 1)` | O(1) | workers that have bad moments |
//! | [`HotCold`] | of three the fastest that is not among the pool's busiest | O(1) | large pools |
//! | [`ExpectedDelay`] | lowest `(q + 1) / mu` | O(n) | workers of lasting unequal speeds |
//! | [`LeastWork`] | least work ahead, by the tasks' sizes | O(n) | tasks of known, unequal lengths |
//! | [`BoundedHash`] | the key's worker while it has room, else the next | O(n) | caches by key, without hot spots |
//!
//! [`Shadow`] routes by one of them and scores a second on the same traffic, [`SlowStart`] lets a new
//! worker's share grow. An [`OutlierDetector`] sets workers aside for a while that fail, or are slow, more
//! than the others.

mod balancer;
mod bounded_hash;
mod capability_best;
mod config;
mod delay;
mod ejection;
mod expected_delay;
mod hot_cold;
mod join_idle;
mod latency_based;
mod least_loaded;
mod least_work;
mod lowest;
mod peak_ewma;
mod power_of_two;
mod quantile;
mod random;
pub mod rendezvous;
mod report;
mod round_robin;
mod sample;
mod select;
mod sequences;
mod shadow;
mod slow_start;
mod strategy;
#[cfg(all(test, not(loom)))]
mod testing;
mod weighted_round_robin;

pub use balancer::Balancer;
pub use bounded_hash::{BoundError, BoundedHash};
pub use capability_best::CapabilityBest;
pub use config::{BalancerConfig, ConfigError, StrategyName};
pub use ejection::{Decision, Ejection, EjectionError, EjectionReason, OutlierDetector, Verdict};
pub use expected_delay::ExpectedDelay;
pub use hot_cold::HotCold;
pub use join_idle::JoinIdle;
pub use latency_based::LatencyBased;
pub use least_loaded::LeastLoaded;
pub use least_work::LeastWork;
pub use peak_ewma::PeakEwma;
pub use power_of_two::PowerOfTwo;
pub use random::Random;
pub use report::{BalancerStats, Percentiles, WorkerReport};
pub use round_robin::RoundRobin;
pub use select::{SelectError, reserve, reserve_other};
pub use shadow::{Shadow, ShadowReport, ShadowScore};
pub use slow_start::SlowStart;
pub use strategy::Strategy;
pub use weighted_round_robin::WeightedRoundRobin;
