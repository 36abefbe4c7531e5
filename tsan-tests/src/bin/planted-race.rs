//! Races that ThreadSanitizer must report, one a run: each is a test of `tests/promises.rs` without
//! what the promise rests on. A sanitizer that finds nothing here is not looking.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use raddle::prelude::*;
use raddle_tsan_tests::{Plain, Runs, adding, pool};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("two-workers") => two_workers(),
        Some("a-hand-kept") => a_hand_kept(),
        Some("a-relaxed-flag") => a_relaxed_flag(),
        _ => {
            eprintln!("planted-race: two-workers, a-hand-kept or a-relaxed-flag");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Tasks with one state between them and no key.
fn two_workers() {
    // Without stealing, or one worker could have both tasks and wait in the first for the second.
    let workers = Pool::builder("tsan").workers(2, WorkerSpec::new("w")).stealing(false);
    let pool = workers.strategy(RoundRobin::new()).spawn(|_| Runs).unwrap();
    let (plain, both) = (Arc::new(Plain::default()), Arc::new(Barrier::new(2)));
    for _ in 0..2 {
        let (adds, both) = (adding(&plain), Arc::clone(&both));
        let work = move || {
            // So that each worker has one of them.
            both.wait();
            adds();
        };
        pool.tell(Box::new(work)).unwrap();
    }
    pool.shutdown(Drain::all()).unwrap();
}

/// The dispatcher writes to what it has given away.
fn a_hand_kept() {
    let pool = pool(1);
    let plain = Arc::new(Plain::default());
    pool.tell(adding(&plain)).unwrap();
    plain.add();
    pool.shutdown(Drain::all()).unwrap();
}

/// The handler says that it is done by a word which publishes nothing: a Release that was forgotten.
fn a_relaxed_flag() {
    let pool = pool(1);
    let (plain, done) = (Arc::new(Plain::default()), Arc::new(AtomicBool::new(false)));
    let (adds, says) = (adding(&plain), Arc::clone(&done));
    let work = move || {
        adds();
        says.store(true, Relaxed);
    };
    pool.tell(Box::new(work)).unwrap();
    while !done.load(Relaxed) {
        thread::yield_now();
    }
    assert_eq!(plain.get(), 1);
    pool.shutdown(Drain::all()).unwrap();
}
