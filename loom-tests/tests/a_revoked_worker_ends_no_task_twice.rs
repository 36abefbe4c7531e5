//! The watchdog revokes a worker from its thread while that ends tasks: each task ends once, at the
//! worker or in the pool's ledger, and the worker's statistics have one writer at a time. The
//! watchdog learns the partition of the hung task's key, not that of another task.
#![cfg(loom)]

use std::num::NonZeroU32;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Reservation, SerialRecorder, Worker};
use raddle_loom_tests::{completed, explore, fails_with, worker};
use raddle_runtime::models::{SerialLease, Stay};
use raddle_sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use raddle_sync::channel::{self, Receiver};

/// Says which thread is the worker's.
trait Tenancy: Send + Sync + 'static {
    type Stay;

    fn new() -> Self;
    /// The thread starts a task, whose key is in this partition.
    fn start(&self, now: u64, partition: NonZeroU32) -> Self::Stay;
    /// The task waits inside raddle for this long; returns `false` if the worker has been revoked.
    fn wait(&self, stay: &mut Self::Stay, time: u64) -> bool;
    /// The thread has run the task; returns `false` if the worker has been revoked.
    fn end(&self, stay: Self::Stay) -> bool;
    /// Revokes the worker from a thread that runs a task for longer than the limit; returns the
    /// task's partition, or 0 if unknown.
    fn revoke_overdue(&self, now: u64) -> Option<u32>;
}

/// How long a task may take.
const LIMIT: u64 = 10;
/// When the watchdog checks.
const NOW: u64 = 1_000;

impl Tenancy for SerialLease {
    type Stay = Stay;

    fn new() -> Self {
        Self::new()
    }
    fn start(&self, now: u64, partition: NonZeroU32) -> Stay {
        self.begin_task(now, Some(partition))
    }
    fn wait(&self, _: &mut Stay, time: u64) -> bool {
        let suspended = self.suspend();
        suspended.map(|stay| self.resume(stay, time)).is_some()
    }
    fn end(&self, stay: Stay) -> bool {
        Self::end(self, stay)
    }
    fn revoke_overdue(&self, now: u64) -> Option<u32> {
        let revoked = self.revoke(self.overdue(now, LIMIT)?)?;
        assert!(revoked.task && self.is_revoked());
        Some(revoked.key.map_or(0, NonZeroU32::get))
    }
}

/// A minimal lease with a planted bug: the word is the start of the running task.
struct Twin<const BUG: u8> {
    word: AtomicU64,
    /// The start of the task if the word is [`RUNNING`].
    since: AtomicU64,
    partition: AtomicU32,
}

const IDLE: u64 = 0;
const REVOKED: u64 = u64::MAX;
const RUNNING: u64 = u64::MAX - 1;
const WAITING: u64 = u64::MAX - 2;

/// The thread ends a task by a load and a store.
const ENDS_BY_STORE: u8 = 0;
/// A task is started without Release.
const STARTS_RELAXED: u8 = 1;
/// A worker is revoked without Acquire.
const REVOKES_RELAXED: u8 = 2;
/// The word says that a task runs, but not which one.
const STATE_ONLY: u8 = 3;
/// A worker is revoked by a load and a store.
const REVOKES_BY_STORE: u8 = 4;
/// The partition is read before the worker is revoked.
const READS_PARTITION_FIRST: u8 = 5;
/// A task that has waited goes on without Release.
const RESUMES_RELAXED: u8 = 6;
/// A task begins to wait by a load and a store.
const SUSPENDS_BY_STORE: u8 = 7;
/// A task goes on with the start that it had.
const COUNTS_THE_WAIT: u8 = 8;

impl<const BUG: u8> Tenancy for Twin<BUG> {
    type Stay = u64;

