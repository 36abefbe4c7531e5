//! The partition of a key moves from one worker to another while tasks of the key are given: they
//! run in order, never two at a time, and each sees what those before it did, on whichever worker.
//! So they do where a strategy picks the worker whenever no task of the key is left.
#![cfg(loom)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::NonZeroU32;

use loom::cell::UnsafeCell;
use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::models::{Partition, Partitions, ShortId};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{self, Acquire, Relaxed, Release},
};
use raddle_sync::channel::{self, Receiver, Sender};

const TASKS: usize = 2;
/// What loom says of two writes of which neither comes after the other.
const CONCURRENT: &str = "Concurrent write accesses";

/// One key, whose partition starts at seat 0.
trait Table: 'static {
    fn bind(&self) -> ShortId;
    /// Binds a task to this seat if it is the only one; whether it is.
    fn bind_free(&self, seat: ShortId) -> bool;
    fn may_run(&self, seat: ShortId) -> bool;
    fn release(&self, seat: ShortId) -> Option<ShortId>;
    fn give_to(&self, seat: ShortId) -> bool;
    /// Whether it is this seat's, or is to be.
    fn mentions(&self, seat: ShortId) -> bool;
    /// Whether it is settled at `seat`, without tasks; asked at the end.
    fn is_idle_at(&self, seat: ShortId) -> bool;
}

struct Shipped {
    partitions: Partitions,
    partition: Partition,
}

impl Shipped {
    fn new() -> Self {
        let partitions = Partitions::new(NonZeroU32::MIN, |_| 0);
        Self { partition: partitions.partition_of(7), partitions }
    }
}

impl Table for Shipped {
    fn bind(&self) -> ShortId {
        self.partitions.bind(self.partition).unwrap()
    }
    fn bind_free(&self, seat: ShortId) -> bool {
        self.partitions.is_free(self.partition) && self.partitions.bind_free(self.partition, seat)
    }
    fn may_run(&self, seat: ShortId) -> bool {
        self.partitions.may_run(self.partition, seat)
    }
    fn release(&self, seat: ShortId) -> Option<ShortId> {
        self.partitions.release(self.partition, seat)
    }
    fn give_to(&self, seat: ShortId) -> bool {
        self.partitions.reassign(|_| seat)
    }
    fn mentions(&self, seat: ShortId) -> bool {
        self.partitions.mentions(seat)
    }
    fn is_idle_at(&self, seat: ShortId) -> bool {
        let only = (0..2).all(|other| self.mentions(other) == (other == seat));
        // Only without tasks it is given away at once.
        only && self.give_to(2) && !self.mentions(seat)
    }
}

/// The shipped table, its answers tampered with.
struct Tampered<const BUG: u8>(Shipped);

/// A worker runs what it receives at once.
const DOES_NOT_ASK: u8 = 0;
/// The old owner does not learn that the new one is to be woken.
const DOES_NOT_WAKE: u8 = 1;

impl<const BUG: u8> Table for Tampered<BUG> {
    fn bind(&self) -> ShortId {
        self.0.bind()
    }
    fn bind_free(&self, seat: ShortId) -> bool {
        self.0.bind_free(seat)
    }
    fn may_run(&self, seat: ShortId) -> bool {
        BUG == DOES_NOT_ASK || self.0.may_run(seat)
    }
    fn release(&self, seat: ShortId) -> Option<ShortId> {
        self.0.release(seat).filter(|_| BUG != DOES_NOT_WAKE)
    }
    fn give_to(&self, seat: ShortId) -> bool {
        self.0.give_to(seat)
    }
    fn mentions(&self, seat: ShortId) -> bool {
        self.0.mentions(seat)
    }
    fn is_idle_at(&self, seat: ShortId) -> bool {
        self.0.is_idle_at(seat)
    }
}

/// A minimal table for the one move from seat 0 to seat 1, with the orderings that a twin weakens:
/// bit 16 says that the partition is seat 1's, above and below it are the tasks of each.
struct Twin {
    word: AtomicU64,
    releasing: Ordering,
    asking: Ordering,
}

const MOVED: u64 = 1 << 16;
/// One task of each seat.
const ONE: [u64; 2] = [1, MOVED << 1];

impl Twin {
    fn new(releasing: Ordering, asking: Ordering) -> Self {
        Self { word: AtomicU64::new(0), releasing, asking }
    }

    /// Whether seat 0 has tasks.
    fn is_held(word: u64) -> bool {
        word & (MOVED - 1) > 0
    }
}

