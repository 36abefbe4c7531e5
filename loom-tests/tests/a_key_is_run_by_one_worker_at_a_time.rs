//! The partition of a key moves from one worker to another while tasks of the key are dispatched:
//! the tasks run in order, never two at a time, and each sees what those before it did, on any
//! worker. This also holds if a strategy picks the worker whenever no task of the key is left.
#![cfg(loom)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::NonZeroU32;

use loom::cell::UnsafeCell;
use loom::thread;
use raddle_core::internal::SizeClass;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::models::{Partition, Partitions, ShortId};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{self, Acquire, Relaxed, Release},
};
use raddle_sync::channel::{self, Receiver, Sender};

const TASKS: usize = 2;
const CLASS: SizeClass = SizeClass::from_index(0).unwrap();
/// loom's message for two unordered writes.
const CONCURRENT: &str = "Concurrent write accesses";

/// The partition of one key, which starts at worker 0.
trait Table: 'static {
    fn bind(&self) -> ShortId;
    /// Binds a task to this worker if no other task is bound; returns `false` otherwise.
    fn bind_free(&self, worker: ShortId) -> bool;
    fn may_run(&self, worker: ShortId) -> bool;
    fn release(&self, worker: ShortId) -> Option<ShortId>;
    fn assign_to(&self, worker: ShortId) -> bool;
    /// Returns `true` if the partition belongs to this worker, or will.
    fn mentions(&self, worker: ShortId) -> bool;
    /// Returns `true` if it is settled at this worker without tasks. Called at the end.
    fn is_idle_at(&self, worker: ShortId) -> bool;
}

struct Shipped(Partitions);

impl Shipped {
    fn new() -> Self {
        Self(Partitions::new(NonZeroU32::MIN, |_| 0))
    }

    fn partition(&self) -> Partition<'_> {
        self.0.get(self.0.index_of(7))
    }
}

impl Table for Shipped {
    fn bind(&self) -> ShortId {
        self.partition().bind(CLASS).unwrap().0
    }
    fn bind_free(&self, worker: ShortId) -> bool {
        self.partition().is_free() && self.partition().bind_free(worker, CLASS)
    }
    fn may_run(&self, worker: ShortId) -> bool {
        self.partition().may_run(worker)
    }
    fn release(&self, worker: ShortId) -> Option<ShortId> {
        self.partition().release(worker)
    }
    fn assign_to(&self, worker: ShortId) -> bool {
        self.0.reassign(|_, _| worker)
    }
    fn mentions(&self, worker: ShortId) -> bool {
        self.0.mentions(worker)
    }
    fn is_idle_at(&self, worker: ShortId) -> bool {
        let only = (0..2).all(|other| self.mentions(other) == (other == worker));
        // A partition moves immediately only if it has no tasks.
        only && self.assign_to(2) && !self.mentions(worker)
    }
}

/// The shipped table with changed answers.
struct Tampered<const BUG: u8>(Shipped);

/// A worker runs what it receives without checking.
const DOES_NOT_CHECK: u8 = 0;
/// The old owner does not learn that it must wake the new one.
const DOES_NOT_WAKE: u8 = 1;

impl<const BUG: u8> Table for Tampered<BUG> {
    fn bind(&self) -> ShortId {
        self.0.bind()
    }
    fn bind_free(&self, worker: ShortId) -> bool {
        self.0.bind_free(worker)
    }
    fn may_run(&self, worker: ShortId) -> bool {
        BUG == DOES_NOT_CHECK || self.0.may_run(worker)
    }
    fn release(&self, worker: ShortId) -> Option<ShortId> {
        self.0.release(worker).filter(|_| BUG != DOES_NOT_WAKE)
    }
    fn assign_to(&self, worker: ShortId) -> bool {
        self.0.assign_to(worker)
    }
    fn mentions(&self, worker: ShortId) -> bool {
        self.0.mentions(worker)
    }
    fn is_idle_at(&self, worker: ShortId) -> bool {
        self.0.is_idle_at(worker)
    }
}

