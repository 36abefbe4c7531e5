//! What a worker takes of memory, its stack aside: `cargo test -p raddle-benches --test memory --
//! --nocapture` prints it.

use peak_alloc::PeakAlloc;
use raddle_benches::sum_pool;
use raddle_core::{Roster, WorkerSpec};
use raddle_strategies::StrategyName;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Window 100 and histograms on.
fn roster(workers: usize) -> Roster {
    Roster::builder()
        .workers(workers, WorkerSpec::general())
        .build()
        .expect("a roster of generalists has no mistakes")
}

/// The bytes that one worker more takes: of twice as many, so that what all share is in none.
fn a_worker<T>(make: impl Fn(usize) -> T) -> f64 {
    const FEW: usize = 64;
    let bytes = |workers| {
        let before = ALLOCATOR.current_usage();
        let made = make(workers);
        let bytes = ALLOCATOR.current_usage() - before;
        drop(made);
        bytes as f64
    };
    // What the first of them makes for good is of nobody.
    bytes(FEW);
    (bytes(2 * FEW) - bytes(FEW)) / FEW as f64
}

#[test]
fn a_worker_takes_no_more_than_it_did() {
    let kib = |what: &str, bytes: f64, most: f64| {
        println!("{what:<40} {:>6.2} KiB, at most {most}", bytes / 1024.0);
        assert!(bytes <= most * 1024.0, "{what}: {bytes} bytes");
    };
    let pool = |mailbox| a_worker(|workers| sum_pool(workers, StrategyName::JoinIdle, mailbox));
    kib("in a roster: its statistics", a_worker(roster), 13.25);
    kib("in a pool, room for 1 task", pool(1), 16.25);
    kib("in a pool, room for 64 tasks", pool(64), 20.25);
    kib("in a pool, room for 1024 tasks (default)", pool(1024), 80.25);
}
