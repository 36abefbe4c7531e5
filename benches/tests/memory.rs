//! The memory that a worker takes, without its stack. To print it:
//! `cargo test -p raddle-benches --test memory -- --nocapture`.

use peak_alloc::PeakAlloc;
use raddle_benches::sum_pool;
use raddle_core::{Roster, WorkerSpec};
use raddle_runtime::Drain;
use raddle_strategies::StrategyName;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Returns workers with the default tracking: a window of 100, and histograms.
fn roster(workers: usize) -> Roster {
    Roster::builder()
        .workers(workers, WorkerSpec::general())
        .build()
        .expect("a roster of generalists is valid")
}

/// Returns the bytes that one more worker takes: the difference between two sizes, so that shared
/// memory cancels out. The median of five, because some threads may still be starting.
fn bytes_per_worker<T>(make: impl Fn(usize) -> T, end: impl Fn(T)) -> f64 {
    const FEW: usize = 64;
    let bytes = |workers| {
        let before = ALLOCATOR.current_usage();
        let made = make(workers);
        let bytes = ALLOCATOR.current_usage() - before;
        end(made);
        bytes as f64
    };
    // The first call may allocate memory that stays.
    bytes(FEW);
    let mut differences = [(); 5].map(|()| bytes(2 * FEW) - bytes(FEW));
    differences.sort_by(f64::total_cmp);
    differences[2] / FEW as f64
}

#[test]
fn memory_per_worker_stays_within_its_limits() {
    let kib = |what: &str, bytes: f64, most: f64| {
        println!("{what:<40} {:>6.2} KiB, at most {most}", bytes / 1024.0);
        assert!(bytes <= most * 1024.0, "{what}: {bytes} bytes");
    };
    let pool = |mailbox| {
        let make = |workers| sum_pool(workers, StrategyName::JoinIdle, mailbox);
        bytes_per_worker(make, |pool| _ = pool.shutdown(Drain::all()))
    };
    kib("in a roster: its statistics", bytes_per_worker(roster, drop), 13.25);
    kib("in a pool, room for 1 task", pool(1), 16.5);
    kib("in a pool, room for 64 tasks", pool(64), 20.5);
    kib("in a pool, room for 1024 tasks (default)", pool(1024), 80.5);
}
