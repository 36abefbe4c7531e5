//! The processor time of an idle pool: `cargo bench -p raddle-benches --bench idle`.

use std::thread;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use raddle_benches::sum_pool;
use raddle_runtime::Drain;
use raddle_strategies::StrategyName;

const WORKERS: usize = 64;

fn main() {
    // Without `--bench` this is `cargo test`, which only checks that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let time = Duration::from_secs_f64(if is_bench { 10.0 } else { 0.2 });
    for strategy in [StrategyName::JoinIdle, StrategyName::RoundRobin, StrategyName::LeastWork] {
        let pool = sum_pool(WORKERS, strategy, 1024);
        (0..1_000).for_each(|number| pool.tell(number).expect("the pool is open"));
        thread::sleep(time / 10);
        let (begin, used) = (Instant::now(), ProcessTime::now());
        thread::sleep(time);
        let used = used.elapsed();
        println!(
            "idle: {WORKERS} workers, {strategy}: {used:?} of processor time in {:.1} s, {:.3} % of a core",
            begin.elapsed().as_secs_f64(),
            100.0 * used.as_secs_f64() / begin.elapsed().as_secs_f64(),
        );
        pool.shutdown(Drain::all()).expect("there is no limit");
    }
}
