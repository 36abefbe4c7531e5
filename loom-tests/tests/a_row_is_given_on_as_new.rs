//! A worker leaves while threads still use it by an older roster, and another worker is added: that one
//! gets the row of the former only when nobody has the former any more, and finds it as new, whichever
//! thread gave up the former last. No two workers get one row.
#![cfg(loom)]

use std::sync::Arc;

use loom::{sync, thread};
use raddle_core::{Reservation, Roster, WorkerSpec};
use raddle_loom_tests::{completed, explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The weight of the worker that leaves.
const FORMER: u32 = 1;
/// The weights of workers that are added.
const ADDED: [u32; 2] = [7, 8];

/// A roster with one worker or none.
trait Rows: Sized + Send + Sync + 'static {
    /// Returns a roster with one worker, and the next one, without it.
    fn new() -> (Self, Self);
    /// Returns a roster with a worker added to this one, which has none.
    fn add(&self, weight: u32) -> Self;
    /// Counts a task in flight.
    fn admit(&self);
    /// Admits two tasks, ends one, and clears the idle bit.
    fn use_up(&self);
    /// Returns the tasks in flight and the weight, as a selection reads them.
    fn read(&self) -> (u64, u32);
    /// Searches for an idle worker; returns `true` if this one was found.
    fn find(&self) -> bool;
}

impl Rows for Roster {
    fn new() -> (Self, Self) {
        let older = roster(1);
        let newer = older.without_worker(older.members()[0].worker.id()).unwrap();
        (older, newer)
    }
    fn add(&self, weight: u32) -> Self {
        self.with_workers(&[WorkerSpec::general().weight(weight)]).unwrap()
    }
    fn admit(&self) {
        let _ = Reservation::take(&self.members()[0].worker, 0, None).unwrap().detach();
    }
    fn use_up(&self) {
        let mut recorder = self.members()[0].worker.recorder().unwrap();
        self.admit();
        self.admit();
        recorder.end(&completed());
        // Returning it sets the idle bit.
        drop(recorder);
        assert!(!self.find());
    }
    fn read(&self) -> (u64, u32) {
        let candidates = self.candidates(None);
        let signals = candidates.signals_at(0).unwrap();
        (signals.in_flight(), signals.weight())
    }
    fn find(&self) -> bool {
        self.candidates(None).find_idle(7, |_, _, _| true).is_some()
    }
}

/// The same protocol on its own, with a planted bug or [none](NO_BUG).
struct Twin<const BUG: u8> {
    rows: Arc<[Row; 2]>,
    /// The row of the worker, if there is one.
    row: Option<usize>,
}

#[derive(Default)]
struct Row {
    taken: AtomicBool,
    admitted: AtomicU64,
    ended: AtomicU64,
    unlisted: AtomicBool,
    weight: AtomicU32,
}

const NO_BUG: u8 = 0;
/// A row is free as soon as a roster is made without its worker.
const FREES_EARLY: u8 = 1;
/// A row is freed without Release.
const FREES_RELAXED: u8 = 2;
/// A row is taken without Acquire.
const TAKES_RELAXED: u8 = 3;
/// A row is taken by a load and a store.
const TAKES_BY_STORE: u8 = 4;
/// A row is not reset.
const KEEPS_WORDS: u8 = 5;
/// A row is reset before it is taken.
const RESETS_FIRST: u8 = 6;
/// A row is reset by the thread that frees it, afterwards.
const RESETS_ONCE_FREE: u8 = 7;

impl Row {
    fn take<const BUG: u8>(&self) -> bool {
        if BUG == TAKES_BY_STORE {
            // Planted: another thread may take it between the load and the store.
            let is_free = !self.taken.load(Acquire);
            if is_free {
                self.taken.store(true, Relaxed);
            }
            return is_free;
        }
        // Planted: what was written to the row may come after it is reset.
        let success = if BUG == TAKES_RELAXED { Relaxed } else { Acquire };
        self.taken.compare_exchange(false, true, success, Relaxed).is_ok()
    }

    fn reset(&self) {
        self.admitted.store(0, Relaxed);
        self.ended.store(0, Relaxed);
        self.unlisted.store(false, Relaxed);
    }
}

impl<const BUG: u8> Twin<BUG> {
    fn row(&self) -> &Row {
        &self.rows[self.row.unwrap()]
    }
}

impl<const BUG: u8> Drop for Twin<BUG> {
    fn drop(&mut self) {
        // Loom's atomics cannot be used while a model that failed unwinds.
        if self.row.is_none() || BUG == FREES_EARLY || std::thread::panicking() {
            return;
        }
        // Planted: like `TAKES_RELAXED`, on the other side.
        let ordering = if BUG == FREES_RELAXED { Relaxed } else { Release };
        self.row().taken.store(false, ordering);
        if BUG == RESETS_ONCE_FREE {
            // Planted: another worker may have the row by now.
            self.row().reset();
        }
    }
}

