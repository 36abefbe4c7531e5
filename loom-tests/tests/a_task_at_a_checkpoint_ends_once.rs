//! The watchdog revokes a worker from its thread while one task runs at the checkpoint of another, or
//! before or after that: each of the two ends once, at the worker or in the pool's ledger, and the
//! worker's statistics have one writer at a time. Neither is revoked for the time of the other.
#![cfg(loom)]

use std::num::NonZeroU32;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Reservation, SerialRecorder, Worker};
use raddle_loom_tests::{completed, explore, fails_with, worker};
use raddle_runtime::models::{PausedStay, SerialLease, Stay};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use raddle_sync::channel::{self, Receiver};

/// How long a task may take.
const LIMIT: u64 = 10;
/// When the watchdog checks.
const NOW: u64 = 1_000;
/// The key of the outer task.
const KEY: NonZeroU32 = NonZeroU32::new(7).unwrap();

/// What the code that ships does.
const NO_BUG: u8 = 0;

// Bugs of the threads that use the lease.

/// The inner task begins although the outer one's stay has not paused.
const DOES_NOT_PAUSE: u8 = 1;
/// The outer task goes on although the worker has been revoked.
const UNPAUSES_ALWAYS: u8 = 2;
/// The outer task's stay keeps its start.
const KEEPS_START: u8 = 3;
/// The watchdog takes over the inner task alone.
const FORGETS_OUTER: u8 = 4;

// Bugs of the lease.

/// The watchdog may revoke the stay while it pauses.
const PAUSES_BY_STORE: u8 = 1;
/// The stay goes on without Release.
const UNPAUSES_RELAXED: u8 = 2;
/// That a task has paused is noted after the next one has begun.
const NOTES_PAUSE_LATE: u8 = 3;
/// That a task has paused is still noted once it goes on.
const KEEPS_NOTE: u8 = 4;

/// The right of a thread to run a worker.
trait Lease: Send + Sync + 'static {
    type Stay;
    type Paused;

    fn new() -> Self;
    fn begin(&self, now: u64, key: Option<NonZeroU32>) -> Self::Stay;
    fn pause(&self) -> Option<Self::Paused>;
    fn unpause(&self, paused: Self::Paused, nanos: u64);
    /// Returns `false` if the worker now belongs to another thread.
    fn end(&self, stay: Self::Stay) -> bool;
    fn is_overdue(&self) -> bool;
    /// Takes the worker from its thread if the stay is overdue. Returns the keys of the running task
    /// and, if there is one, of the task that has paused.
    fn revoke_overdue(&self) -> Option<Vec<Option<NonZeroU32>>>;
}

impl Lease for SerialLease {
    type Stay = Stay;
    type Paused = PausedStay;

    fn new() -> Self {
        Self::new()
    }
    fn begin(&self, now: u64, key: Option<NonZeroU32>) -> Stay {
        self.begin_task(now, key)
    }
    fn pause(&self) -> Option<PausedStay> {
        self.pause()
    }
    fn unpause(&self, paused: PausedStay, nanos: u64) {
        self.unpause(paused, nanos);
    }
    fn end(&self, stay: Stay) -> bool {
        self.end(stay)
    }
    fn is_overdue(&self) -> bool {
        self.overdue(NOW, LIMIT).is_some()
    }
    fn revoke_overdue(&self) -> Option<Vec<Option<NonZeroU32>>> {
        let revoked = self.revoke(self.overdue(NOW, LIMIT)?)?;
        Some([revoked.key].into_iter().chain(revoked.paused.map(|paused| paused.key)).collect())
    }
}

/// The same protocol on its own, with a planted bug or [none](NO_BUG).
struct Twin<const BUG: u8> {
    /// The start of the stay.
    word: AtomicU64,
    /// Whether a task has paused.
    paused: AtomicBool,
}

/// Values of the word that are no start.
const INSIDE: u64 = 0;
const REVOKED: u64 = u64::MAX;

impl<const BUG: u8> Lease for Twin<BUG> {
    type Stay = ();
    type Paused = u64;