/// A minimal table for the move from worker 0 to worker 1, with orderings that a twin weakens. Bit
/// 16 says that the partition belongs to worker 1; the bits below it count worker 0's tasks, and
/// those above it worker 1's.
struct Twin {
    word: AtomicU64,
    releasing: Ordering,
    checking: Ordering,
}

const MOVED: u64 = 1 << 16;
/// One task of each worker.
const ONE: [u64; 2] = [1, MOVED << 1];

impl Twin {
    fn new(releasing: Ordering, checking: Ordering) -> Self {
        Self { word: AtomicU64::new(0), releasing, checking }
    }

    /// Returns `true` if worker 0 has tasks.
    fn has_old_tasks(word: u64) -> bool {
        word & (MOVED - 1) > 0
    }
}

impl Table for Twin {
    fn bind(&self) -> ShortId {
        let worker = |word| usize::from(word & MOVED != 0);
        let bound = |word| Some(word + ONE[worker(word)]);
        worker(self.word.fetch_update(Relaxed, Relaxed, bound).unwrap()) as ShortId
    }
    fn bind_free(&self, worker: ShortId) -> bool {
        let bound = if worker == 0 { ONE[0] } else { MOVED + ONE[1] };
        let free = |word| (word == 0 || word == MOVED).then_some(bound);
        self.word.fetch_update(Relaxed, Relaxed, free).is_ok()
    }
    fn may_run(&self, worker: ShortId) -> bool {
        worker == 0 || !Self::has_old_tasks(self.word.load(self.checking))
    }
    fn release(&self, worker: ShortId) -> Option<ShortId> {
        let word = self.word.fetch_sub(ONE[usize::from(worker)], self.releasing);
        (worker == 0 && word & MOVED != 0 && !Self::has_old_tasks(word - 1)).then_some(1)
    }
    fn assign_to(&self, _: ShortId) -> bool {
        self.word.fetch_or(MOVED, Relaxed);
        true
    }
    fn mentions(&self, worker: ShortId) -> bool {
        let word = self.word.load(self.checking);
        let is_moved = word & MOVED != 0;
        is_moved == (worker == 1) || worker == 0 && Self::has_old_tasks(word)
    }
    fn is_idle_at(&self, worker: ShortId) -> bool {
        self.word.load(Acquire) == u64::from(worker) * MOVED
    }
}

/// A table that moves only by a pick, and by a plain store. Bit 16 says that the partition belongs
/// to worker 1; the bits below it count its tasks.
struct Stored(AtomicU64);

impl Table for Stored {
    fn bind(&self) -> ShortId {
        ShortId::from(self.0.fetch_add(1, Relaxed) & MOVED != 0)
    }
    fn bind_free(&self, worker: ShortId) -> bool {
        let free = self.0.load(Relaxed) & (MOVED - 1) == 0;
        if free {
            self.0.store(u64::from(worker) * MOVED + 1, Relaxed);
        }
        free
    }
    fn may_run(&self, worker: ShortId) -> bool {
        ShortId::from(self.0.load(Acquire) & MOVED != 0) == worker
    }
    fn release(&self, _: ShortId) -> Option<ShortId> {
        self.0.fetch_sub(1, Release);
        None
    }
    fn assign_to(&self, _: ShortId) -> bool {
        true
    }
    fn mentions(&self, worker: ShortId) -> bool {
        self.may_run(worker)
    }
    fn is_idle_at(&self, worker: ShortId) -> bool {
        self.0.load(Acquire) == u64::from(worker) * MOVED
    }
}

enum Post {
    Task(usize),
    Wake,
    /// Only wake-ups will follow.
    Last,
}

/// What the threads share. Leaked: after a failure, destructors would run outside of loom, where a
/// channel's lock cannot be taken.
struct Pool<T> {
    table: T,
    mailboxes: [(Sender<Post>, Receiver<Post>); 2],
    /// Written by every task of the key: loom reports unordered writes.
    state: UnsafeCell<()>,
    /// The tasks that have run. Not tracked by loom, whose threads all run on one.
    ran: RefCell<Vec<usize>>,
}