impl<const BUG: u8> Rows for Twin<BUG> {
    fn new() -> (Self, Self) {
        let rows = Arc::<[Row; 2]>::default();
        let older = Self { rows: Arc::clone(&rows), row: None }.add(FORMER);
        if BUG == FREES_EARLY {
            // Planted: the older roster still has the worker.
            rows[0].taken.store(false, Release);
        }
        (older, Self { rows, row: None })
    }
    fn add(&self, weight: u32) -> Self {
        let free = |row: &Row| {
            // Planted: the former worker may still be in use.
            if BUG == RESETS_FIRST {
                row.reset();
            }
            row.take::<BUG>()
        };
        let next = Self { rows: Arc::clone(&self.rows), row: self.rows.iter().position(free) };
        // Planted in `KEEPS_WORDS`.
        if ![KEEPS_WORDS, RESETS_FIRST, RESETS_ONCE_FREE].contains(&BUG) {
            next.row().reset();
        }
        next.row().weight.store(weight, Relaxed);
        next
    }
    fn admit(&self) {
        self.row().admitted.fetch_add(1, Relaxed);
    }
    fn use_up(&self) {
        self.admit();
        self.admit();
        self.row().ended.store(1, Release);
        self.row().unlisted.store(true, Relaxed);
    }
    fn read(&self) -> (u64, u32) {
        let ended = self.row().ended.load(Acquire);
        let in_flight = self.row().admitted.load(Relaxed).wrapping_sub(ended);
        (in_flight, self.row().weight.load(Relaxed))
    }
    fn find(&self) -> bool {
        !self.row().unlisted.load(Relaxed) && self.read().0 == 0
    }
}

/// A thread uses the former worker while this one adds another. `users` threads have the older roster:
/// each of them may be the last to give it up.
fn model<R: Rows>(users: usize) {
    let (older, newer) = R::new();
    // loom's, because loom does not see how `std`'s orders the threads that drop it.
    let older = sync::Arc::new(older);
    let mut threads = Vec::new();
    for user in 0..users {
        let older = sync::Arc::clone(&older);
        threads.push(thread::spawn(move || {
            if user == 0 {
                older.use_up();
                assert_eq!(older.read(), (1, FORMER), "the row of a worker in use was given away");
            } else {
                assert_eq!(older.read().1, FORMER, "the row of a worker in use was given away");
            }
        }));
    }
    drop(older);
    let next = newer.add(ADDED[0]);
    assert_eq!((next.read(), next.find()), ((0, ADDED[0]), true), "the row is not as new");
    next.admit();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(
        (next.read(), next.find()),
        ((1, ADDED[0]), false),
        "the row did not stay as it was"
    );
}

fn one_user<R: Rows>() {
    model::<R>(1);
}

fn two_users<R: Rows>() {
    model::<R>(2);
}

/// The former worker is gone, and two threads add a worker each.
fn two_takers<R: Rows>() {
    let (older, newer) = R::new();
    drop(older);
    let newer = Arc::new(newer);
    let add = |newer: &R, weight| {
        let next = newer.add(weight);
        next.admit();
        next
    };
    let other = thread::spawn({
        let newer = Arc::clone(&newer);
        move || add(&newer, ADDED[1])
    });
    let next = [add(&newer, ADDED[0]), other.join().unwrap()];
    assert_eq!(next.map(|next| next.read()), ADDED.map(|weight| (1, weight)), "one row for two");
}

#[test]
fn a_row_is_given_on_once_its_worker_is_gone() {
    explore("row, one user", 3, one_user::<Roster>);
    explore("row, one user, the protocol alone", 3, one_user::<Twin<NO_BUG>>);
}

#[test]
fn a_row_is_as_new_whoever_gave_up_its_worker_last() {
    explore("row, two users", 3, two_users::<Roster>);
    explore("row, two users, the protocol alone", 3, two_users::<Twin<NO_BUG>>);
}

#[test]
fn two_added_workers_have_different_rows() {
    explore("row, two takers", 3, two_takers::<Roster>);
    explore("row, two takers, the protocol alone", 3, two_takers::<Twin<NO_BUG>>);
}

#[test]
fn freeing_at_the_removal_gives_away_a_row_in_use() {
    let expected = "the row of a worker in use was given away";
    fails_with("frees early", 3, expected, one_user::<Twin<FREES_EARLY>>);
}

#[test]
fn freeing_relaxed_leaves_old_words() {
    fails_with("frees Relaxed", 3, "the row is not as new", one_user::<Twin<FREES_RELAXED>>);
}

#[test]
fn taking_relaxed_leaves_old_words() {
    fails_with("takes Relaxed", 3, "the row is not as new", one_user::<Twin<TAKES_RELAXED>>);
}

#[test]
fn taking_by_a_store_gives_one_row_to_two() {
    fails_with("takes by a store", 3, "one row for two", two_takers::<Twin<TAKES_BY_STORE>>);
}

#[test]
fn a_row_that_is_not_reset_is_not_as_new() {
    fails_with("keeps words", 3, "the row is not as new", one_user::<Twin<KEEPS_WORDS>>);
}

#[test]
fn resetting_before_taking_clears_a_row_in_use() {
    let expected = "the row of a worker in use was given away";
    fails_with("resets first", 3, expected, one_user::<Twin<RESETS_FIRST>>);
}

#[test]
fn resetting_after_freeing_clears_the_next_workers_row() {
    let expected = "the row is not as new";
    fails_with("resets once free", 3, expected, one_user::<Twin<RESETS_ONCE_FREE>>);
}
