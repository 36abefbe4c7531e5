use std::thread;

use raddle_sim::{Dispatchers, Fault, FaultKind, Keys};

use super::*;

/// A small scenario with every feature.
fn busy() -> Scenario {
    let mut scenario = scenario(8, 0.85, 20_000);
    scenario.load.arrivals = Arrivals::Bursty {
        rate: 6_500.0,
        burst: 2.0,
        burst_length: 20 * MS,
        quiet_length: 60 * MS,
    };
    scenario.load.keys = Keys::Zipf { count: 50, exponent: 1.0 };
    scenario.dispatchers = Dispatchers { count: 3, sync_interval: 5 * MS };
    scenario.workers[7].speed = 0.5;
    scenario.faults = vec![
        Fault { worker: 1, at: 100 * MS, duration: Some(100 * MS), kind: FaultKind::Hang },
        Fault { worker: 2, at: 200 * MS, duration: None, kind: FaultKind::Restart },
    ];
    (scenario.timeout, scenario.mailbox, scenario.failure_rate) = (Some(50 * MS), Some(30), 0.02);
    (scenario.stealing, scenario.durations_known) = (true, true);
    scenario.sample_interval = Some(10 * MS);
    scenario.refresh_interval = 50 * MS;
    scenario
}

#[test]
fn the_same_scenario_gives_the_same_run_on_every_thread() {
    for scenario in [scenario(16, 0.9, 20_000), busy()] {
        for strategy in StrategyName::ALL {
            let here = run(&scenario, strategy);
            fastrand::seed(99);
            assert_eq!(here, run(&scenario, strategy), "{strategy:?}");
            let there = thread::scope(|scope| {
                let other = scope.spawn(|| run(&scenario, strategy));
                other.join().unwrap()
            });
            assert_eq!(here, there, "{strategy:?}");
        }
    }
}

#[test]
fn another_seed_gives_another_run() {
    let scenario = scenario(4, 0.8, 1_000);
    let other = Scenario { seed: 2, ..scenario.clone() };
    assert_ne!(run(&scenario, StrategyName::Random), run(&other, StrategyName::Random));
}

/// Common random numbers: strategies differ in how they place the tasks, not in the tasks.
#[test]
fn every_strategy_meets_the_same_tasks() {
    let scenario = Scenario { failure_rate: 0.1, ..scenario(8, 0.7, 20_000) };
    let work = |strategy| {
        let run = run(&scenario, strategy);
        let busy: f64 = run.workers.iter().map(|worker| worker.utilisation).sum();
        ((busy * run.span.as_nanos() as f64).round(), run.failed)
    };
    let expected = work(StrategyName::Random);
    for strategy in StrategyName::ALL {
        let (busy, failed) = work(strategy);
        assert!((busy - expected.0).abs() < 1e3, "{strategy:?}: {busy}, not {}", expected.0);
        assert_eq!(failed, expected.1, "{strategy:?}");
    }
}