impl<T: Table> Pool<T> {
    /// Dispatches the tasks one after another.
    fn dispatch(&self) {
        for task in 0..TASKS {
            self.send(self.table.bind(), Post::Task(task));
        }
        (0..2).for_each(|worker| self.send(worker, Post::Last));
    }

    /// Dispatches a task, to the picked worker if no other task is left.
    fn pick(&self, task: usize, picked: ShortId) {
        let worker = if self.table.bind_free(picked) { picked } else { self.table.bind() };
        self.send(worker, Post::Task(task));
    }

    fn send(&self, worker: ShortId, post: Post) {
        self.mailboxes[usize::from(worker)].0.send(post).unwrap();
    }

    /// Assigns the partition to each of these workers in turn.
    fn reassign(&self, owners: &[ShortId]) {
        for owner in owners {
            while !self.table.assign_to(*owner) {
                thread::yield_now();
            }
        }
    }

    /// Runs tasks in order of arrival, each when it may run.
    fn work(&self, worker: ShortId) {
        let (mut deferred, mut last) = (VecDeque::new(), false);
        while !(last && deferred.is_empty()) {
            match self.mailboxes[usize::from(worker)].1.recv().unwrap() {
                Post::Task(task) => deferred.push_back(task),
                Post::Wake => {}
                Post::Last => last = true,
            }
            while !deferred.is_empty() && self.table.may_run(worker) {
                let task = deferred.pop_front().unwrap();
                self.state.with_mut(|_| self.ran.borrow_mut().push(task));
                if let Some(next) = self.table.release(worker) {
                    self.send(next, Post::Wake);
                }
            }
        }
    }
}

fn pool<T: Table>(table: T) -> &'static Pool<T> {
    let mailboxes = [channel::unbounded(), channel::unbounded()];
    let (state, ran) = (UnsafeCell::new(()), RefCell::default());
    Box::leak(Box::new(Pool { table, mailboxes, state, ran }))
}

/// This thread dispatches tasks to two workers while another assigns the partition to each of
/// `owners` in turn.
fn model<T: Table>(table: T, owners: &'static [ShortId]) {
    let pool = pool(table);
    let membership = thread::spawn(move || pool.reassign(owners));
    let workers = [0, 1].map(|worker| thread::spawn(move || pool.work(worker)));
    pool.dispatch();
    membership.join().unwrap();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(*pool.ran.borrow(), [0, 1], "the tasks ran out of order");
    assert!(pool.table.is_idle_at(*owners.last().unwrap()), "the partition is not settled");
}

/// This thread picks worker 0 for a task and then worker 1 for another, while another thread
/// assigns the partition to each of `owners` in turn.
fn picking<T: Table>(table: T, owners: &'static [ShortId]) {
    let pool = pool(table);
    let membership = thread::spawn(move || pool.reassign(owners));
    let workers = [0, 1].map(|worker| thread::spawn(move || pool.work(worker)));
    [0, 1].into_iter().for_each(|task| pool.pick(task, task as ShortId));
    membership.join().unwrap();
    (0..2).for_each(|worker| pool.send(worker, Post::Last));
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(*pool.ran.borrow(), [0, 1], "the tasks ran out of order");
    assert!(
        [0, 1].into_iter().any(|worker| pool.table.is_idle_at(worker)),
        "the partition is not settled"
    );
}

/// Two threads pick a different worker for a task each, concurrently.
fn picking_concurrently<T: Table>(table: T) {
    let pool = pool(table);
    let other = thread::spawn(move || pool.pick(1, 1));
    let workers = [0, 1].map(|worker| thread::spawn(move || pool.work(worker)));
    pool.pick(0, 0);
    other.join().unwrap();
    (0..2).for_each(|worker| pool.send(worker, Post::Last));
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(pool.ran.borrow().len(), 2, "a task did not run");
    assert!(
        [0, 1].into_iter().any(|worker| pool.table.is_idle_at(worker)),
        "the partition is not settled"
    );
}

