//! One thread makes a worker idle while another, which has seen it with a task, clears its idle
//! bit: when everything has come to rest, a worker with nothing in flight has its bit set, and is
//! found. Otherwise it would never be found again.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::{Outcome, OwnedReservation, Reservation, Roster, SerialRecorder, Worker};
use raddle_loom_tests::{completed, explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// One worker, with the operations that concern its idle bit.
trait Idle: Sized + Send + Sync + 'static {
    type Reserved: Send + 'static;
    /// The exclusive right to end tasks by plain stores.
    type SerialRecorder;

    fn new() -> Arc<Self>;
    fn recorder(self: &Arc<Self>) -> Self::SerialRecorder;
    fn reserve(self: &Arc<Self>) -> Self::Reserved;
    /// The worker's thread ends a task and becomes idle.
    fn end_and_go_idle(reserved: Self::Reserved, recorder: &mut Self::SerialRecorder);
    /// Ends a task from any thread.
    fn finish(reserved: Self::Reserved);
    /// Releases a reservation.
    fn withdraw(reserved: Self::Reserved);
    /// Searches for an idle worker; returns `true` if this one was found.
    fn find(&self) -> bool;
}

/// The only worker of a roster.
fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

impl Idle for Roster {
    type Reserved = OwnedReservation;
    type SerialRecorder = SerialRecorder;

    fn new() -> Arc<Self> {
        Arc::new(roster(1))
    }
    fn recorder(self: &Arc<Self>) -> SerialRecorder {
        only(self).recorder().unwrap()
    }
    fn reserve(self: &Arc<Self>) -> Self::Reserved {
        Reservation::take(only(self), 0, None).unwrap().into_owned()
    }
    fn end_and_go_idle(reserved: Self::Reserved, recorder: &mut SerialRecorder) {
        // Stays in flight, like after a hand-over.
        let _ = reserved.detach();
        recorder.end(&completed());
        recorder.mark_idle(7);
    }
    fn finish(reserved: Self::Reserved) {
        reserved.finish(Outcome::Completed, Duration::ZERO);
    }
    fn withdraw(reserved: Self::Reserved) {
        drop(reserved);
    }
    fn find(&self) -> bool {
        self.candidates(None).find_idle(7, |_, _, _| true).is_some()
    }
}

/// The same protocol on its own, with a planted bug or [none](NO_BUG).
struct Twin<const BUG: u8> {
    admitted: AtomicU64,
    ended: AtomicU64,
    unlisted: AtomicBool,
    bit: AtomicBool,
    recorder_taken: AtomicBool,
}

const NO_BUG: u8 = 0;
/// Clearing the bit does not recheck.
const NO_RECHECK: u8 = 1;
/// Clearing the bit rechecks by a load.
const RECHECKS_BY_LOAD: u8 = 2;
/// Clearing the bit rechecks before it announces the clearing.
const RECHECKS_FIRST: u8 = 3;
/// The worker's thread reads the admissions by a load.
const GOES_IDLE_BY_LOAD: u8 = 4;
/// Another thread that ends a task reads the admissions by a load.
const FINISHES_BY_LOAD: u8 = 5;
/// A reservation is released without Acquire.
const WITHDRAWS_WITHOUT_ACQUIRE: u8 = 6;
/// Withdrawing does not check for idleness.
const WITHDRAWS_UNCHECKED: u8 = 7;
/// The clearing is announced before it happens.
const ANNOUNCES_FIRST: u8 = 8;
/// The bit is cleared without Acquire.
const CLEARS_WITHOUT_ACQUIRE: u8 = 9;
/// Clearing the bit does not recheck the ends by other threads.
const NO_RECHECK_OF_ENDS: u8 = 10;
/// Clearing the bit rechecks the ends after the admissions.
const RECHECKS_ENDS_LAST: u8 = 11;
/// Another thread ends a task without Acquire.
const FINISHES_WITHOUT_ACQUIRE: u8 = 12;
/// The recorder is returned without setting the bit.
const RETURNS_UNLISTED: u8 = 13;

