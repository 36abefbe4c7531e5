//! Weighted round robin learns weights from latencies, which are noisy.

use raddle_strategies::StrategyName::{Random, WeightedRoundRobin};

use super::*;

fn ratio(scenario: &Scenario) -> f64 {
    let [weighted, random] = [WeightedRoundRobin, Random]
        .map(|strategy| run(scenario, strategy).sojourn.mean().as_secs_f64());
    weighted / random
}

/// Equal workers have equal weights; whatever is learned about them is noise. With undamped weights
/// the mean at load 0.9 was 1.6 times that of random.
#[test]
fn noise_never_makes_weighted_round_robin_worse_than_random() {
    // Noise stays for as long as the window, and weights for a second: for ten or for a thousand tasks
    // per worker.
    for (mean, tasks) in [(SECOND / 1_000, 160_000.0), (SECOND / 10, 40_000.0)] {
        for load in [0.1, 0.5, 0.8, 0.9, 0.95] {
            let rate = load * 16.0 / mean.as_secs_f64();
            let duration = Duration::from_secs_f64(tasks / rate);
            let scenario = scenario(SimWorker::equal(16), load, mean, duration);
            let (seed, ratio) = (scenario.seed, ratio(&scenario));
            println!("seed {seed}, tasks of {mean:?}, load {load}: {ratio:.3} times random's mean");
            assert!(ratio <= 1.05, "tasks of {mean:?}, load {load}, seed {seed}: {ratio}");
        }
    }
}

/// Two tasks in a hundred are forty times as long as the others: most windows have none, one or two.
#[test]
fn nor_does_the_noise_of_rare_long_tasks() {
    let mut scenario = scenario(SimWorker::equal(16), 0.9, SECOND / 1_000, 20 * SECOND);
    let short = SECOND / 1_780;
    scenario.load.service = Service::Bimodal { short, long: 40 * short, long_share: 0.02 };
    let ratio = ratio(&scenario);
    println!("seed {}: {ratio:.3} times random's mean", scenario.seed);
    assert!(ratio <= 1.05, "seed {}: {ratio}", scenario.seed);
}

/// Twice and half the speed are not noise, though one task in twenty is twenty times as long as the
/// others. The slow workers have a quarter of the capacity; if they were taken for unlucky ones, they
/// would get a third of the tasks.
#[test]
fn but_speeds_are_told_from_the_noise_of_long_tasks() {
    let workers = [2.0, 2.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5];
    let mut workers: Vec<_> = SimWorker::equal(8).into_iter().zip(workers).collect();
    workers.iter_mut().for_each(|(worker, speed)| worker.speed = *speed);
    let workers = workers.into_iter().map(|(worker, _)| worker).collect();
    let mut scenario = scenario(workers, 0.7, SECOND / 1_000, 30 * SECOND);
    let short = SECOND / 1_950;
    scenario.load.service = Service::Bimodal { short, long: 20 * short, long_share: 0.05 };
    let run = run(&scenario, WeightedRoundRobin);
    let dispatched = |range: std::ops::Range<usize>| {
        run.workers[range].iter().map(|worker| worker.dispatched).sum::<u64>() as f64
    };
    let share = dispatched(4..8) / dispatched(0..8);
    println!("seed {}: slow workers get {share:.3} of the tasks", run.seed);
    assert!(share < 0.3, "seed {}: {share}", run.seed);
}
