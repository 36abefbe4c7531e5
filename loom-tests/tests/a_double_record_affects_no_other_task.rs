//! Who records a task twice is refused, and nobody is refused for it who records a task once: as
//! many records succeed as tasks were left, at any moment.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::{Completion, Outcome, Reservation, Worker};
use raddle_loom_tests::{explore, fails_with, worker};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A worker whose tasks are ended by its id.
trait ById: Send + Sync + 'static {
    /// Admits a task and leaves it in flight.
    fn detach(self: &Arc<Self>);
    /// Ends such a task, if there is one.
    fn record(&self) -> bool;
    fn in_flight(&self) -> u64;
}

impl ById for Worker {
    fn detach(self: &Arc<Self>) {
        let _ = Reservation::take(self, 0, None).unwrap().detach();
    }
    fn record(&self) -> bool {
        let end = Completion::new(Outcome::Completed);
        Worker::record(self, &end).is_ok()
    }
    fn in_flight(&self) -> u64 {
        self.stats().in_flight()
    }
}

/// A worker whose refused records lower the count for an instant.
#[derive(Default)]
struct TakesAndTakesBack {
    admitted: AtomicU64,
    ended: AtomicU64,
    detached: AtomicU64,
}

impl ById for TakesAndTakesBack {
    fn detach(self: &Arc<Self>) {
        self.admitted.fetch_add(1, Relaxed);
        self.detached.fetch_add(1, Release);
    }
    fn record(&self) -> bool {
        // Planted: below zero until the refused one has taken its asking back.
        let taken = self.detached.fetch_sub(1, Acquire).cast_signed() > 0;
        if taken {
            self.ended.fetch_add(1, Release);
        } else {
            self.detached.fetch_add(1, Relaxed);
        }
        taken
    }
    fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Acquire);
        self.admitted.load(Acquire) - ended
    }
}

/// One thread records its task twice while another leaves and records one of its own.
///
/// An id names a worker and not a task, so the second record may take the other's task, whose own
/// record is then the one too many. What it may not do is to be refused and make the other one be.
fn one_record_too_many_is_one_refusal<W: ById>(worker: Arc<W>) {
    worker.detach();
    assert!(worker.record(), "the first of one's own records was refused");
    let other = thread::spawn({
        let worker = Arc::clone(&worker);
        move || {
            worker.detach();
            worker.record()
        }
    });
    let twice = worker.record();
    let once = other.join().unwrap();
    assert!(twice || once, "the second record was refused, and the other's only one with it");
    assert!(!(twice && once), "two tasks were recorded three times");
    assert_eq!(worker.in_flight(), 0);
}

/// Two threads record once too often while a third leaves and records a task of its own.
fn refusals_do_not_add_up<W: ById>(worker: Arc<W>) {
    let too_often = [(); 2].map(|()| {
        let worker = Arc::clone(&worker);
        thread::spawn(move || worker.record())
    });
    worker.detach();
    let mut recorded = usize::from(worker.record());
    for thread in too_often {
        recorded += usize::from(thread.join().unwrap());
    }
    assert_eq!(recorded, 1, "records of the one task");
    assert_eq!(worker.in_flight(), 0);
}

#[test]
fn one_record_too_many() {
    explore("one record too many", 3, || one_record_too_many_is_one_refusal(worker()));
}

#[test]
fn a_count_below_zero_refuses_another() {
    let model = || one_record_too_many_is_one_refusal(Arc::<TakesAndTakesBack>::default());
    fails_with("takes and takes back", 2, "and the other's only one with it", model);
}

#[test]
fn two_records_too_many() {
    explore("two records too many", 3, || refusals_do_not_add_up(worker()));
}

#[test]
fn a_count_below_zero_refuses_another_among_three() {
    let model = || refusals_do_not_add_up(Arc::<TakesAndTakesBack>::default());
    fails_with("takes and takes back, of three", 2, "records of the one task", model);
}
