//! Data races that ThreadSanitizer must report, one per run. Each is a test of `tests/promises.rs`
//! without the basis of its promise. A sanitizer that reports nothing here does not work.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use raddle::strategies::RoundRobin;
use raddle::{Drain, WorkerSpec};
use raddle_tsan_tests::{Plain, Pool, Runs, adding, pool};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("two-workers") => two_workers(),
        Some("write-after-send") => write_after_send(),
        Some("relaxed-flag") => relaxed_flag(),
        _ => {
            eprintln!("planted-race: expected two-workers, write-after-send or relaxed-flag");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Two tasks that share state without a key.
fn two_workers() {
    // Without stealing: a worker with both tasks would wait in the first one for the second.
    let workers = Pool::builder("tsan").workers(2, WorkerSpec::new("w")).stealing(false);
    let pool = workers.strategy(RoundRobin::new()).spawn(|_| Runs).unwrap();
    let (plain, both) = (Arc::new(Plain::default()), Arc::new(Barrier::new(2)));
    for _ in 0..2 {
        let (adds, both) = (adding(&plain), Arc::clone(&both));
        let work = move || {
            // Makes each worker run one of the tasks.
            both.wait();
            adds();
        };
        pool.tell(Box::new(work)).unwrap();
    }
    pool.shutdown(Drain::all()).unwrap();
}

/// The dispatcher writes to memory that it has sent to a worker.
fn write_after_send() {
    let pool = pool(1);
    let plain = Arc::new(Plain::default());
    // Often, because a worker that wakes late comes after the closing of the pool.
    for _ in 0..100 {
        pool.tell(adding(&plain)).unwrap();
        plain.add();
    }
    pool.shutdown(Drain::all()).unwrap();
}

/// The handler signals its end by a relaxed store, without the necessary Release.
fn relaxed_flag() {
    let pool = pool(1);
    let (plain, done) = (Arc::new(Plain::default()), Arc::new(AtomicBool::new(false)));
    let (adds, sets) = (adding(&plain), Arc::clone(&done));
    let work = move || {
        adds();
        sets.store(true, Relaxed);
    };
    pool.tell(Box::new(work)).unwrap();
    while !done.load(Relaxed) {
        thread::yield_now();
    }
    assert_eq!(plain.get(), 1);
    pool.shutdown(Drain::all()).unwrap();
}