    fn new() -> Self {
        let (word, since) = (AtomicU64::new(IDLE), AtomicU64::new(0));
        Self { word, since, partition: AtomicU32::new(0) }
    }
    fn start(&self, now: u64, partition: NonZeroU32) -> u64 {
        self.partition.store(partition.get(), Relaxed);
        self.since.store(now, Relaxed);
        let word = if BUG == STATE_ONLY { RUNNING } else { now };
        // Planted: the thread's earlier writes to the statistics may not be seen.
        self.word.store(word, if BUG == STARTS_RELAXED { Relaxed } else { Release });
        word
    }
    fn wait(&self, stay: &mut u64, time: u64) -> bool {
        let suspends = if BUG == SUSPENDS_BY_STORE {
            // Planted: the worker may be revoked between the load and the store.
            let suspends = self.word.load(Relaxed) == *stay;
            if suspends {
                self.word.store(WAITING, Relaxed);
            }
            suspends
        } else {
            self.word.compare_exchange(*stay, WAITING, Relaxed, Relaxed).is_ok()
        };
        if suspends {
            // Planted in `COUNTS_THE_WAIT`: the watchdog takes the wait for the task's own time.
            *stay += if BUG == COUNTS_THE_WAIT { 0 } else { time };
            self.since.store(*stay, Relaxed);
            // Planted: like `STARTS_RELAXED`.
            self.word.store(*stay, if BUG == RESUMES_RELAXED { Relaxed } else { Release });
        }
        suspends
    }
    fn end(&self, stay: u64) -> bool {
        if BUG != ENDS_BY_STORE {
            return self.word.compare_exchange(stay, IDLE, Relaxed, Relaxed).is_ok();
        }
        // Planted: the worker may be revoked between the load and the store.
        let is_ours = self.word.load(Relaxed) == stay;
        if is_ours {
            self.word.store(IDLE, Relaxed);
        }
        is_ours
    }
    fn revoke_overdue(&self, now: u64) -> Option<u32> {
        let word = self.word.load(Relaxed);
        if word == IDLE || word == WAITING || now.saturating_sub(self.since.load(Relaxed)) <= LIMIT
        {
            return None;
        }
        // Planted in `READS_PARTITION_FIRST`: it may be the previous task's.
        let early = self.partition.load(Relaxed);
        let takes = if BUG == REVOKES_BY_STORE {
            // Planted: the thread may end the task between the load and the store.
            let takes = self.word.load(Acquire) == word;
            if takes {
                self.word.store(REVOKED, Relaxed);
            }
            takes
        } else {
            // Planted: like `STARTS_RELAXED`, on the other side.
            let success = if BUG == REVOKES_RELAXED { Relaxed } else { Acquire };
            // Planted in `STATE_ONLY`: the task running by now may be the next one.
            self.word.compare_exchange(word, REVOKED, success, Relaxed).is_ok()
        };
        let late = self.partition.load(Relaxed);
        takes.then_some(if BUG == READS_PARTITION_FIRST { early } else { late })
    }
}

/// A task is the clock time of its start.
type Task = u64;

/// What the threads share.
struct Pool<T> {
    tenancy: T,
    worker: Arc<Worker>,
    /// For how long each task waits inside raddle.
    wait: Option<u64>,
    tasks: Receiver<Task>,
    /// Written along with the worker's statistics: loom reports concurrent writers.
    statistics: UnsafeCell<()>,
    /// Tasks transferred from the worker to the pool's ledger, and those of them that have ended.
    ledger: [AtomicU64; 2],
    /// The start of the hung task, as the watchdog knows it from the partition and as its thread
    /// knows it; 0 for none.
    hung: [AtomicU64; 2],
}

impl<T: Tenancy> Pool<T> {
    /// Runs tasks as the worker's thread, until there are none left or the worker is revoked.
    fn run(&self, tenancy: &T, mut recorder: SerialRecorder) {
        while let Ok(task) = self.tasks.try_recv() {
            let mut stay = tenancy.start(task, partition(task));
            let waited = self.wait.filter(|time| tenancy.wait(&mut stay, *time)).unwrap_or(0);
            if !tenancy.end(stay) {
                assert!(NOW - task > LIMIT, "a task was revoked for its predecessor's time");
                assert!(NOW - task - waited > LIMIT, "a task was revoked for the time of a wait");
                self.ledger[1].fetch_add(1, Relaxed);
                self.hung[1].store(task, Relaxed);
                recorder.disown();
                return;
            }
            self.statistics.with_mut(|_| ());
            recorder.end(&completed());
        }
    }

    /// Revokes the worker if its running task is overdue, and becomes its next thread.
    fn watch(&self) {
        let Some(partition) = self.tenancy.revoke_overdue(NOW) else { return };
        self.hung[0].store(partition.into(), Relaxed);
        let mut recorder = self.worker.replace_recorder();
        self.statistics.with_mut(|_| ());
        recorder.mark_idle(NOW);
        self.ledger[0].fetch_add(1, Relaxed);
        self.worker.withdraw();
        self.run(&T::new(), recorder);
    }
}

/// Returns the partition of a task's key.
fn partition(task: Task) -> NonZeroU32 {
    u32::try_from(task).ok().and_then(NonZeroU32::new).unwrap()
}

/// This thread runs tasks that start at these times, while the watchdog checks once.
fn model<T: Tenancy>(starts: &'static [Task]) {
    waiting::<T>(starts, None);
}

