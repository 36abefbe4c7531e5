//! Half of the workers provide nine tenths of the capacity.

use raddle_strategies::StrategyName::{PowerOfTwo, Random, RoundRobin};

use super::*;

const ARRIVING: Duration = Duration::from_secs(100);

/// Eight workers of speed 1.8 and eight of 0.2, at load 0.7. In rotation and at random, a slow one
/// receives 3.5 times its capacity. Of two random workers, both are slow in 23 % of the draws,
/// which is 1.6 times the slow workers' capacity. Every other strategy must notice.
#[test]
fn queues_grow_only_under_blind_strategies_and_two_choices() {
    let mut workers = SimWorker::equal(16);
    for (index, worker) in workers.iter_mut().enumerate() {
        worker.speed = if index % 2 == 0 { 1.8 } else { 0.2 };
    }
    let mut scenario = scenario(workers, 0.7, SECOND / 200, ARRIVING);
    scenario.sample_interval = Some(SECOND / 10);
    let grew = StrategyName::ALL.map(|strategy| {
        let run = run(&scenario, strategy);
        let (most, mean) = (max_growth(&run, ARRIVING), run.sojourn.mean().as_secs_f64() / 5e-3);
        println!("{strategy}, seed {}: queues grow by {most:.1}, mean {mean:.2}", run.seed);
        (strategy, most)
    });
    for (strategy, most) in grew {
        match strategy {
            Random | RoundRobin | PowerOfTwo => {
                assert!(most > 30.0 * NOISE, "{strategy}: by {most}");
            }
            _ => assert!(most < NOISE, "{strategy}: by {most}"),
        }
    }
}
