//! A worker that fails restarts while its thread records one more failure: once a task has
//! succeeded, it is no longer held to fail, whichever of the two came first.
#![cfg(loom)]

use std::sync::{Arc, Mutex};

use loom::thread;
use raddle_core::{
    Clock, Completion, Outcome, Reservation, Roster, SerialRecorder, Tracking, WorkerSpec,
};
use raddle_loom_tests::{explore_no_deeper, fails_with};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

trait Record: Send + Sync + 'static {
    /// Creates the record of a worker that has long been failing.
    fn failing() -> Self;
    /// Records the end of a task; called by the worker's thread only.
    fn end(&self, success: bool);
    /// Called by any thread.
    fn forget(&self);
    fn is_failing(&self) -> bool;
}

/// The statistics of a worker and the recorder of its thread.
struct Statistics {
    roster: Roster,
    // Of std: the model's threads do not share it.
    recorder: Mutex<SerialRecorder>,
}

impl Record for Statistics {
    fn failing() -> Self {
        let tracking = Tracking { window: 1, ..Tracking::default() };
        let roster = Roster::builder().workers(1, WorkerSpec::general()).tracking(tracking);
        let roster = roster.clock(Clock::simulated().0).build().unwrap();
        let recorder = Mutex::new(roster.members()[0].worker.recorder().unwrap());
        let record = Self { roster, recorder };
        record.end(true);
        (0..11).for_each(|_| record.end(false));
        record
    }
    fn end(&self, success: bool) {
        let outcome = if success { Outcome::Completed } else { Outcome::Failed };
        let _ = Reservation::take(&self.roster.members()[0].worker, 0, None).unwrap().hand_over();
        self.recorder.lock().unwrap().end(&Completion { service: 1, ..Completion::new(outcome) });
    }
    fn forget(&self) {
        self.roster.members()[0].worker.next_generation();
    }
    fn is_failing(&self) -> bool {
        self.roster.candidates(None).signals_at(0).unwrap().is_failing()
    }
}

/// A success rate, reset without a note for the thread that records.
struct ResetOnly(AtomicU64);

impl Record for ResetOnly {
    fn failing() -> Self {
        Self(AtomicU64::new(0.2f64.to_bits()))
    }
    fn end(&self, success: bool) {
        let rate = f64::from_bits(self.0.load(Relaxed));
        let gained = if success { 1.0 } else { 0.0 };
        // Planted: a reset since the load is overwritten, and nothing repeats it.
        self.0.store((rate + (gained - rate) / 16.0).to_bits(), Relaxed);
    }
    fn forget(&self) {
        self.0.store(0.5f64.to_bits(), Relaxed);
    }
    fn is_failing(&self) -> bool {
        f64::from_bits(self.0.load(Relaxed)) < 0.5
    }
}

fn restarts_while_it_fails<R: Record>() {
    let record = Arc::new(R::failing());
    assert!(record.is_failing());
    let other = Arc::clone(&record);
    let restart = thread::spawn(move || other.forget());
    record.end(false);
    restart.join().unwrap();
    record.end(true);
    assert!(!record.is_failing(), "the verdict came back");
}

#[test]
fn a_restart_is_not_overwritten() {
    explore_no_deeper("refuted verdict", 1, restarts_while_it_fails::<Statistics>);
}

#[test]
fn a_reset_alone_is_overwritten() {
    fails_with("verdict reset alone", 1, "came back", restarts_while_it_fails::<ResetOnly>);
}
