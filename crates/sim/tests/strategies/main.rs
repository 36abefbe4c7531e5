//! How each strategy copes with faults, unequal workers and bursts. Every figure is printed with
//! its seed.

mod bursts;
mod faults;
mod sampling;
mod shares;
mod unequal;
mod warm;
mod weights;

use std::time::Duration;

use raddle_sim::{
    Arrivals, Fault, FaultKind, Keys, Load, Run, Scenario, Service, SimWorker, simulate,
};
use raddle_strategies::StrategyName;

const SECOND: Duration = Duration::from_secs(1);

/// Exponential tasks that arrive for `duration`, with known durations and 100,000 equally frequent
/// keys for the strategies that read them.
fn scenario(workers: Vec<SimWorker>, load: f64, mean: Duration, duration: Duration) -> Scenario {
    let mut scenario = Scenario::new(
        workers,
        Load::new(Arrivals::Poisson { rate: 1.0 }, Service::Exponential { mean }),
    );
    let rate = load * scenario.capacity() / mean.as_secs_f64();
    scenario.load.arrivals = Arrivals::Poisson { rate };
    scenario.load.keys = Keys::Zipf { count: 100_000, exponent: 0.0 };
    (scenario.tasks, scenario.warm_up) = ((rate * duration.as_secs_f64()) as u64, 0);
    scenario.durations_known = true;
    scenario
}

fn run(scenario: &Scenario, strategy: StrategyName) -> Run {
    // A rotation draws where it starts when it is created.
    fastrand::seed(scenario.seed);
    simulate(scenario, &*strategy.build()).unwrap()
}

/// How much a queue of a stable system may grow by chance.
///
/// An unstable queue grows by a share of the load: in these runs by hundreds of tasks from the
/// second quarter to the last.
const NOISE: f64 = 10.0;

/// Returns by how many tasks a worker's queue is longer on average in the last quarter of the
/// samples than in the second; in the first it fills. Samples after the last arrival are ignored:
/// by then every queue shrinks.
fn growth(run: &Run, arriving: Duration, worker: usize) -> f64 {
    let samples: Vec<_> = run.timeline.iter().filter(|sample| sample.at <= arriving).collect();
    let quarter = samples.len() / 4;
    assert!(quarter >= 50, "{} samples", samples.len());
    let mean = |from: usize| {
        let samples = samples[from..from + quarter].iter();
        samples.map(|sample| f64::from(sample.in_flight[worker])).sum::<f64>() / quarter as f64
    };
    mean(3 * quarter) - mean(quarter)
}

/// Returns the largest growth of any worker's queue.
fn max_growth(run: &Run, arriving: Duration) -> f64 {
    let all = (0..run.workers.len()).map(|worker| growth(run, arriving, worker));
    all.fold(f64::MIN, f64::max)
}
