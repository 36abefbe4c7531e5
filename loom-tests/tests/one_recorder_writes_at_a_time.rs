//! The exclusive recorder of a worker writes without read-modify-writes: the next recorder
//! continues where the last one stopped, and a thread that sees its ends sees their outcomes.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::{Completion, Outcome, Reservation, SerialRecorder, Worker};
use raddle_loom_tests::{explore, fails_with, worker};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release},
};

/// A worker with two tasks.
trait Recorded: Send + Sync + 'static {
    /// The exclusive right to write, returned when dropped.
    type SerialRecorder;

    fn recorder(self: &Arc<Self>) -> Option<Self::SerialRecorder>;
    fn end(recorder: &mut Self::SerialRecorder);
    fn in_flight(&self) -> u64;
    fn completed(&self) -> u64;
}

impl Recorded for Worker {
    type SerialRecorder = SerialRecorder;

    fn recorder(self: &Arc<Self>) -> Option<SerialRecorder> {
        Worker::recorder(self)
    }
    fn end(recorder: &mut SerialRecorder) {
        let outcome = Outcome::Completed;
        recorder.end(&Completion::new(outcome));
    }
    fn in_flight(&self) -> u64 {
        self.stats().in_flight()
    }
    fn completed(&self) -> u64 {
        self.stats().counts().completed
    }
}

fn worker_with_two_tasks() -> Arc<Worker> {
    let worker = worker();
    for _ in 0..2 {
        let _ = Reservation::take(&worker, 0, None).unwrap().hand_over();
    }
    worker
}

/// A minimal worker with orderings that a twin weakens.
struct Twin {
    taken: AtomicBool,
    ended: AtomicU64,
    completed: AtomicU64,
    taking: Ordering,
    returning: Ordering,
    ending: Ordering,
}

struct TwinRecorder(Arc<Twin>);

impl Twin {
    fn new(taking: Ordering, returning: Ordering, ending: Ordering) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            taking,
            returning,
            ending,
        })
    }
}

impl Drop for TwinRecorder {
    fn drop(&mut self) {
        self.0.taken.store(false, self.0.returning);
    }
}

impl Recorded for Twin {
    type SerialRecorder = TwinRecorder;

    fn recorder(self: &Arc<Self>) -> Option<TwinRecorder> {
        (!self.taken.swap(true, self.taking)).then(|| TwinRecorder(Arc::clone(self)))
    }
    fn end(TwinRecorder(twin): &mut TwinRecorder) {
        twin.completed.store(twin.completed.load(Relaxed) + 1, Relaxed);
        twin.ended.store(twin.ended.load(Relaxed) + 1, twin.ending);
    }
    fn in_flight(&self) -> u64 {
        2 - self.ended.load(Acquire)
    }
    fn completed(&self) -> u64 {
        self.completed.load(Relaxed)
    }
}

/// Ends one of the tasks, unless another thread is recording.
fn try_to_end<R: Recorded>(worker: &Arc<R>) -> u64 {
    worker.recorder().map_or(0, |mut recorder| {
        R::end(&mut recorder);
        1
    })
}

/// Two threads try to become the worker's, one after the other or at the same time.
fn the_next_recorder_continues<R: Recorded>(worker: Arc<R>) {
    let other = thread::spawn({
        let worker = Arc::clone(&worker);
        move || try_to_end(&worker)
    });
    let ended = try_to_end(&worker) + other.join().unwrap();
    assert!(ended > 0, "neither thread could record");
    let counted = (worker.completed(), 2 - worker.in_flight());
    assert_eq!(counted, (ended, ended), "an end was lost on the way to the next recorder");
}

/// The worker's thread ends both tasks while another thread reads.
fn ends_are_seen_with_their_outcomes<R: Recorded>(worker: Arc<R>) {
    let reader = thread::spawn({
        let worker = Arc::clone(&worker);
        move || {
            let ended = 2 - worker.in_flight();
            let completed = worker.completed();
            assert!(completed >= ended, "{ended} ends are seen, but {completed} outcomes");
        }
    });
    let mut recorder = worker.recorder().unwrap();
    R::end(&mut recorder);
    R::end(&mut recorder);
    reader.join().unwrap();
    assert_eq!((worker.in_flight(), worker.completed()), (0, 2));
}

#[test]
fn handing_over_loses_no_end() {
    let model = || the_next_recorder_continues(worker_with_two_tasks());
    explore("the next recorder continues", 3, model);
}

#[test]
fn handing_over_without_release_loses_ends() {
    // Planted: the right is returned by a Relaxed store, so that the next recorder's loads may read
    // old counts.
    let model = || the_next_recorder_continues(Twin::new(AcqRel, Relaxed, Release));
    fails_with("recorder returned Relaxed", 2, "an end was lost", model);
}

#[test]
fn taking_over_without_acquire_loses_ends() {
    // Planted: the right is taken by a Relaxed swap, with the same effect.
    let model = || the_next_recorder_continues(Twin::new(Relaxed, Release, Release));
    fails_with("recorder taken Relaxed", 2, "an end was lost", model);
}

#[test]
fn ends_are_never_seen_before_their_outcomes() {
    let model = || ends_are_seen_with_their_outcomes(worker_with_two_tasks());
    explore("ends are seen with their outcomes", 3, model);
}

#[test]
fn a_relaxed_end_hides_its_outcome() {
    // Planted: the end is counted by a Relaxed store, which may be seen before the outcome.
    let model = || ends_are_seen_with_their_outcomes(Twin::new(AcqRel, Release, Relaxed));
    fails_with("exclusive end Relaxed", 2, "ends are seen, but", model);
}
