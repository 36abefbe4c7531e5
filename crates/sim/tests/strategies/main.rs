//! What each strategy makes of workers that fail, of unequal ones and of bursts. Every figure is
//! printed with its seed.

mod bursts;
mod faults;
mod unequal;

use std::time::Duration;

use raddle_sim::{
    Arrivals, Fault, FaultKind, Keys, Load, Run, Scenario, Service, SimWorker, simulate,
};
use raddle_strategies::StrategyName;

const SECOND: Duration = Duration::from_secs(1);

/// Exponential tasks of this mean, for so long, at these workers under this load. Whoever looks at
/// sizes or keys has them: 100,000 keys, all alike.
fn scenario(workers: Vec<SimWorker>, load: f64, mean: Duration, lasting: Duration) -> Scenario {
    let mut scenario = Scenario::new(
        workers,
        Load::new(Arrivals::Poisson { rate: 1.0 }, Service::Exponential { mean }),
    );
    let rate = load * scenario.capacity() / mean.as_secs_f64();
    scenario.load.arrivals = Arrivals::Poisson { rate };
    scenario.load.keys = Keys::Zipf { count: 100_000, exponent: 0.0 };
    (scenario.tasks, scenario.warm_up) = ((rate * lasting.as_secs_f64()) as u64, 0);
    scenario.sizes_known = true;
    scenario
}

fn run(scenario: &Scenario, strategy: StrategyName) -> Run {
    simulate(scenario, &*strategy.build()).unwrap()
}

/// How much the longest queue of a stationary system may seem to grow.
///
/// A queue that grows without end does so by a part of the load: by hundreds of tasks in the runs
/// here, from the second quarter to the last.
const CHANCE: f64 = 10.0;

/// By how many tasks the queue of that worker is longer in the last quarter of the samples than in
/// the second, in the mean. The first is for it to fill. Samples are taken while tasks come: after
/// that every queue falls.
fn growth(run: &Run, lasting: Duration, worker: usize) -> f64 {
    let samples: Vec<_> = run.timeline.iter().filter(|sample| sample.at <= lasting).collect();
    let quarter = samples.len() / 4;
    assert!(quarter >= 50, "{} samples", samples.len());
    let mean = |from: usize| {
        let samples = samples[from..from + quarter].iter();
        samples.map(|sample| f64::from(sample.in_flight[worker])).sum::<f64>() / quarter as f64
    };
    mean(3 * quarter) - mean(quarter)
}

/// The most that any worker's queue grew.
fn most_growth(run: &Run, lasting: Duration) -> f64 {
    let all = (0..run.workers.len()).map(|worker| growth(run, lasting, worker));
    all.fold(f64::MIN, f64::max)
}