impl<const BUG: u8> Twin<BUG> {
    fn read_admitted(&self, by_load: bool) -> u64 {
        // Planted: both sides may read the value before the other's write.
        if by_load { self.admitted.load(Acquire) } else { self.admitted.fetch_add(0, AcqRel) }
    }

    fn list_if_idle(&self, by_load: bool) {
        let admitted = self.read_admitted(by_load);
        if self.unlisted.load(Relaxed) {
            self.list(admitted);
        }
    }

    fn list(&self, admitted: u64) {
        if self.ended.load(Acquire) == admitted
            && self.unlisted.compare_exchange(true, false, Acquire, Relaxed).is_ok()
        {
            self.bit.swap(true, Release);
        }
    }

    fn unlist(&self) {
        // Planted: the thread that makes the worker idle may set the bit before it is cleared.
        if BUG == ANNOUNCES_FIRST {
            self.unlisted.store(true, Release);
        }
        // Planted: the clearing may be announced before the setter has withdrawn the previous one.
        let ordering = if BUG == CLEARS_WITHOUT_ACQUIRE { Relaxed } else { Acquire };
        if !self.bit.swap(false, ordering) {
            return;
        }
        let early = (BUG == RECHECKS_FIRST).then(|| self.read_admitted(false));
        if BUG != ANNOUNCES_FIRST {
            self.unlisted.store(true, Release);
        }
        // Planted: the last task may have ended between the first check and the clearing.
        if BUG == NO_RECHECK {
            return;
        }
        let shared = !self.recorder_taken.load(Relaxed);
        // Planted: the thread that clears the bit and one that ends a task may miss each other.
        if shared && BUG != NO_RECHECK_OF_ENDS && BUG != RECHECKS_ENDS_LAST {
            self.ended.fetch_add(0, AcqRel);
        }
        // Planted: a thread that made it idle after that check may miss the announcement.
        let admitted = early.unwrap_or_else(|| self.read_admitted(BUG == RECHECKS_BY_LOAD));
        // Planted: a thread that withdraws after the check of the admissions may not see the end.
        if shared && BUG == RECHECKS_ENDS_LAST {
            self.ended.fetch_add(0, AcqRel);
        }
        self.list(admitted);
    }
}

struct TwinRecorder<const BUG: u8>(Arc<Twin<BUG>>);

impl<const BUG: u8> Drop for TwinRecorder<BUG> {
    fn drop(&mut self) {
        self.0.recorder_taken.store(false, Release);
        // Planted: the thread that cleared the bit may assume that no other thread ends tasks.
        if BUG != RETURNS_UNLISTED {
            self.0.bit.swap(true, Release);
        }
    }
}

impl<const BUG: u8> Idle for Twin<BUG> {
    type Reserved = Arc<Self>;
    type SerialRecorder = TwinRecorder<BUG>;

    fn new() -> Arc<Self> {
        Arc::new(Self {
            admitted: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            unlisted: AtomicBool::new(false),
            bit: AtomicBool::new(true),
            recorder_taken: AtomicBool::new(false),
        })
    }
    fn recorder(self: &Arc<Self>) -> TwinRecorder<BUG> {
        self.recorder_taken.store(true, Relaxed);
        TwinRecorder(Arc::clone(self))
    }
    fn reserve(self: &Arc<Self>) -> Self::Reserved {
        self.admitted.fetch_add(1, Acquire);
        Arc::clone(self)
    }
    fn end_and_go_idle(reserved: Self::Reserved, _: &mut TwinRecorder<BUG>) {
        reserved.ended.store(reserved.ended.load(Relaxed) + 1, Release);
        reserved.list_if_idle(BUG == GOES_IDLE_BY_LOAD);
    }
    fn finish(reserved: Self::Reserved) {
        // Planted: a clearing before the recheck of the ends is not seen.
        let ordering = if BUG == FINISHES_WITHOUT_ACQUIRE { Release } else { AcqRel };
        reserved.ended.fetch_add(1, ordering);
        if !reserved.bit.load(Relaxed) {
            reserved.list_if_idle(BUG == FINISHES_BY_LOAD);
        }
    }
    fn withdraw(reserved: Self::Reserved) {
        // Planted: what the other thread did before its recheck is not seen.
        let ordering = if BUG == WITHDRAWS_WITHOUT_ACQUIRE { Release } else { AcqRel };
        reserved.admitted.fetch_sub(1, ordering);
        // Planted.
        if BUG != WITHDRAWS_UNCHECKED && reserved.unlisted.load(Relaxed) {
            reserved.list_if_idle(false);
        }
    }
    fn find(&self) -> bool {
        if !self.bit.load(Relaxed) {
            return false;
        }
        let ended = self.ended.load(Acquire);
        let idle = self.admitted.load(Acquire) == ended;
        if !idle {
            self.unlist();
        }
        idle
    }
}

