//! The simulator checked against queueing theory: means within 2 %, 99th percentiles within 5 %.
//! Each figure is over several seeds, from 1 on; a failure prints how many.

mod closed_forms;
mod identities;
mod systems;

use std::time::Duration;

use raddle_sim::{Arrivals, Load, Scenario, Service, SimWorker, simulate};
use raddle_strategies::StrategyName;

use closed_forms::Law;

/// The mean service time in nanoseconds, long enough for rounding to be negligible.
const UNIT: f64 = 1e6;

fn duration(units: f64) -> Duration {
    Duration::from_nanos((units * UNIT).round() as u64)
}

/// Tasks with these service times for equal workers at load `rho`.
fn scenario(workers: usize, law: Law, rho: f64, tasks: u64) -> Scenario {
    let service = match law {
        Law::Exponential => Service::Exponential { mean: duration(1.0) },
        Law::Constant => Service::Constant(duration(1.0)),
        Law::Bimodal { short, long, long_share } => {
            Service::Bimodal { short: duration(short), long: duration(long), long_share }
        }
        Law::Pareto { longest, shape, .. } => {
            Service::Pareto { mean: duration(1.0), shape, longest: duration(longest) }
        }
    };
    let rate = rho * workers as f64 * 1e9 / UNIT;
    let load = Load::new(Arrivals::Poisson { rate }, service);
    Scenario { tasks, warm_up: tasks / 20, ..Scenario::new(SimWorker::equal(workers), load) }
}

/// Returns the mean and the 99th percentile of the sojourn over some seeds, in units.
fn sojourn(scenario: &Scenario, strategy: StrategyName, seeds: u64) -> (f64, f64) {
    let runs = (1..=seeds).map(|seed| {
        let scenario = Scenario { seed, ..scenario.clone() };
        // A rotation draws where it starts when it is created.
        fastrand::seed(seed);
        simulate(&scenario, &*strategy.build()).unwrap()
    });
    let (mut sum, mut all) = (0.0, hdrhistogram::Histogram::<u64>::new(3).unwrap());
    for run in runs {
        sum += run.sojourn.mean().as_nanos() as f64;
        all.add(run.sojourn.histogram()).unwrap();
    }
    (sum / seeds as f64 / UNIT, all.value_at_quantile(0.99) as f64 / UNIT)
}

/// Asserts that a mean is within 2 %.
fn assert_mean(what: &str, found: f64, expected: f64) {
    assert_within(0.02, &format!("mean of {what}"), found, expected);
}

/// Asserts that a 99th percentile is within 5 %.
fn assert_p99(what: &str, found: f64, expected: f64) {
    assert_within(0.05, &format!("p99 of {what}"), found, expected);
}

fn assert_within(most: f64, what: &str, found: f64, expected: f64) {
    let off = found / expected - 1.0;
    println!("{what}: {found:.4}, expected {expected:.4}, off by {:.2} %", off * 100.0);
    assert!(off.abs() <= most, "{what}: {found:.4}, not {expected:.4}: {:.2} %", off * 100.0);
}
