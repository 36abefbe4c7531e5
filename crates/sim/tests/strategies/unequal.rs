//! Half of the workers have nine tenths of the speed.

use raddle_strategies::StrategyName::{PowerOfTwo, Random, RoundRobin};

use super::*;

const LASTING: Duration = Duration::from_secs(100);

/// Eight of speed 1.8 and eight of 0.2, under load 0.7. In rotation and by chance a slow one is
/// given 3.5 times what it can do. Of two at random both are slow in 23 % of draws, which is
/// 1.6 times what the slow can do. All others must see it.
#[test]
fn only_who_does_not_look_or_looks_at_pairs_lets_queues_grow() {
    let mut workers = SimWorker::equal(16);
    for (index, worker) in workers.iter_mut().enumerate() {
        worker.speed = if index % 2 == 0 { 1.8 } else { 0.2 };
    }
    let mut scenario = scenario(workers, 0.7, SECOND / 200, LASTING);
    scenario.sample_every = Some(SECOND / 10);
    let grew = StrategyName::ALL.map(|strategy| {
        let run = run(&scenario, strategy);
        let (most, mean) = (most_growth(&run, LASTING), run.mean_sojourn / 5e6);
        println!("{strategy}, seed {}: queues grow by {most:.1}, mean {mean:.2}", run.seed);
        (strategy, most)
    });
    for (strategy, most) in grew {
        match strategy {
            Random | RoundRobin | PowerOfTwo => {
                assert!(most > 30.0 * CHANCE, "{strategy}: by {most}");
            }
            _ => assert!(most < CHANCE, "{strategy}: by {most}"),
        }
    }
}