/// Worker 0 runs a task while this thread reassigns its partition, and waits until worker 0 may
/// leave.
fn leaving<T: Table>(table: T) {
    let pool = pool(table);
    pool.send(pool.table.bind(), Post::Task(0));
    pool.send(0, Post::Last);
    let worker = thread::spawn(move || pool.work(0));
    pool.reassign(&[1]);
    while pool.table.mentions(0) {
        thread::yield_now();
    }
    pool.state.with_mut(|_| assert_eq!(*pool.ran.borrow(), [0], "left before its last task"));
    worker.join().unwrap();
}

#[test]
fn a_worker_leaves_after_its_last_task() {
    explore("a worker leaves", 3, || leaving(Shipped::new()));
}

#[test]
fn leaving_relaxed_does_not_see_the_last_task() {
    // Planted: the thread that removes the worker does not see the task that the worker released.
    let twins =
        [("leaves, released Relaxed", Relaxed, Acquire), ("leaves Relaxed", Release, Relaxed)];
    for (name, releasing, checking) in twins {
        fails_with(name, 2, CONCURRENT, move || leaving(Twin::new(releasing, checking)));
    }
}

#[test]
fn a_pick_binds_a_partition() {
    explore("a pick binds a partition", 2, || picking(Shipped::new(), &[]));
}

#[test]
fn a_pick_binds_a_partition_that_moves() {
    explore("a pick binds a partition that moves", 2, || picking(Shipped::new(), &[1]));
}

#[test]
fn two_picks_bind_a_partition() {
    explore("two picks bind a partition", 2, || picking_concurrently(Shipped::new()));
}

#[test]
fn binding_by_a_store_leaves_a_task_waiting() {
    // Planted: another thread binds a task to worker 0 after the check that no task is left. The
    // store still assigns the partition to worker 1, and worker 0 waits for its turn forever.
    fails_with("binds by a store", 2, "deadlock", || {
        picking_concurrently(Stored(AtomicU64::new(0)))
    });
}

#[test]
fn releasing_relaxed_before_a_pick_hides_a_task() {
    // Planted: the same Relaxed release, where a pick reassigns the partition.
    fails_with("bound by a pick, released Relaxed", 2, CONCURRENT, || {
        picking(Twin::new(Relaxed, Acquire), &[]);
    });
}

#[test]
fn a_partition_moves() {
    explore("a partition moves", 2, || model(Shipped::new(), &[1]));
}

#[test]
fn a_partition_moves_back() {
    explore("a partition moves back", 2, || model(Shipped::new(), &[1, 0]));
}

#[test]
fn running_without_checking_runs_two_at_a_time() {
    // Planted: worker 1 runs a task while an earlier one is still at worker 0.
    fails_with("does not check", 2, CONCURRENT, || {
        model(Tampered::<DOES_NOT_CHECK>(Shipped::new()), &[1]);
    });
}

#[test]
fn releasing_relaxed_hides_a_task() {
    // Planted: a task is released by a Relaxed read-modify-write, so that the new owner may run the
    // next one without seeing what it did.
    fails_with("released Relaxed", 2, CONCURRENT, || model(Twin::new(Relaxed, Acquire), &[1]));
}

#[test]
fn checking_relaxed_hides_a_task() {
    // Planted: the new owner checks by a Relaxed load, with the same effect.
    fails_with("checked Relaxed", 2, CONCURRENT, || model(Twin::new(Release, Relaxed), &[1]));
}

#[test]
fn a_deferring_worker_that_is_not_woken_waits_forever() {
    // Planted: worker 1 waits for a message and is not told that it may run its deferred task.
    fails_with("does not wake", 2, "deadlock", || {
        model(Tampered::<DOES_NOT_WAKE>(Shipped::new()), &[1]);
    });
}
