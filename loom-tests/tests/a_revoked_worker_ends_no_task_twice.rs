//! The watchdog takes a worker from its thread while that ends tasks: each task ends once, for the
//! worker or in the pool's ledger, and the worker's statistics have one writer at a time. The slot of
//! the task's key is taken with it, and not that of another.
#![cfg(loom)]

use std::num::NonZeroU32;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Recorder, Reservation, Worker};
use raddle_loom_tests::{completed, explore, fails_with, worker};
use raddle_runtime::models::{Lease, Stay};
use raddle_sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use raddle_sync::channel::{self, Receiver};

/// What says which thread is the worker.
trait Tenancy: Send + Sync + 'static {
    type Stay;

    fn new() -> Self;
    /// The thread begins a task, of a key with this slot.
    fn begin(&self, now: u64, slot: NonZeroU32) -> Self::Stay;
    /// The thread has run it; whether the worker is still its own.
    fn end(&self, stay: Self::Stay) -> bool;
    /// Takes the worker from a thread that runs a task for longer than the limit: that one's slot, 0
    /// when it is not known.
    fn revoke_overdue(&self, now: u64) -> Option<u32>;
}

/// How long a task may take.
const LIMIT: u64 = 10;
/// When the watchdog looks.
const NOW: u64 = 1_000;

impl Tenancy for Lease {
    type Stay = Stay;

    fn new() -> Self {
        Self::new()
    }
    fn begin(&self, now: u64, slot: NonZeroU32) -> Stay {
        self.begin_task(now, Some(slot))
    }
    fn end(&self, stay: Stay) -> bool {
        Self::end(self, stay)
    }
    fn revoke_overdue(&self, now: u64) -> Option<u32> {
        let revoked = self.revoke(self.overdue(now, LIMIT)?)?;
        assert!(revoked.task && self.is_revoked());
        Some(revoked.slot.map_or(0, NonZeroU32::get))
    }
}

/// A minimal lease with a bug planted: the word is the start of the task that runs.
struct Twin<const BUG: u8> {
    word: AtomicU64,
    /// The start where the word is [`RUNNING`].
    start: AtomicU64,
    slot: AtomicU32,
}

const INSIDE: u64 = 0;
const REVOKED: u64 = u64::MAX;
const RUNNING: u64 = u64::MAX - 1;

/// The thread comes back by a load and a store.
const ENDS_BY_STORE: u8 = 0;
/// A task is begun without Release.
const BEGINS_RELAXED: u8 = 1;
/// A worker is taken without Acquire.
const REVOKES_RELAXED: u8 = 2;
/// The word says that a task runs, and not which.
const STATE_ONLY: u8 = 3;
/// A worker is taken by a load and a store.
const REVOKES_BY_STORE: u8 = 4;
/// The slot is read before the worker is taken.
const READS_SLOT_FIRST: u8 = 5;

impl<const BUG: u8> Tenancy for Twin<BUG> {
    type Stay = u64;

    fn new() -> Self {
        let (word, start) = (AtomicU64::new(INSIDE), AtomicU64::new(0));
        Self { word, start, slot: AtomicU32::new(0) }
    }
    fn begin(&self, now: u64, slot: NonZeroU32) -> u64 {
        self.slot.store(slot.get(), Relaxed);
        self.start.store(now, Relaxed);
        let word = if BUG == STATE_ONLY { RUNNING } else { now };
        // Planted: what the thread did to the statistics before need not be seen.
        self.word.store(word, if BUG == BEGINS_RELAXED { Relaxed } else { Release });
        word
    }
    fn end(&self, stay: u64) -> bool {
        if BUG != ENDS_BY_STORE {
            return self.word.compare_exchange(stay, INSIDE, Relaxed, Relaxed).is_ok();
        }
        // Planted: the worker may be taken between the two.
        let kept = self.word.load(Relaxed) == stay;
        if kept {
            self.word.store(INSIDE, Relaxed);
        }
        kept
    }
    fn revoke_overdue(&self, now: u64) -> Option<u32> {
        let word = self.word.load(Relaxed);
        if word == INSIDE || now.saturating_sub(self.start.load(Relaxed)) <= LIMIT {
            return None;
        }
        // Planted in `READS_SLOT_FIRST`: it may be that of the task before.
        let early = self.slot.load(Relaxed);
        let takes = if BUG == REVOKES_BY_STORE {
            // Planted: the thread may have come back between the two.
            let takes = self.word.load(Acquire) == word;
            if takes {
                self.word.store(REVOKED, Relaxed);
            }
            takes
        } else {
            // Planted: the same as in `BEGINS_RELAXED`, on the other side.
            let success = if BUG == REVOKES_RELAXED { Relaxed } else { Acquire };
            // Planted in `STATE_ONLY`: the task that runs by now may be the next one.
            self.word.compare_exchange(word, REVOKED, success, Relaxed).is_ok()
        };
        let late = self.slot.load(Relaxed);
        takes.then_some(if BUG == READS_SLOT_FIRST { early } else { late })
    }
}

/// The start of a task by the clock.
type Task = u64;