impl Table for Twin {
    fn bind(&self) -> ShortId {
        let seat = |word| usize::from(word & MOVED != 0);
        let bound = |word| Some(word + ONE[seat(word)]);
        seat(self.word.fetch_update(Relaxed, Relaxed, bound).unwrap()) as ShortId
    }
    fn bind_free(&self, seat: ShortId) -> bool {
        let given = if seat == 0 { ONE[0] } else { MOVED + ONE[1] };
        let free = |word| (word == 0 || word == MOVED).then_some(given);
        self.word.fetch_update(Relaxed, Relaxed, free).is_ok()
    }
    fn may_run(&self, seat: ShortId) -> bool {
        seat == 0 || !Self::is_held(self.word.load(self.asking))
    }
    fn release(&self, seat: ShortId) -> Option<ShortId> {
        let word = self.word.fetch_sub(ONE[usize::from(seat)], self.releasing);
        (seat == 0 && word & MOVED != 0 && !Self::is_held(word - 1)).then_some(1)
    }
    fn give_to(&self, _: ShortId) -> bool {
        self.word.fetch_or(MOVED, Relaxed);
        true
    }
    fn mentions(&self, seat: ShortId) -> bool {
        let word = self.word.load(self.asking);
        let is_moved = word & MOVED != 0;
        is_moved == (seat == 1) || seat == 0 && Self::is_held(word)
    }
    fn is_idle_at(&self, seat: ShortId) -> bool {
        self.word.load(Acquire) == u64::from(seat) * MOVED
    }
}

/// A table that never moves but by a pick, and settles it by a store: bit 16 says that it is
/// seat 1's, below it are its tasks.
struct Stored(AtomicU64);

impl Table for Stored {
    fn bind(&self) -> ShortId {
        ShortId::from(self.0.fetch_add(1, Relaxed) & MOVED != 0)
    }
    fn bind_free(&self, seat: ShortId) -> bool {
        let free = self.0.load(Relaxed) & (MOVED - 1) == 0;
        if free {
            self.0.store(u64::from(seat) * MOVED + 1, Relaxed);
        }
        free
    }
    fn may_run(&self, seat: ShortId) -> bool {
        ShortId::from(self.0.load(Acquire) & MOVED != 0) == seat
    }
    fn release(&self, _: ShortId) -> Option<ShortId> {
        self.0.fetch_sub(1, Release);
        None
    }
    fn give_to(&self, _: ShortId) -> bool {
        true
    }
    fn mentions(&self, seat: ShortId) -> bool {
        self.may_run(seat)
    }
    fn is_idle_at(&self, seat: ShortId) -> bool {
        self.0.load(Acquire) == u64::from(seat) * MOVED
    }
}

enum Post {
    Task(usize),
    Wake,
    /// Nothing more will be sent but wake-ups.
    Last,
}

/// What the threads share. Leaked: when a model fails, destructors of what they own are run outside
/// of loom, where a channel's lock cannot be taken.
struct Pool<T> {
    table: T,
    mailboxes: [(Sender<Post>, Receiver<Post>); 2],
    /// What the tasks of the key work on: loom reports a run that does not come after the others.
    state: UnsafeCell<()>,
    /// The tasks that have run. Invisible to loom, whose threads are all of one.
    ran: RefCell<Vec<usize>>,
}

impl<T: Table> Pool<T> {
    /// Gives the tasks one after the other.
    fn dispatch(&self) {
        for task in 0..TASKS {
            self.send(self.table.bind(), Post::Task(task));
        }
        (0..2).for_each(|seat| self.send(seat, Post::Last));
    }

    /// Gives a task, to this worker if no other is left.
    fn pick(&self, task: usize, picked: ShortId) {
        let seat = if self.table.bind_free(picked) { picked } else { self.table.bind() };
        self.send(seat, Post::Task(task));
    }

    fn send(&self, seat: ShortId, post: Post) {
        self.mailboxes[usize::from(seat)].0.send(post).unwrap();
    }

    /// Gives the partition to each of these in turn.
    fn reassign(&self, owners: &[ShortId]) {
        for owner in owners {
            while !self.table.give_to(*owner) {
                thread::yield_now();
            }
        }
    }

