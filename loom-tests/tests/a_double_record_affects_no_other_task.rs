//! Recording a task twice is refused, and does not cause the only record of another task to be
//! refused: at any moment, as many records succeed as tasks were detached.
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
    /// Admits a task and detaches it.
    fn detach(self: &Arc<Self>);
    /// Ends a detached task; returns `false` if there is none.
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

/// A worker whose refused records lower the count for a moment.
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
        // Planted: the count is below zero until the refused record has restored it.
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

/// One thread records its task twice while another detaches and records its own.
///
/// An id names a worker, not a task, so the second record may take the other's task, whose own
/// record is then the one too many. But it must not be refused and also cause the other's to be
/// refused.
fn one_record_too_many_is_one_refusal<W: ById>(worker: Arc<W>) {
    worker.detach();
    assert!(worker.record(), "the first record was refused");
    let other = thread::spawn({
        let worker = Arc::clone(&worker);
        move || {
            worker.detach();
            worker.record()
        }
    });
    let twice = worker.record();
    let once = other.join().unwrap();
    assert!(twice || once, "the second record and the other's only one were both refused");
    assert!(!(twice && once), "two tasks were recorded three times");
    assert_eq!(worker.in_flight(), 0);
}

/// Two threads record without a task while a third detaches and records its own.
fn refusals_do_not_add_up<W: ById>(worker: Arc<W>) {
    let surplus = [(); 2].map(|()| {
        let worker = Arc::clone(&worker);
        thread::spawn(move || worker.record())
    });
    worker.detach();
    let mut recorded = usize::from(worker.record());
    for thread in surplus {
        recorded += usize::from(thread.join().unwrap());
    }
    assert_eq!(recorded, 1, "records of one task");
    assert_eq!(worker.in_flight(), 0);
}

#[test]
fn one_record_too_many_is_refused() {
    explore("one record too many", 3, || one_record_too_many_is_one_refusal(worker()));
}

#[test]
fn a_count_below_zero_refuses_another() {
    let model = || one_record_too_many_is_one_refusal(Arc::<TakesAndTakesBack>::default());
    fails_with("takes and takes back", 2, "the other's only one were both refused", model);
}

#[test]
fn two_records_too_many_are_refused() {
    explore("two records too many", 3, || refusals_do_not_add_up(worker()));
}

#[test]
fn a_count_below_zero_refuses_another_of_three() {
    let model = || refusals_do_not_add_up(Arc::<TakesAndTakesBack>::default());
    fails_with("takes and takes back, of three", 2, "records of one task", model);
}