/// What a thread does with a reservation.
type Then<I> = fn(<I as Idle>::Reserved);

/// The worker's own thread ends a task (`own`), other threads end or release theirs, and callers
/// search for an idle worker.
fn model<I: Idle>(own: bool, others: &[Then<I>], callers: usize) {
    let idle = I::new();
    // Without a thread of its own, the worker has no recorder, and other threads end its tasks.
    let mut owner = own.then(|| (idle.reserve(), idle.recorder()));
    let reserved: Vec<_> = others.iter().map(|then| (idle.reserve(), *then)).collect();
    let mut threads: Vec<_> = reserved
        .into_iter()
        .map(|(reserved, then)| thread::spawn(move || then(reserved)))
        .collect();
    threads.extend((0..callers).map(|_| {
        let idle = Arc::clone(&idle);
        thread::spawn(move || _ = idle.find())
    }));
    let recorder = owner.take().map(|(reserved, mut recorder)| {
        I::end_and_go_idle(reserved, &mut recorder);
        recorder
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(idle.find(), "idle but not found");
    drop(recorder);
}

fn goes_idle<I: Idle>() {
    model::<I>(true, &[], 1);
}

fn finishes<I: Idle>() {
    model::<I>(false, &[I::finish], 1);
}

fn withdraws<I: Idle>() {
    model::<I>(false, &[I::withdraw], 1);
}

fn goes_idle_and_withdraws<I: Idle>() {
    model::<I>(true, &[I::withdraw], 1);
}

fn finishes_and_withdraws<I: Idle>() {
    model::<I>(false, &[I::finish, I::withdraw], 1);
}

fn two_callers<I: Idle>() {
    model::<I>(true, &[], 2);
}

/// The worker's thread returns its recorder without becoming idle, and another thread ends the
/// task.
fn returns_the_recorder<I: Idle>() {
    let idle = I::new();
    let reserved = idle.reserve();
    let recorder = idle.recorder();
    let caller = {
        let idle = Arc::clone(&idle);
        thread::spawn(move || _ = idle.find())
    };
    drop(recorder);
    I::finish(reserved);
    caller.join().unwrap();
    assert!(idle.find(), "idle but not found");
}

/// A caller finds the worker, reserves a task and releases it, while another caller searches.
fn found_and_released<I: Idle>() {
    let idle = I::new();
    let others = Arc::clone(&idle);
    let caller = thread::spawn(move || _ = others.find());
    if idle.find() {
        I::withdraw(idle.reserve());
    }
    caller.join().unwrap();
    assert!(idle.find(), "idle but not found");
}

#[test]
fn a_worker_that_goes_idle_is_found() {
    explore("idle: goes idle", 3, goes_idle::<Roster>);
    explore("idle: goes idle, the protocol alone", 3, goes_idle::<Twin<NO_BUG>>);
}

#[test]
fn a_worker_whose_task_another_thread_ends_is_found() {
    explore("idle: finishes", 3, finishes::<Roster>);
    explore("idle: finishes, the protocol alone", 3, finishes::<Twin<NO_BUG>>);
}

#[test]
fn a_worker_whose_reservation_is_released_is_found() {
    explore("idle: withdraws", 3, withdraws::<Roster>);
    explore("idle: withdraws, the protocol alone", 3, withdraws::<Twin<NO_BUG>>);
    explore("idle: found and released", 3, found_and_released::<Roster>);
}

#[test]
fn a_worker_that_goes_idle_during_a_withdrawal_is_found() {
    explore("idle: goes idle and withdraws", 2, goes_idle_and_withdraws::<Roster>);
    let twin = goes_idle_and_withdraws::<Twin<NO_BUG>>;
    explore("idle: goes idle and withdraws, the protocol alone", 3, twin);
}

#[test]
fn a_worker_with_an_end_and_a_withdrawal_is_found() {
    explore("idle: finishes and withdraws", 2, finishes_and_withdraws::<Roster>);
    let twin = finishes_and_withdraws::<Twin<NO_BUG>>;
    explore("idle: finishes and withdraws, the protocol alone", 3, twin);
}

#[test]
fn a_worker_whose_recorder_is_returned_is_found() {
    explore("idle: returns the recorder", 3, returns_the_recorder::<Roster>);
    let twin = returns_the_recorder::<Twin<NO_BUG>>;
    explore("idle: returns the recorder, the protocol alone", 3, twin);
}

#[test]
fn returning_the_recorder_without_listing_loses_the_worker() {
    let twin = returns_the_recorder::<Twin<RETURNS_UNLISTED>>;
    fails_with("returns the recorder unlisted", 3, LOST, twin);
}

#[test]
fn a_worker_with_two_callers_is_found() {
    explore("idle: two callers", 2, two_callers::<Roster>);
    explore("idle: two callers, the protocol alone", 3, two_callers::<Twin<NO_BUG>>);
}

const LOST: &str = "idle but not found";

#[test]
fn no_recheck_loses_the_worker() {
    fails_with("does not recheck", 2, LOST, goes_idle::<Twin<NO_RECHECK>>);
}

#[test]
fn rechecking_by_a_load_loses_the_worker() {
    fails_with("rechecks by a load", 2, LOST, goes_idle::<Twin<RECHECKS_BY_LOAD>>);
}

#[test]
fn rechecking_before_announcing_loses_the_worker() {
    fails_with("rechecks before announcing", 2, LOST, goes_idle::<Twin<RECHECKS_FIRST>>);
}

#[test]
fn going_idle_by_a_load_loses_the_worker() {
    fails_with("goes idle by a load", 2, LOST, goes_idle::<Twin<GOES_IDLE_BY_LOAD>>);
}

#[test]
fn finishing_by_a_load_loses_the_worker() {
    let twin = finishes_and_withdraws::<Twin<FINISHES_BY_LOAD>>;
    fails_with("finishes by a load", 3, LOST, twin);
}

#[test]
fn finishing_without_acquire_loses_the_worker() {
    fails_with("finishes without Acquire", 2, LOST, finishes::<Twin<FINISHES_WITHOUT_ACQUIRE>>);
}

#[test]
fn no_recheck_of_ends_loses_the_worker() {
    fails_with("does not recheck ends", 2, LOST, finishes::<Twin<NO_RECHECK_OF_ENDS>>);
}

#[test]
fn rechecking_ends_last_loses_the_worker() {
    let twin = finishes_and_withdraws::<Twin<RECHECKS_ENDS_LAST>>;
    fails_with("rechecks ends last", 3, LOST, twin);
}

#[test]
fn withdrawing_without_acquire_loses_the_worker() {
    fails_with("withdraws without Acquire", 2, LOST, withdraws::<Twin<WITHDRAWS_WITHOUT_ACQUIRE>>);
}

#[test]
fn withdrawing_without_checking_loses_the_worker() {
    fails_with("withdraws without checking", 2, LOST, withdraws::<Twin<WITHDRAWS_UNCHECKED>>);
}

#[test]
fn announcing_before_clearing_loses_the_worker() {
    fails_with("announces first", 2, LOST, goes_idle::<Twin<ANNOUNCES_FIRST>>);
}

#[test]
fn clearing_without_acquire_loses_the_worker() {
    fails_with("clears without Acquire", 3, LOST, two_callers::<Twin<CLEARS_WITHOUT_ACQUIRE>>);
}