    /// Runs tasks in the order in which they came, and none before it may.
    fn work(&self, seat: ShortId) {
        let (mut deferred, mut last) = (VecDeque::new(), false);
        while !(last && deferred.is_empty()) {
            match self.mailboxes[usize::from(seat)].1.recv().unwrap() {
                Post::Task(task) => deferred.push_back(task),
                Post::Wake => {}
                Post::Last => last = true,
            }
            while !deferred.is_empty() && self.table.may_run(seat) {
                let task = deferred.pop_front().unwrap();
                self.state.with_mut(|_| self.ran.borrow_mut().push(task));
                if let Some(next) = self.table.release(seat) {
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

/// This thread gives tasks to a worker on each of two seats, while another gives the partition to
/// each of `owners` in turn.
fn model<T: Table>(table: T, owners: &'static [ShortId]) {
    let pool = pool(table);
    let membership = thread::spawn(move || pool.reassign(owners));
    let workers = [0, 1].map(|seat| thread::spawn(move || pool.work(seat)));
    pool.dispatch();
    membership.join().unwrap();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(*pool.ran.borrow(), [0, 1], "the tasks ran in another order");
    assert!(pool.table.is_idle_at(*owners.last().unwrap()), "the partition is not settled");
}

/// This thread picks seat 0 for a task and then seat 1 for another, while another thread gives the
/// partition to each of `owners` in turn.
fn picking<T: Table>(table: T, owners: &'static [ShortId]) {
    let pool = pool(table);
    let membership = thread::spawn(move || pool.reassign(owners));
    let workers = [0, 1].map(|seat| thread::spawn(move || pool.work(seat)));
    [0, 1].into_iter().for_each(|task| pool.pick(task, task as ShortId));
    membership.join().unwrap();
    (0..2).for_each(|seat| pool.send(seat, Post::Last));
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(*pool.ran.borrow(), [0, 1], "the tasks ran in another order");
    assert!([0, 1].into_iter().any(|seat| pool.table.is_idle_at(seat)), "it is not settled");
}

/// Two threads pick a seat each for a task each, at one time.
fn picking_at_once<T: Table>(table: T) {
    let pool = pool(table);
    let other = thread::spawn(move || pool.pick(1, 1));
    let workers = [0, 1].map(|seat| thread::spawn(move || pool.work(seat)));
    pool.pick(0, 0);
    other.join().unwrap();
    (0..2).for_each(|seat| pool.send(seat, Post::Last));
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(pool.ran.borrow().len(), 2, "a task was not run");
    assert!([0, 1].into_iter().any(|seat| pool.table.is_idle_at(seat)), "it is not settled");
}

/// ShortId 0 runs a task, while this thread gives the partition away from under it and waits until it
/// may let that worker go.
fn leaving<T: Table>(table: T) {
    let pool = pool(table);
    pool.send(pool.table.bind(), Post::Task(0));
    pool.send(0, Post::Last);
    let worker = thread::spawn(move || pool.work(0));
    pool.reassign(&[1]);
    while pool.table.mentions(0) {
        thread::yield_now();
    }
    pool.state.with_mut(|_| assert_eq!(*pool.ran.borrow(), [0], "gone before its last task"));
    worker.join().unwrap();
}

#[test]
fn a_worker_that_leaves() {
    explore("a worker leaves", 3, || leaving(Shipped::new()));
}

#[test]
fn leaving_without_the_last_task() {
    // Planted: who lets the worker go does not come after the task that it has released.
    let twins = [("left, released Relaxed", Relaxed, Acquire), ("left Relaxed", Release, Relaxed)];
    for (name, releasing, asking) in twins {
        fails_with(name, 2, CONCURRENT, move || leaving(Twin::new(releasing, asking)));
    }
}

#[test]
fn a_partition_that_is_picked_for() {
    explore("a partition is picked for", 2, || picking(Shipped::new(), &[]));
}

#[test]
fn a_partition_that_is_picked_for_and_moves() {
    explore("a partition is picked for and moves", 2, || picking(Shipped::new(), &[1]));
}

#[test]
fn a_partition_that_two_pick_for() {
    explore("a partition is picked for by two", 2, || picking_at_once(Shipped::new()));
}

#[test]
fn picking_by_a_store() {
    // Planted: that no task is left was seen before another thread bound one to seat 0. The store
    // gives the partition to seat 1 all the same, and seat 0 waits for its turn for ever.
    fails_with("picked by a store", 2, "deadlock", || picking_at_once(Stored(AtomicU64::new(0))));
}

#[test]
fn releasing_relaxed_before_a_pick() {
    // Planted: as `releasing_relaxed`, where the partition was given away by a pick.
    fails_with("picked for, released Relaxed", 2, CONCURRENT, || {
        picking(Twin::new(Relaxed, Acquire), &[]);
    });
}

#[test]
fn a_partition_that_moves() {
    explore("a partition moves", 2, || model(Shipped::new(), &[1]));
}

#[test]
fn a_partition_that_moves_back() {
    explore("a partition moves back", 2, || model(Shipped::new(), &[1, 0]));
}

#[test]
fn running_without_asking() {
    // Planted: seat 1 runs a task while one that was given before it is still with seat 0.
    fails_with("does not ask", 2, CONCURRENT, || {
        model(Tampered::<DOES_NOT_ASK>(Shipped::new()), &[1]);
    });
}

#[test]
fn releasing_relaxed() {
    // Planted: a task is counted out by a Relaxed read-modify-write, so that the new owner may run
    // the next one without seeing what it did.
    fails_with("released Relaxed", 2, CONCURRENT, || model(Twin::new(Relaxed, Acquire), &[1]));
}

#[test]
fn asking_relaxed() {
    // Planted: the new owner asks by a Relaxed load, with the same effect.
    fails_with("asked Relaxed", 2, CONCURRENT, || model(Twin::new(Release, Relaxed), &[1]));
}

#[test]
fn a_deferring_worker_that_is_not_woken() {
    // Planted: nobody tells seat 1, which waits for a message, that it may run what it deferred.
    fails_with("does not wake", 2, "deadlock", || {
        model(Tampered::<DOES_NOT_WAKE>(Shipped::new()), &[1]);
    });
}
