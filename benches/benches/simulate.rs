//! Simulated tasks per second of wall time on one thread, by strategy with 16 workers and by number
//! of workers. Creating the workers is included.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use raddle_benches::criterion;
use raddle_sim::{Arrivals, Load, Scenario, Service, SimWorker, simulate};
use raddle_strategies::StrategyName;

const TASKS: u64 = 500_000;

fn main() {
    let mut criterion = criterion().sample_size(10);
    use StrategyName::{JoinIdle, LeastLoaded, PowerOfTwo, Random};
    for strategy in [Random, LeastLoaded, PowerOfTwo, JoinIdle] {
        bench(&mut criterion, strategy, 16);
    }
    for workers in [256, 10_000] {
        bench(&mut criterion, PowerOfTwo, workers);
    }
    criterion.final_summary();
}

fn bench(criterion: &mut Criterion, strategy: StrategyName, workers: usize) {
    let service = Service::Exponential { mean: Duration::from_millis(1) };
    let rate = 0.8 * workers as f64 * 1_000.0;
    let load = Load::new(Arrivals::Poisson { rate }, service);
    let scenario = Scenario { tasks: TASKS, ..Scenario::new(SimWorker::equal(workers), load) };
    let mut group = criterion.benchmark_group("simulate");
    group.throughput(Throughput::Elements(TASKS));
    group.bench_function(BenchmarkId::new(strategy.as_str(), workers), |bencher| {
        bencher.iter(|| simulate(&scenario, &*strategy.build()).map(|run| run.completed));
    });
    group.finish();
}