/// The same, while each task waits inside raddle.
fn waiting<T: Tenancy>(starts: &'static [Task], wait: Option<u64>) {
    let worker = worker();
    let recorder = worker.recorder().unwrap();
    let (sender, tasks) = channel::unbounded();
    for start in starts {
        let _ = Reservation::take(&worker, 0, None).unwrap().hand_over();
        sender.send(*start).unwrap();
    }
    // Leaked: after a failure, a channel's destructor would run outside of loom.
    std::mem::forget(sender);
    let pool: &Pool<T> = Box::leak(Box::new(Pool {
        tenancy: T::new(),
        worker,
        wait,
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
    assert_eq!(counts.ended() + ended, tasks, "not every task ended exactly once");
    assert_eq!((counts.admitted, taken), (counts.ended(), ended), "the accounts do not match");
    assert_eq!(pool.worker.stats().in_flight(), 0);
    let [taken, hung] = [0, 1].map(|index| pool.hung[index].load(Relaxed));
    assert_eq!(taken, hung, "the partition of another task");
}

/// Both are overdue when the watchdog checks.
const OVERDUE: &[Task] = &[1, 2];
/// The first is overdue when the watchdog checks, and the second starts then.
const THEN_PROMPT: &[Task] = &[1, NOW];
/// Waits after which a task is not overdue, or still is.
const LONG: Option<u64> = Some(NOW - 2);
const SHORT: Option<u64> = Some(1);
/// loom's message for two unordered writes.
const CONCURRENT: &str = "Concurrent write accesses";

#[test]
fn overdue_tasks_end_once() {
    explore("revoked worker", 3, || model::<SerialLease>(OVERDUE));
}

#[test]
fn three_overdue_tasks_end_once() {
    explore("revoked worker, three tasks", 2, || model::<SerialLease>(&[1, 2, 3]));
}

#[test]
fn a_prompt_task_after_an_overdue_one_is_not_revoked() {
    explore("revoked worker, then a prompt task", 3, || model::<SerialLease>(THEN_PROMPT));
}

#[test]
fn a_wait_is_no_time_of_the_task() {
    explore("revoked worker, long waits", 3, || waiting::<SerialLease>(OVERDUE, LONG));
}

#[test]
fn a_worker_is_revoked_after_a_wait() {
    explore("revoked worker, short waits", 3, || waiting::<SerialLease>(OVERDUE, SHORT));
}

#[test]
fn ending_by_a_store_allows_two_writers() {
    fails_with("ends by a store", 3, CONCURRENT, || model::<Twin<ENDS_BY_STORE>>(&[1]));
}

#[test]
fn revoking_by_a_store_allows_two_writers() {
    fails_with("revokes by a store", 3, CONCURRENT, || model::<Twin<REVOKES_BY_STORE>>(&[1]));
}

#[test]
fn starting_relaxed_hides_the_last_writes() {
    fails_with("starts Relaxed", 3, CONCURRENT, || model::<Twin<STARTS_RELAXED>>(OVERDUE));
}

#[test]
fn revoking_relaxed_hides_the_last_writes() {
    fails_with("revokes Relaxed", 3, CONCURRENT, || model::<Twin<REVOKES_RELAXED>>(OVERDUE));
}

#[test]
fn resuming_relaxed_hides_the_last_writes() {
    fails_with("resumes Relaxed", 3, CONCURRENT, || {
        waiting::<Twin<RESUMES_RELAXED>>(OVERDUE, SHORT)
    });
}

#[test]
fn suspending_by_a_store_allows_two_writers() {
    fails_with("suspends by a store", 3, CONCURRENT, || {
        waiting::<Twin<SUSPENDS_BY_STORE>>(&[1], SHORT)
    });
}

#[test]
fn a_wait_that_counts_revokes_a_prompt_task() {
    fails_with("counts the wait", 3, "revoked for the time of a wait", || {
        waiting::<Twin<COUNTS_THE_WAIT>>(OVERDUE, LONG)
    });
}

#[test]
fn reading_the_partition_first_reads_another_tasks() {
    let expected = "the partition of another task";
    fails_with("partition read first", 3, expected, || {
        model::<Twin<READS_PARTITION_FIRST>>(OVERDUE)
    });
}

#[test]
fn a_word_without_the_start_revokes_the_next_task() {
    let expected = "revoked for its predecessor's time";
    fails_with("word without the start", 3, expected, || model::<Twin<STATE_ONLY>>(THEN_PROMPT));
}
