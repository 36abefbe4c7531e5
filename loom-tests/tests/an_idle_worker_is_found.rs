//! Whoever makes a worker idle does so while another, who has met it with a task, takes it off the
//! list of the idle: when all is quiet, who has nothing in flight is listed, and so is found. One
//! who is not would never be found again.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::{Outcome, OwnedReservation, Recorder, Reservation, Roster, Worker};
use raddle_loom_tests::{completed, explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// One worker, by what its idle bit has to do with.
trait Idle: Sized + Send + Sync + 'static {
    type Place: Send + 'static;
    /// The right to end tasks by plain stores.
    type Recorder;

    fn new() -> Arc<Self>;
    fn recorder(self: &Arc<Self>) -> Self::Recorder;
    fn reserve(self: &Arc<Self>) -> Self::Place;
    /// Ends a task by the worker's thread, which then has nothing to do.
    fn end_and_rest(place: Self::Place, recorder: &mut Self::Recorder);
    /// Ends a task by any thread.
    fn finish(place: Self::Place);
    /// Gives a place back.
    fn withdraw(place: Self::Place);
    /// Looks for an idle worker; whether this one was found.
    fn find(&self) -> bool;
}

/// The only worker of a roster.
fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

impl Idle for Roster {
    type Place = OwnedReservation;
    type Recorder = Recorder;

    fn new() -> Arc<Self> {
        Arc::new(roster(1))
    }
    fn recorder(self: &Arc<Self>) -> Recorder {
        only(self).recorder().unwrap()
    }
    fn reserve(self: &Arc<Self>) -> Self::Place {
        Reservation::take(only(self), 0, None).unwrap().into_owned()
    }
    fn end_and_rest(place: Self::Place, recorder: &mut Recorder) {
        // Left in flight, as by a hand-over.
        let _ = place.detach();
        recorder.end(&completed());
        recorder.mark_idle(7);
    }
    fn finish(place: Self::Place) {
        place.finish(Outcome::Completed, Duration::ZERO);
    }
    fn withdraw(place: Self::Place) {
        drop(place);
    }
    fn find(&self) -> bool {
        self.candidates(None).find_idle(7, |_, _, _| true).is_some()
    }
}

/// The same protocol in one place, with a bug planted or [none](NO_BUG).
struct Twin<const BUG: u8> {
    admitted: AtomicU64,
    ended: AtomicU64,
    unlisted: AtomicBool,
    bit: AtomicBool,
    recorder_taken: AtomicBool,
}

const NO_BUG: u8 = 0;
/// Who has cleared the bit does not look again.
const NO_SECOND_LOOK: u8 = 1;
/// Who has cleared the bit looks again by a load.
const SECOND_LOOK_BY_LOAD: u8 = 2;
/// Who has cleared the bit looks again before it says so.
const LOOKS_BEFORE_TELLING: u8 = 3;
/// The worker looks at the admissions by a load.
const RESTS_BY_LOAD: u8 = 4;
/// Who ends another's task looks at the admissions by a load.
const FINISHES_BY_LOAD: u8 = 5;
/// A place is given back without Acquire.
const WITHDRAWS_UNSEEING: u8 = 6;
/// Who withdraws does not look.
const WITHDRAWS_BLINDLY: u8 = 7;
/// Who clears the bit says so first.
const TELLS_FIRST: u8 = 8;
/// The bit is cleared without Acquire of its setting.
const CLEARS_UNSEEING: u8 = 9;
/// Who has cleared the bit does not look at the ends by any thread.
const NO_LOOK_AT_ENDS: u8 = 10;
/// Who has cleared the bit looks at the ends after it has looked at the admissions.
const LOOKS_AT_ENDS_LAST: u8 = 11;
/// A task is ended by any thread without Acquire.
const FINISHES_UNSEEING: u8 = 12;
/// The recorder is given back and the bit left as it is.
const GIVES_BACK_ALONE: u8 = 13;

impl<const BUG: u8> Twin<BUG> {
    fn look(&self, by_load: bool) -> u64 {
        // Planted: both sides may read what was before the other's write.
        if by_load { self.admitted.load(Acquire) } else { self.admitted.fetch_add(0, AcqRel) }
    }