/// What the threads share.
struct Pool<T> {
    tenancy: T,
    worker: Arc<Worker>,
    tasks: Receiver<Task>,
    /// Written beside the worker's statistics: loom reports two writers at a time.
    statistics: UnsafeCell<()>,
    /// Tasks taken over from the worker, and those of them that have ended.
    ledger: [AtomicU64; 2],
    /// The start of the task that hangs, as the watchdog knows it by its slot and as its thread
    /// does; 0 where none hangs.
    hung: [AtomicU64; 2],
}

impl<T: Tenancy> Pool<T> {
    /// Runs tasks as the worker's thread, until there are none or the worker is taken from it.
    fn run(&self, tenancy: &T, mut recorder: Recorder) {
        while let Ok(task) = self.tasks.try_recv() {
            let stay = tenancy.begin(task, slot(task));
            if !tenancy.end(stay) {
                assert!(NOW - task > LIMIT, "a task was revoked for its predecessor's time");
                self.ledger[1].fetch_add(1, Relaxed);
                self.hung[1].store(task, Relaxed);
                recorder.disown();
                return;
            }
            self.statistics.with_mut(|_| ());
            recorder.end(&completed());
        }
    }

    /// Takes the worker from its thread, if the task that it runs is overdue, and is its next thread.
    fn watch(&self) {
        let Some(slot) = self.tenancy.revoke_overdue(NOW) else { return };
        self.hung[0].store(slot.into(), Relaxed);
        let mut recorder = self.worker.replace_recorder();
        self.statistics.with_mut(|_| ());
        recorder.mark_idle(NOW);
        self.ledger[0].fetch_add(1, Relaxed);
        self.worker.withdraw();
        self.run(&T::new(), recorder);
    }
}

/// The slot of a task's key.
fn slot(task: Task) -> NonZeroU32 {
    u32::try_from(task).ok().and_then(NonZeroU32::new).unwrap()
}

/// Tasks that begin at these times are run by this thread, while the watchdog looks once.
fn model<T: Tenancy>(starts: &'static [Task]) {
    let worker = worker();
    let recorder = worker.recorder().unwrap();
    let (sender, tasks) = channel::unbounded();
    for start in starts {
        let _ = Reservation::take(&worker, 0, None).unwrap().hand_over();
        sender.send(*start).unwrap();
    }
    // Leaked: when a model fails, a channel's destructor is run outside of loom.
    std::mem::forget(sender);
    let pool: &Pool<T> = Box::leak(Box::new(Pool {
        tenancy: T::new(),
        worker,
        tasks,
        statistics: UnsafeCell::new(()),
        ledger: [AtomicU64::new(0), AtomicU64::new(0)],
        hung: [AtomicU64::new(0), AtomicU64::new(0)],
    }));
    let watchdog = thread::spawn(move || pool.watch());
    pool.run(&pool.tenancy, recorder);
    watchdog.join().unwrap();
    let (counts, [taken, ended]) =
        (pool.worker.stats().counts(), [0, 1].map(|index| pool.ledger[index].load(Relaxed)));
    let tasks = starts.len() as u64;
    assert_eq!(counts.ended() + ended, tasks, "not every task has ended, once");
    assert_eq!((counts.admitted, taken), (counts.ended(), ended), "the accounts are off");
    assert_eq!(pool.worker.stats().in_flight(), 0);
    let [taken, hung] = [0, 1].map(|index| pool.hung[index].load(Relaxed));
    assert_eq!(taken, hung, "the slot of another task");
}

/// Both are overdue when the watchdog looks.
const OVERDUE: &[Task] = &[1, 2];
/// The first is overdue when the watchdog looks, and the second begins then.
const THEN_PROMPT: &[Task] = &[1, NOW];
/// What loom says of two writes of which neither comes after the other.
const CONCURRENT: &str = "Concurrent write accesses";

#[test]
fn overdue_tasks() {
    explore("revoked worker", 3, || model::<Lease>(OVERDUE));
}

#[test]
fn more_overdue_tasks() {
    explore("revoked worker, three tasks", 2, || model::<Lease>(&[1, 2, 3]));
}

#[test]
fn a_prompt_task_after_one_that_is_overdue() {
    explore("revoked worker, then a prompt task", 3, || model::<Lease>(THEN_PROMPT));
}

#[test]
fn ending_by_a_store() {
    fails_with("ends by a store", 3, CONCURRENT, || model::<Twin<ENDS_BY_STORE>>(&[1]));
}

#[test]
fn revoking_by_a_store() {
    fails_with("revokes by a store", 3, CONCURRENT, || model::<Twin<REVOKES_BY_STORE>>(&[1]));
}

#[test]
fn beginning_relaxed() {
    fails_with("begins Relaxed", 3, CONCURRENT, || model::<Twin<BEGINS_RELAXED>>(OVERDUE));
}

#[test]
fn revoking_relaxed() {
    fails_with("revokes Relaxed", 3, CONCURRENT, || model::<Twin<REVOKES_RELAXED>>(OVERDUE));
}

#[test]
fn reading_the_slot_first() {
    let expected = "the slot of another task";
    fails_with("slot read first", 3, expected, || model::<Twin<READS_SLOT_FIRST>>(OVERDUE));
}

#[test]
fn a_word_without_the_start() {
    let expected = "revoked for its predecessor's time";
    fails_with("word without the start", 3, expected, || model::<Twin<STATE_ONLY>>(THEN_PROMPT));
}
