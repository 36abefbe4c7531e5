//! The cost of selecting, reserving and releasing on one thread.

use ::raddle::strategies::StrategyName;

use super::definition::{Contender, Scenario, Settings};
use crate::figures::{COST, Figures};
use crate::harness::Selecting;
#[cfg(feature = "pingora")]
use crate::peers::pingora;
use crate::peers::{raddle, tower};

const STRATEGIES: [StrategyName; 6] = [
    StrategyName::JoinIdle,
    StrategyName::RoundRobin,
    StrategyName::Random,
    StrategyName::WeightedRoundRobin,
    StrategyName::PowerOfTwo,
    StrategyName::LeastLoaded,
];

/// Returns the scenarios.
pub fn scenarios() -> Vec<Scenario> {
    [4, 16, 64]
        .into_iter()
        .map(|targets| Scenario {
            name: format!("select/{targets}"),
            title: format!("Select, reserve and release among {targets}"),
            figures: &[COST],
            contenders: contenders(targets),
        })
        .collect()
}

fn contenders(targets: usize) -> Vec<Contender> {
    let peer = |name: &str, run: fn(&Selecting) -> Figures| {
        Contender::new(name, move |settings: &Settings| {
            run(&Selecting { targets, seconds: settings.seconds })
        })
    };
    let ours = STRATEGIES.into_iter().map(|strategy| {
        Contender::new(format!("raddle {strategy}"), move |settings: &Settings| {
            raddle::select(&Selecting { targets, seconds: settings.seconds }, strategy)
        })
    });
    ours.chain([
        peer("tower p2c pending", tower::pending_requests),
        peer("tower p2c peak ewma", tower::peak_ewma),
        #[cfg(feature = "pingora")]
        peer("pingora round robin", pingora::round_robin),
    ])
    .collect()
}
