//! Throughput of a pool of four workers and one dispatcher, by duration of the tasks.

use ::raddle::strategies::StrategyName;

use super::definition::{Contender, Scenario, Settings};
use crate::figures::{Figures, RATE};
use crate::harness::{Throughput, Work};
use crate::peers::{actix, crossbeam, kameo, kanal, ractor, raddle, rayon, tokio, xtra};

/// The number of workers.
const WORKERS: usize = 4;

/// Returns the scenarios.
pub fn scenarios() -> Vec<Scenario> {
    [
        ("empty", "empty tasks", Work::Empty),
        ("1us", "tasks of 1 us", Work::Micros(1)),
        ("10us", "tasks of 10 us", Work::Micros(10)),
        ("bimodal", "nine of ten tasks 1 us, one 50 us", Work::Bimodal),
    ]
    .into_iter()
    .map(|(name, words, work)| Scenario {
        name: format!("pool/{name}"),
        title: format!("Pool: four workers, one dispatcher, {words}"),
        figures: &[RATE],
        contenders: contenders(work),
    })
    .collect()
}

fn contenders(work: Work) -> Vec<Contender> {
    let by = |name, run: fn(Throughput) -> Figures| {
        Contender::new(name, move |settings: &Settings| {
            let plan = work.plan(settings.rounds_per_us);
            run(Throughput::new(WORKERS, 1, plan, settings.seconds))
        })
    };
    vec![
        by("raddle", raddle::pool),
        by("raddle round robin", |driver| raddle::pool_by(driver, StrategyName::RoundRobin)),
        by("crossbeam own channels", crossbeam::own_channels),
        by("crossbeam own channels 7 words", crossbeam::own_wide_channels),
        by("crossbeam shared", crossbeam::shared_channel),
        by("kanal shared", kanal::shared_channel),
        by("tokio tasks by hand", tokio::tasks),
        by("tokio spawn", tokio::spawn),
        by("rayon scope", rayon::scope),
        by("rayon spawn", rayon::spawn),
        by("actix SyncArbiter", actix::sync_arbiter),
        by("ractor by hand", ractor::actors),
        by("ractor factory queuer", ractor::factory_queuer),
        by("ractor factory round robin", ractor::factory_round_robin),
        by("kameo by hand", kameo::actors),
        by("kameo ActorPool", kameo::actor_pool),
        by("xtra by hand", xtra::actors),
        by("xtra shared", xtra::shared),
    ]
}
