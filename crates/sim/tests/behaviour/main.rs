//! The behaviour of a run, through the public API.

mod determinism;
mod dispatchers;
mod faults;
mod limits;
mod order;
mod properties;
mod stealing;

use std::time::Duration;

use raddle_sim::{Arrivals, Load, Run, Scenario, Service, SimError, SimWorker, simulate};
use raddle_strategies::{Random, StrategyName};

const MS: Duration = Duration::from_millis(1);

/// Exponential tasks of 1 ms on average, for equal workers at load `rho`.
fn scenario(workers: usize, rho: f64, tasks: u64) -> Scenario {
    let rate = rho * workers as f64 * 1_000.0;
    let load = Load::new(Arrivals::Poisson { rate }, Service::Exponential { mean: MS });
    Scenario { tasks, warm_up: 0, ..Scenario::new(SimWorker::equal(workers), load) }
}

/// A trace of tasks, each with its arrival and service time in milliseconds, for equal workers.
fn trace(workers: usize, tasks: &[(u32, u32)]) -> Scenario {
    let arrivals = tasks.iter().map(|(at, _)| *at * MS).collect();
    let service = tasks.iter().map(|(_, service)| *service * MS).collect();
    let load = Load::new(Arrivals::Trace(arrivals), Service::Trace(service));
    let scenario = Scenario::new(SimWorker::equal(workers), load);
    Scenario { tasks: tasks.len() as u64, warm_up: 0, ..scenario }
}

fn run(scenario: &Scenario, strategy: StrategyName) -> Run {
    // A rotation draws where it starts when it is created.
    fastrand::seed(scenario.seed);
    simulate(scenario, &*strategy.build()).unwrap()
}

/// Returns the error that refuses a scenario.
fn refused(scenario: &Scenario) -> String {
    match simulate(scenario, &Random) {
        Err(error @ SimError::Scenario { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Asserts that every task is accounted for.
fn assert_accounted(run: &Run) {
    let ended = run.completed + run.failed + run.panicked + run.expired;
    assert_eq!(run.tasks, ended + run.rejected + run.stuck);
}