    fn new() -> Self {
        Self { word: AtomicU64::new(INSIDE), paused: AtomicBool::new(false) }
    }
    fn begin(&self, now: u64, key: Option<NonZeroU32>) {
        self.word.store(now, Release);
        // Planted: the watchdog may revoke the worker before.
        if BUG == NOTES_PAUSE_LATE && key.is_none() {
            self.paused.store(true, Relaxed);
        }
    }
    fn pause(&self) -> Option<u64> {
        let word = self.word.load(Relaxed);
        let pauses = if BUG == PAUSES_BY_STORE {
            // Planted: the watchdog may revoke the worker between the load and the store.
            if word != REVOKED {
                self.word.store(INSIDE, Relaxed);
            }
            word != REVOKED
        } else {
            word != REVOKED && self.word.compare_exchange(word, INSIDE, Relaxed, Relaxed).is_ok()
        };
        if pauses && BUG != NOTES_PAUSE_LATE {
            self.paused.store(true, Relaxed);
        }
        pauses.then_some(word)
    }
    fn unpause(&self, start: u64, nanos: u64) {
        // Planted: the outer task counts twice when the worker is revoked.
        if BUG != KEEPS_NOTE {
            self.paused.store(false, Relaxed);
        }
        // Planted: what the inner task wrote is not seen by the thread that takes the worker.
        self.word.store(start + nanos, if BUG == UNPAUSES_RELAXED { Relaxed } else { Release });
    }
    fn end(&self, (): ()) -> bool {
        let word = self.word.load(Relaxed);
        word != REVOKED && self.word.compare_exchange(word, INSIDE, Relaxed, Relaxed).is_ok()
    }
    fn is_overdue(&self) -> bool {
        let word = self.word.load(Relaxed);
        word != INSIDE && word != REVOKED && NOW - word > LIMIT
    }
    fn revoke_overdue(&self) -> Option<Vec<Option<NonZeroU32>>> {
        let word = self.word.load(Relaxed);
        if word == INSIDE || word == REVOKED || NOW - word <= LIMIT {
            return None;
        }
        self.word.compare_exchange(word, REVOKED, Acquire, Relaxed).ok()?;
        let has_paused = self.paused.load(Relaxed);
        Some(if has_paused { vec![None, Some(KEY)] } else { vec![Some(KEY)] })
    }
}

/// What the threads share.
struct Pool<L> {
    lease: L,
    worker: Arc<Worker>,
    /// The start of each task that waits.
    tasks: Receiver<u64>,
    /// Written along with the worker's statistics: loom reports concurrent writers.
    statistics: UnsafeCell<()>,
    /// Tasks transferred from the worker to the pool's ledger, and those of them that have ended.
    ledger: [AtomicU64; 2],
}

impl<L: Lease> Pool<L> {
    fn end(&self, recorder: &mut SerialRecorder) {
        self.statistics.with_mut(|_| ());
        recorder.end(&completed());
    }

    fn end_in_ledger(&self) {
        self.ledger[1].fetch_add(1, Relaxed);
    }

    /// Runs the outer task, which has one checkpoint.
    fn run<const BUG: u8>(&self, mut recorder: SerialRecorder, took: u64) {
        let outer = self.lease.begin(self.tasks.try_recv().unwrap(), Some(KEY));
        // Planted in `DOES_NOT_PAUSE`.
        let paused = if BUG == DOES_NOT_PAUSE { None } else { self.lease.pause() };
        if paused.is_some() || BUG == DOES_NOT_PAUSE {
            self.checkpoint::<BUG>(paused, &mut recorder, took);
        }
        if self.lease.end(outer) {
            self.end(&mut recorder);
        } else {
            self.end_in_ledger();
            recorder.disown();
        }
    }

    /// `took` is for how long the outer task has paused.
    fn checkpoint<const BUG: u8>(
        &self,
        paused: Option<L::Paused>,
        recorder: &mut SerialRecorder,
        took: u64,
    ) {
        self.statistics.with_mut(|_| ());
        let Ok(start) = self.tasks.try_recv() else { return };
        let inner = self.lease.begin(start, None);
        let still_ours = self.lease.end(inner);
        if still_ours {
            self.end(recorder);
        } else {
            assert!(NOW - start > LIMIT, "revoked for the time of the outer task");
            self.end_in_ledger();
        }
        // Planted in `UNPAUSES_ALWAYS` and `KEEPS_START`.
        if let Some(paused) = paused
            && (still_ours || BUG == UNPAUSES_ALWAYS)
        {
            self.lease.unpause(paused, if BUG == KEEPS_START { 0 } else { took });
            let is_prompt = took == LONG && self.lease.is_overdue();
            assert!(!is_prompt, "blamed for the inner task's time");
        }
    }

    /// Revokes the worker if its running task is overdue, and runs what waits.
    fn watch<const BUG: u8>(&self) {
        let Some(mut taken) = self.lease.revoke_overdue() else { return };
        let mut recorder = self.worker.replace_recorder();
        self.statistics.with_mut(|_| ());
        recorder.mark_idle(NOW);
        // Planted in `FORGETS_OUTER`.
        taken.truncate(if BUG == FORGETS_OUTER { 1 } else { 2 });
        assert!(BUG != NO_BUG || taken.last() == Some(&Some(KEY)), "the key is not released");
        for _ in taken {
            self.ledger[0].fetch_add(1, Relaxed);
            self.worker.withdraw();
        }
        while self.tasks.try_recv().is_ok() {
            self.end(&mut recorder);
        }
    }
}