    fn list_if_idle(&self, by_load: bool) {
        let admitted = self.look(by_load);
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
        // Planted: who makes the worker idle may set the bit before it was cleared.
        if BUG == TELLS_FIRST {
            self.unlisted.store(true, Release);
        }
        // Planted: that the bit is clear may be said before it was taken back by who set it.
        let ordering = if BUG == CLEARS_UNSEEING { Relaxed } else { Acquire };
        if !self.bit.swap(false, ordering) {
            return;
        }
        let early = (BUG == LOOKS_BEFORE_TELLING).then(|| self.look(false));
        if BUG != TELLS_FIRST {
            self.unlisted.store(true, Release);
        }
        // Planted: it may have ended between the first look and the clearing.
        if BUG == NO_SECOND_LOOK {
            return;
        }
        let shared = !self.recorder_taken.load(Relaxed);
        // Planted: both who has cleared the bit and who ends a task may miss the other.
        if shared && BUG != NO_LOOK_AT_ENDS && BUG != LOOKS_AT_ENDS_LAST {
            self.ended.fetch_add(0, AcqRel);
        }
        // Planted: who made it idle after that look may not have been told.
        let admitted = early.unwrap_or_else(|| self.look(BUG == SECOND_LOOK_BY_LOAD));
        // Planted: who withdraws after the look at the admissions may not see the end.
        if shared && BUG == LOOKS_AT_ENDS_LAST {
            self.ended.fetch_add(0, AcqRel);
        }
        self.list(admitted);
    }
}

struct TwinRecorder<const BUG: u8>(Arc<Twin<BUG>>);

impl<const BUG: u8> Drop for TwinRecorder<BUG> {
    fn drop(&mut self) {
        self.0.recorder_taken.store(false, Release);
        // Planted: who has cleared the bit may think that nobody else ends tasks.
        if BUG != GIVES_BACK_ALONE {
            self.0.bit.swap(true, Release);
        }
    }
}

