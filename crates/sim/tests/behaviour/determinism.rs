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

#[test]
fn a_speedup_changes_no_figure_of_a_strategy_without_times_of_its_own() {
    let mut bimodal = busy();
    bimodal.load.service = Service::Bimodal { short: MS, long: 3 * MS, long_share: 0.1 };
    let mut pareto = busy();
    pareto.load.service = Service::Pareto { mean: MS, shape: 2.5, longest: 100 * MS };
    let mut constant = scenario(4, 0.9, 20_000);
    constant.load.service = Service::Constant(MS);
    constant.timeout = Some(5 * MS);
    constant.sample_interval = Some(100 * MS);
    let recorded = trace(2, &[(0, 10), (1, 4), (8, 1), (30, 3)]);
    for plain in [busy(), bimodal, pareto, constant, recorded] {
        let own = run(&plain, StrategyName::RoundRobin);
        for speedup in [0.5, 16.0] {
            let fast = run(&Scenario { speedup, ..plain.clone() }, StrategyName::RoundRobin);
            // Times are rounded to nanoseconds, which may change the order of two events.
            let near = |fast: Duration, own: Duration| {
                let ratio = fast.as_secs_f64() / own.as_secs_f64();
                assert!((ratio - 1.0).abs() < 5e-3, "{fast:?} for {own:?} at {speedup}");
            };
            near(fast.span, own.span);
            near(fast.sojourn.mean(), own.sojourn.mean());
            near(fast.wait.mean(), own.wait.mean());
            assert!(fast.completed.abs_diff(own.completed) <= own.tasks / 100);
            assert!(fast.expired.abs_diff(own.expired) <= own.tasks / 100);
            assert!(fast.timeline.len().abs_diff(own.timeline.len()) <= 1);
            if let Some((fast, own)) = fast.timeline.last().zip(own.timeline.last()) {
                near(fast.at, own.at);
            }
        }
    }
}
