//! A task that its worker has set aside, to take another beside it, is in flight for reports until it has
//! ended, and selections see room from then on.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::{Reservation, Roster, SerialRecorder, Worker};
use raddle_loom_tests::{completed, explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The account of a worker that runs two tasks, each aside.
trait Account: Sized + Send + Sync + 'static {
    type Recorder;

    fn new(admitted: u64) -> (Arc<Self>, Self::Recorder);
    fn set_aside(recorder: &mut Self::Recorder);
    fn end_aside(recorder: &mut Self::Recorder);
    /// Returns the tasks in flight, as reports read them.
    fn reported(&self) -> u64;
    fn completed(&self) -> u64;
}

fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

impl Account for Roster {
    type Recorder = SerialRecorder;

    fn new(admitted: u64) -> (Arc<Self>, SerialRecorder) {
        let roster = Arc::new(roster(1));
        for _ in 0..admitted {
            let _ = Reservation::take(only(&roster), 0, None).unwrap().hand_over();
        }
        let recorder = only(&roster).recorder().unwrap();
        (roster, recorder)
    }
    fn set_aside(recorder: &mut SerialRecorder) {
        recorder.set_aside();
    }
    fn end_aside(recorder: &mut SerialRecorder) {
        recorder.end_aside(&completed());
    }
    fn reported(&self) -> u64 {
        only(self).stats().in_flight()
    }
    fn completed(&self) -> u64 {
        only(self).stats().counts().completed
    }
}

/// The same protocol on its own, with a planted bug or [none](NO_BUG).
struct Twin<const BUG: u8> {
    admitted: u64,
    endings: AtomicU64,
    aside: AtomicU64,
    completed: AtomicU64,
}

const NO_BUG: u8 = 0;
/// A task counts as ended before it counts as aside.
const ENDS_FIRST: u8 = 1;
/// Reports read what is aside before what has ended.
const READS_ASIDE_FIRST: u8 = 2;
/// What is aside is lowered without Release.
const LOWERS_RELAXED: u8 = 3;
/// What has ended is raised without Release.
const RAISES_RELAXED: u8 = 4;

impl<const BUG: u8> Account for Twin<BUG> {
    type Recorder = Arc<Self>;

    fn new(admitted: u64) -> (Arc<Self>, Arc<Self>) {
        let zero = || AtomicU64::new(0);
        let twin = Self { admitted, endings: zero(), aside: zero(), completed: zero() };
        let twin = Arc::new(twin);
        (Arc::clone(&twin), twin)
    }
    fn set_aside(twin: &mut Arc<Self>) {
        let raise_aside = || twin.aside.store(twin.aside.load(Relaxed) + 1, Relaxed);
        if BUG != ENDS_FIRST {
            raise_aside();
        }
        // Planted: the end may be seen, and not that it is none.
        let ordering = if BUG == RAISES_RELAXED { Relaxed } else { Release };
        twin.endings.store(twin.endings.load(Relaxed) + 1, ordering);
        if BUG == ENDS_FIRST {
            raise_aside();
        }
    }
    fn end_aside(twin: &mut Arc<Self>) {
        twin.completed.store(twin.completed.load(Relaxed) + 1, Relaxed);
        // Planted: the end may be seen, and not its outcome.
        let ordering = if BUG == LOWERS_RELAXED { Relaxed } else { Release };
        twin.aside.store(twin.aside.load(Relaxed) - 1, ordering);
    }
    fn reported(&self) -> u64 {
        let early = (BUG == READS_ASIDE_FIRST).then(|| self.aside.load(Acquire));
        let ended = self.endings.load(Acquire);
        let aside = early.unwrap_or_else(|| self.aside.load(Acquire));
        (self.admitted + aside).saturating_sub(ended)
    }
    fn completed(&self) -> u64 {
        self.completed.load(Relaxed)
    }
}

const TASKS: u64 = 2;

/// A report during the tasks of a worker finds each of them in flight or completed.
fn reporting<A: Account>() {
    let (account, mut recorder) = A::new(TASKS);
    let reader = thread::spawn({
        let account = Arc::clone(&account);
        move || {
            let reported = account.reported();
            let completed = account.completed();
            assert!(reported + completed >= TASKS, "a task was lost: {reported}, {completed}");
        }
    });
    for _ in 0..TASKS {
        A::set_aside(&mut recorder);
        A::end_aside(&mut recorder);
    }
    reader.join().unwrap();
    assert_eq!((account.reported(), account.completed()), (0, TASKS));
}

#[test]
fn a_task_set_aside_is_in_flight_until_it_has_ended() {
    explore("set aside", 3, reporting::<Roster>);
    explore("set aside, the protocol alone", 3, reporting::<Twin<NO_BUG>>);
}

#[test]
fn a_task_that_is_seen_neither_aside_nor_completed_is_lost() {
    let lost = "a task was lost";
    fails_with("ends, then sets aside", 3, lost, reporting::<Twin<ENDS_FIRST>>);
    fails_with("reads aside first", 3, lost, reporting::<Twin<READS_ASIDE_FIRST>>);
    fails_with("aside lowered Relaxed", 3, lost, reporting::<Twin<LOWERS_RELAXED>>);
    fails_with("ends raised Relaxed", 3, lost, reporting::<Twin<RAISES_RELAXED>>);
}