impl<const BUG: u8> Idle for Twin<BUG> {
    type Place = Arc<Self>;
    type Recorder = TwinRecorder<BUG>;

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
    fn reserve(self: &Arc<Self>) -> Self::Place {
        self.admitted.fetch_add(1, Acquire);
        Arc::clone(self)
    }
    fn end_and_rest(place: Self::Place, _: &mut TwinRecorder<BUG>) {
        place.ended.store(place.ended.load(Relaxed) + 1, Release);
        place.list_if_idle(BUG == RESTS_BY_LOAD);
    }
    fn finish(place: Self::Place) {
        // Planted: that the bit was cleared before the look at the endings is not seen.
        let ordering = if BUG == FINISHES_UNSEEING { Release } else { AcqRel };
        place.ended.fetch_add(1, ordering);
        if !place.bit.load(Relaxed) {
            place.list_if_idle(BUG == FINISHES_BY_LOAD);
        }
    }
    fn withdraw(place: Self::Place) {
        // Planted: what the other did before its look is not seen.
        let ordering = if BUG == WITHDRAWS_UNSEEING { Release } else { AcqRel };
        place.admitted.fetch_sub(1, ordering);
        // Planted.
        if BUG != WITHDRAWS_BLINDLY && place.unlisted.load(Relaxed) {
            place.list_if_idle(false);
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

/// What a thread does with a place.
type Then<I> = fn(<I as Idle>::Place);

/// The worker's own thread, if it has one, ends a task; others do what they do with theirs, while
/// callers pick.
fn model<I: Idle>(own: bool, others: &[Then<I>], callers: usize) {
    let idle = I::new();
    // Only who has a thread of its own has a recorder: the others' ends are theirs.
    let mut owner = own.then(|| (idle.reserve(), idle.recorder()));
    let places: Vec<_> = others.iter().map(|then| (idle.reserve(), *then)).collect();
    let mut threads: Vec<_> =
        places.into_iter().map(|(place, then)| thread::spawn(move || then(place))).collect();
    threads.extend((0..callers).map(|_| {
        let idle = Arc::clone(&idle);
        thread::spawn(move || _ = idle.find())
    }));
    let recorder = owner.take().map(|(place, mut recorder)| {
        I::end_and_rest(place, &mut recorder);
        recorder
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(idle.find(), "idle and not found");
    drop(recorder);
}

fn rests<I: Idle>() {
    model::<I>(true, &[], 1);
}

fn finishes<I: Idle>() {
    model::<I>(false, &[I::finish], 1);
}

fn withdraws<I: Idle>() {
    model::<I>(false, &[I::withdraw], 1);
}

fn rests_and_withdraws<I: Idle>() {
    model::<I>(true, &[I::withdraw], 1);
}

fn finishes_and_withdraws<I: Idle>() {
    model::<I>(false, &[I::finish, I::withdraw], 1);
}

fn two_callers<I: Idle>() {
    model::<I>(true, &[], 2);
}

/// The worker's thread ends its task and gives its recorder back without a rest; another ends what
/// is left.
fn gives_the_recorder_back<I: Idle>() {
    let idle = I::new();
    let place = idle.reserve();
    let recorder = idle.recorder();
    let caller = {
        let idle = Arc::clone(&idle);
        thread::spawn(move || _ = idle.find())
    };
    drop(recorder);
    I::finish(place);
    caller.join().unwrap();
    assert!(idle.find(), "idle and not found");
}

/// A caller whose own task, taken when it was found, is withdrawn while another picks.
fn found_and_given_back<I: Idle>() {
    let idle = I::new();
    let others = Arc::clone(&idle);
    let caller = thread::spawn(move || _ = others.find());
    if idle.find() {
        I::withdraw(idle.reserve());
    }
    caller.join().unwrap();
    assert!(idle.find(), "idle and not found");
}

#[test]
fn a_worker_that_rests() {
    explore("idle: rests", 3, rests::<Roster>);
    explore("idle: rests, the protocol alone", 3, rests::<Twin<NO_BUG>>);
}

#[test]
fn a_task_that_anybody_ends() {
    explore("idle: finishes", 3, finishes::<Roster>);
    explore("idle: finishes, the protocol alone", 3, finishes::<Twin<NO_BUG>>);
}

#[test]
fn a_place_that_is_given_back() {
    explore("idle: withdraws", 3, withdraws::<Roster>);
    explore("idle: withdraws, the protocol alone", 3, withdraws::<Twin<NO_BUG>>);
    explore("idle: found and given back", 3, found_and_given_back::<Roster>);
}

#[test]
fn a_worker_that_rests_and_a_place_that_is_given_back() {
    explore("idle: rests and withdraws", 2, rests_and_withdraws::<Roster>);
    let twin = rests_and_withdraws::<Twin<NO_BUG>>;
    explore("idle: rests and withdraws, the protocol alone", 3, twin);
}

#[test]
fn a_task_that_anybody_ends_and_a_place_that_is_given_back() {
    explore("idle: finishes and withdraws", 2, finishes_and_withdraws::<Roster>);
    let twin = finishes_and_withdraws::<Twin<NO_BUG>>;
    explore("idle: finishes and withdraws, the protocol alone", 3, twin);
}

#[test]
fn a_recorder_that_is_given_back() {
    explore("idle: gives the recorder back", 3, gives_the_recorder_back::<Roster>);
    let twin = gives_the_recorder_back::<Twin<NO_BUG>>;
    explore("idle: gives the recorder back, the protocol alone", 3, twin);
}

#[test]
fn giving_the_recorder_back_alone() {
    let twin = gives_the_recorder_back::<Twin<GIVES_BACK_ALONE>>;
    fails_with("gives back alone", 3, LOST, twin);
}

#[test]
fn two_who_look() {
    explore("idle: two callers", 2, two_callers::<Roster>);
    explore("idle: two callers, the protocol alone", 3, two_callers::<Twin<NO_BUG>>);
}

const LOST: &str = "idle and not found";

#[test]
fn no_second_look() {
    fails_with("no second look", 2, LOST, rests::<Twin<NO_SECOND_LOOK>>);
}

#[test]
fn a_second_look_by_a_load() {
    fails_with("second look by a load", 2, LOST, rests::<Twin<SECOND_LOOK_BY_LOAD>>);
}

#[test]
fn a_second_look_before_telling() {
    fails_with("looks before telling", 2, LOST, rests::<Twin<LOOKS_BEFORE_TELLING>>);
}

#[test]
fn resting_with_a_load() {
    fails_with("rests by a load", 2, LOST, rests::<Twin<RESTS_BY_LOAD>>);
}

#[test]
fn finishing_with_a_load() {
    let twin = finishes_and_withdraws::<Twin<FINISHES_BY_LOAD>>;
    fails_with("finishes by a load", 3, LOST, twin);
}

#[test]
fn finishing_without_acquire() {
    fails_with("finishes unseeing", 2, LOST, finishes::<Twin<FINISHES_UNSEEING>>);
}

#[test]
fn no_look_at_ends() {
    fails_with("no look at ends", 2, LOST, finishes::<Twin<NO_LOOK_AT_ENDS>>);
}

#[test]
fn looking_at_ends_last() {
    let twin = finishes_and_withdraws::<Twin<LOOKS_AT_ENDS_LAST>>;
    fails_with("looks at ends last", 3, LOST, twin);
}

#[test]
fn withdrawing_without_acquire() {
    fails_with("withdraws unseeing", 2, LOST, withdraws::<Twin<WITHDRAWS_UNSEEING>>);
}

#[test]
fn withdrawing_without_a_look() {
    fails_with("withdraws blindly", 2, LOST, withdraws::<Twin<WITHDRAWS_BLINDLY>>);
}

#[test]
fn telling_before_clearing() {
    fails_with("tells first", 2, LOST, rests::<Twin<TELLS_FIRST>>);
}

#[test]
fn clearing_the_bit_without_acquire() {
    fails_with("clears unseeing", 3, LOST, two_callers::<Twin<CLEARS_UNSEEING>>);
}
