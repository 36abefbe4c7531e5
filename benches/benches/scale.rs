//! The cost of a task with many workers and many dispatching threads, measured from the first
//! submission to the end of the last task. Idle workers park.
//!
//! `cargo bench -p raddle-benches --bench scale -- scale/join_idle/64/` runs one pool with each
//! number of dispatchers.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, SamplingMode, Throughput};
use raddle_benches::{criterion, sum_pool};
use raddle_runtime::{Drain, Pool};
use raddle_strategies::StrategyName::{JoinIdle, PowerOfTwo, RoundRobin};

const WORKERS: [usize; 5] = [4, 16, 64, 256, 1024];
const DISPATCHERS: [u64; 4] = [1, 2, 8, 32];
/// Small, so that filling mailboxes is a small part of the time.
const MAILBOX: usize = 64;

fn main() {
    // Longer than the other benches: the cost of a task depends on whether its worker is parked,
    // which is a matter of chance.
    let mut criterion = criterion().measurement_time(Duration::from_secs(2));
    let mut group = criterion.benchmark_group("scale");
    group.throughput(Throughput::Elements(1));
    // Equally long runs, because the end of each, when the last workers park, is measured too.
    group.sampling_mode(SamplingMode::Flat);
    for strategy in [JoinIdle, RoundRobin, PowerOfTwo] {
        for workers in WORKERS {
            let pool = sum_pool(workers, strategy, MAILBOX);
            for dispatchers in DISPATCHERS {
                let id = BenchmarkId::new(format!("{strategy}/{workers}"), dispatchers);
                bench(&mut group, id, &pool, dispatchers);
            }
            let account = pool.shutdown(Drain::all()).expect("there is no limit");
            assert!(account.is_balanced());
        }
    }
    group.finish();
    criterion.final_summary();
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    pool: &Pool<u64, u64>,
    dispatchers: u64,
) {
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|tasks| time_of(pool, tasks, dispatchers));
    });
}

/// Returns the time that the tasks take when submitted by `dispatchers` threads.
fn time_of(pool: &Pool<u64, u64>, tasks: u64, dispatchers: u64) -> Duration {
    let target = pool.account().counts.completed + tasks;
    let start = Barrier::new(dispatchers as usize + 1);
    thread::scope(|scope| {
        for dispatcher in 0..dispatchers {
            let share = tasks / dispatchers + u64::from(dispatcher < tasks % dispatchers);
            let (mut local, start) = (pool.local(), &start);
            scope.spawn(move || {
                start.wait();
                for _ in 0..share {
                    local.tell(black_box(7)).expect("the pool is open");
                }
            });
        }
        start.wait();
        let begin = Instant::now();
        while pool.account().counts.completed < target {
            thread::sleep(Duration::from_micros(100));
        }
        begin.elapsed()
    })
}