/// This thread runs an outer task that began at 1, and an inner one that begins at `inner`, while the
/// watchdog checks once. The outer task pauses for `took`.
fn model<L: Lease, const BUG: u8>(inner: u64, took: u64) {
    let worker = worker();
    let recorder = worker.recorder().unwrap();
    let (sender, tasks) = channel::unbounded();
    for start in [1, inner] {
        let _ = Reservation::take(&worker, 0, None).unwrap().hand_over();
        sender.send(start).unwrap();
    }
    // Leaked: after a failure, a channel's destructor would run outside of loom.
    std::mem::forget(sender);
    let pool: &Pool<L> = Box::leak(Box::new(Pool {
        lease: L::new(),
        worker,
        tasks,
        statistics: UnsafeCell::new(()),
        ledger: [AtomicU64::new(0), AtomicU64::new(0)],
    }));
    let watchdog = thread::spawn(move || pool.watch::<BUG>());
    pool.run::<BUG>(recorder, took);
    watchdog.join().unwrap();
    let (counts, [taken, ended]) =
        (pool.worker.stats().counts(), [0, 1].map(|index| pool.ledger[index].load(Relaxed)));
    assert_eq!(counts.ended() + ended, 2, "not every task ended exactly once");
    assert_eq!((counts.admitted, taken), (counts.ended(), ended), "the accounts do not match");
    assert_eq!(pool.worker.stats().in_flight(), 0);
}

/// Overdue when the watchdog checks.
const OVERDUE: u64 = 2;
/// Not overdue when the watchdog checks.
const PROMPT: u64 = NOW - 1;
/// The outer task is not overdue afterwards, or still is.
const LONG: u64 = NOW - LIMIT;
const SHORT: u64 = 1;
/// loom's message for two unordered writes.
const CONCURRENT: &str = "Concurrent write accesses";
/// When a task was counted twice or not at all.
const MISCOUNTED: &str = "the accounts do not match";

#[test]
fn an_overdue_inner_task_and_the_outer_one_end_once() {
    explore("checkpoint, overdue", 3, || model::<SerialLease, NO_BUG>(OVERDUE, LONG));
}

#[test]
fn a_prompt_inner_task_and_the_outer_one_end_once() {
    explore("checkpoint, prompt", 3, || model::<SerialLease, NO_BUG>(PROMPT, LONG));
}

#[test]
fn an_outer_task_that_goes_on_overdue_ends_once() {
    explore("checkpoint, goes on overdue", 3, || model::<SerialLease, NO_BUG>(PROMPT, SHORT));
}

#[test]
fn the_lease_alone_lets_both_end_once() {
    explore("checkpoint, overdue, the protocol alone", 3, || {
        model::<Twin<NO_BUG>, NO_BUG>(OVERDUE, SHORT);
    });
    explore("checkpoint, goes on overdue, the protocol alone", 3, || {
        model::<Twin<NO_BUG>, NO_BUG>(PROMPT, SHORT);
    });
}

#[test]
fn beginning_without_a_pause_ends_the_outer_task_uncounted() {
    fails_with("does not pause", 3, MISCOUNTED, || {
        model::<SerialLease, DOES_NOT_PAUSE>(OVERDUE, LONG);
    });
}

#[test]
fn going_on_after_a_revocation_allows_two_writers() {
    fails_with("unpauses always", 3, CONCURRENT, || {
        model::<SerialLease, UNPAUSES_ALWAYS>(OVERDUE, LONG);
    });
}

#[test]
fn keeping_the_start_blames_the_outer_task() {
    let expected = "blamed for the inner task's time";
    fails_with("keeps the start", 3, expected, || model::<SerialLease, KEEPS_START>(PROMPT, LONG));
}

#[test]
fn forgetting_the_outer_task_ends_it_uncounted() {
    fails_with("forgets the outer task", 3, MISCOUNTED, || {
        model::<SerialLease, FORGETS_OUTER>(OVERDUE, LONG);
    });
}

#[test]
fn pausing_by_a_store_allows_two_writers() {
    fails_with("pauses by a store", 3, CONCURRENT, || {
        model::<Twin<PAUSES_BY_STORE>, NO_BUG>(PROMPT, SHORT);
    });
}

#[test]
fn going_on_relaxed_hides_the_inner_tasks_writes() {
    fails_with("unpauses Relaxed", 3, CONCURRENT, || {
        model::<Twin<UNPAUSES_RELAXED>, NO_BUG>(PROMPT, SHORT);
    });
}

#[test]
fn noting_the_pause_late_ends_the_outer_task_uncounted() {
    fails_with("notes the pause late", 3, MISCOUNTED, || {
        model::<Twin<NOTES_PAUSE_LATE>, NO_BUG>(OVERDUE, SHORT);
    });
}

#[test]
fn keeping_the_note_counts_the_outer_task_twice() {
    fails_with("keeps the note", 3, MISCOUNTED, || {
        model::<Twin<KEEPS_NOTE>, NO_BUG>(PROMPT, SHORT);
    });
}
