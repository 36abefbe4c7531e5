//! No verdict is permanent: equal workers get equal shares over time, and a worker that has
//! recovered gets traffic again, under every strategy, alone and in a wrapper.

use raddle_strategies::StrategyName::{CapabilityBest, ExpectedDelay, HotCold, LatencyBased};
use raddle_strategies::{SlowStart, Strategy};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Strategies that measure workers, and so prefer the one that was lucky.
const LEARNING: [StrategyName; 3] = [LatencyBased, ExpectedDelay, CapabilityBest];

/// Returns the least share, in multiples of the fair one, that a worker may get.
fn least(strategy: StrategyName) -> f64 {
    if LEARNING.contains(&strategy) { 0.15 } else { 0.5 }
}

/// Returns a strategy alone, and in each wrapper.
fn wrapped(strategy: StrategyName) -> [(&'static str, Box<dyn Strategy>); 2] {
    [("", strategy.build()), ("slow start of ", Box::new(SlowStart::new(strategy.build())))]
}

/// Exponential tasks without keys and known durations, which arrive for `duration`.
fn plain(workers: usize, load: f64, mean: Duration, duration: Duration, seed: u64) -> Scenario {
    let mut scenario = scenario(SimWorker::equal(workers), load, mean, duration);
    scenario.load.keys = Keys::None;
    (scenario.durations_known, scenario.seed) = (false, seed);
    scenario
}

/// Returns how many tasks each worker was given.
fn dispatched(scenario: &Scenario, strategy: &dyn Strategy) -> Vec<f64> {
    let run = simulate(scenario, strategy).unwrap();
    run.workers.iter().map(|worker| worker.dispatched as f64).collect()
}

/// Returns the least share of any worker, in multiples of the fair one.
fn least_share(scenario: &Scenario, strategy: &dyn Strategy) -> f64 {
    let given = dispatched(scenario, strategy);
    let fair = given.iter().sum::<f64>() / given.len() as f64;
    given.into_iter().fold(f64::MAX, f64::min) / fair
}

/// Asserts that equal workers get at least [`least`] of the fair share of 100,000 tasks: in twenty
/// runs with different loads, and in four of them also in a wrapper.
fn assert_equal_shares(strategies: &[StrategyName]) {
    let mut starved = Vec::new();
    for &strategy in strategies {
        for seed in 0..20 {
            let load = 0.05 + 0.85 * seed as f64 / 19.0;
            // A tenth of a second is a hundred tasks, or a few.
            let mean = if seed % 2 == 0 { MS } else { 30 * MS };
            let wrappers = if seed % 6 == 0 { 2 } else { 1 };
            for (wrapper, built) in wrapped(strategy).into_iter().take(wrappers) {
                let scenario = Scenario { tasks: 100_000, ..plain(16, load, mean, SECOND, seed) };
                let share = least_share(&scenario, &*built);
                let found = format!("{wrapper}{strategy}, load {load:.2}, {mean:?}: {share:.3}");
                println!("{found}, seed {seed}");
                if share < least(strategy) {
                    starved.push(found);
                }
            }
        }
    }
    assert!(starved.is_empty(), "{starved:#?}");
}

#[test]
fn equal_workers_get_equal_shares_over_time_where_strategies_learn() {
    assert_equal_shares(&LEARNING);
}

#[test]
fn equal_workers_get_equal_shares_over_time_elsewhere() {
    let others = StrategyName::ALL.into_iter().filter(|strategy| !LEARNING.contains(strategy));
    assert_equal_shares(&others.collect::<Vec<_>>());
}

/// Returns the share of worker 0, in multiples of the fair one, in the last minute of a scenario.
fn share_in_the_last_minute(scenario: &Scenario, strategy: impl Fn() -> Box<dyn Strategy>) -> f64 {
    let Arrivals::Poisson { rate } = scenario.load.arrivals else { unreachable!("see `plain`") };
    // The tasks before the last minute are the same in a shorter run.
    let tasks = scenario.tasks - (60.0 * rate) as u64;
    let all = dispatched(scenario, &*strategy());
    let before = dispatched(&Scenario { tasks, ..scenario.clone() }, &*strategy());
    (all[0] - before[0]) / (scenario.tasks - tasks) as f64 * all.len() as f64
}

/// Asserts that worker 0 gets [`least`] of its share in the last minute of `scenario`, under every
/// strategy.
fn assert_recovered(scenario: &Scenario) {
    let mut lost = Vec::new();
    for strategy in StrategyName::ALL {
        for which in 0..wrapped(strategy).len() {
            let build = || wrapped(strategy).into_iter().nth(which).unwrap().1;
            let share = share_in_the_last_minute(scenario, build);
            let (wrapper, load) = (wrapped(strategy)[which].0, scenario.offered_load());
            let found = format!("{wrapper}{strategy}, load {load:.2}: {share:.3}");
            println!("{found}, seed {}", scenario.seed);
            // Under `HotCold`, tasks that find all others hot reset the time for which it was idle.
            let least = if strategy == HotCold { 0.15 } else { least(strategy) };
            if share < least {
                lost.push(found);
            }
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

/// Asserts that worker 0 of 8 gets traffic again in the minute after a fault of two seconds.
fn assert_recovers_from(kind: FaultKind) {
    let fault = Fault { worker: 0, at: SECOND, duration: Some(2 * SECOND), kind };
    for (seed, load) in [(1, 0.1), (2, 0.5)] {
        let healthy = plain(8, load, 5 * MS, 63 * SECOND, seed);
        assert_recovered(&Scenario { faults: vec![fault], ..healthy });
    }
}

#[test]
fn a_worker_that_failed_for_two_seconds_gets_traffic_again() {
    assert_recovers_from(FaultKind::FailFast { after: MS / 100 });
}

#[test]
fn a_worker_that_was_slow_for_two_seconds_gets_traffic_again() {
    assert_recovers_from(FaultKind::SlowDown { factor: 10.0 });
}

#[test]
fn a_worker_that_hung_for_two_seconds_gets_traffic_again() {
    assert_recovers_from(FaultKind::Hang);
}

#[test]
fn a_worker_that_restarted_for_two_seconds_gets_traffic_again() {
    assert_recovers_from(FaultKind::Restart);
}

/// It has run a hundred tasks before, so that a hundred times its mean is a minute.
#[test]
fn a_worker_that_ran_one_task_of_a_minute_gets_traffic_again() {
    let kind = FaultKind::SlowDown { factor: 6_000.0 };
    let faults = vec![Fault { worker: 0, at: 10 * SECOND, duration: Some(SECOND / 5), kind }];
    let mut scenario = Scenario { faults, ..plain(8, 0.3, 10 * MS, 255 * SECOND, 1) };
    scenario.load.service = Service::Constant(10 * MS);
    assert_recovered(&scenario);
}

/// At a cold start nothing is known that one worker could be compared with.
#[test]
fn at_a_cold_start_join_idle_takes_no_worker_for_slow() {
    for seed in 0..50 {
        let share =
            least_share(&plain(64, 0.3, MS, 5 * SECOND, seed), &*StrategyName::JoinIdle.build());
        println!("seed {seed}: {share:.3}");
        assert!(share > 0.5, "seed {seed}: {share}");
    }
}
