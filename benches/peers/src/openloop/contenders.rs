use ::raddle::strategies::StrategyName;

use super::drive::OpenLoop;
use crate::peers::{actix, crossbeam, kameo, kanal, ractor, raddle, rayon, tokio, xtra};

/// A contender.
pub struct Contender {
    /// The name.
    pub name: &'static str,
    /// Sets up its workers, drives them and exits the process.
    pub run: fn(OpenLoop),
}

/// raddle with its defaults, with which the others are compared.
pub const OURS: &str = "raddle";

/// Returns all contenders, raddle's own first.
pub fn all() -> Vec<Contender> {
    let by = |name, run| Contender { name, run };
    vec![
        by(OURS, raddle::pool),
        by("raddle power_of_two", |d| raddle::pool_by(d, StrategyName::PowerOfTwo)),
        by("raddle least_loaded", |d| raddle::pool_by(d, StrategyName::LeastLoaded)),
        by("raddle peak_ewma", |d| raddle::pool_by(d, StrategyName::PeakEwma)),
        by("raddle latency_based", |d| raddle::pool_by(d, StrategyName::LatencyBased)),
        by("raddle round_robin", |d| raddle::pool_by(d, StrategyName::RoundRobin)),
        by("crossbeam own channels", crossbeam::own_channels),
        by("crossbeam shared", crossbeam::shared_channel),
        by("kanal shared", kanal::shared_channel),
        by("tokio tasks by hand", tokio::tasks),
        by("rayon spawn", rayon::spawn),
        by("actix SyncArbiter", actix::sync_arbiter),
        by("ractor factory queuer", ractor::factory_queuer),
        by("ractor factory round robin", ractor::factory_round_robin),
        by("kameo ActorPool", kameo::actor_pool),
        by("xtra by hand", xtra::actors),
        by("xtra shared", xtra::shared),
    ]
}
