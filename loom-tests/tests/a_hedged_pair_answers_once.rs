//! Two copies of a task end, each with or without an answer, and the second may join late or be
//! refused. Exactly one takes the prize, and one with an answer if there is one. A copy that takes
//! the prize without an answer has seen everything that the other did.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::models::Race;
use raddle_sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// A race that starts with one copy.
trait Hedged: Send + Sync + 'static {
    fn new() -> Self;
    fn join(&self) -> bool;
    /// Ends a copy; returns `true` if it takes the prize.
    fn finish(&self, answers: bool) -> bool;
}

impl Hedged for Race<()> {
    fn new() -> Self {
        Self::new(())
    }
    fn join(&self) -> bool {
        Self::join(self)
    }
    fn finish(&self, answers: bool) -> bool {
        Self::finish(self, answers).is_some()
    }
}

/// A minimal race with a planted bug.
struct Twin<const BUG: u8> {
    copies: AtomicU32,
    prize: AtomicBool,
}

/// A copy joins without checking that another is left.
const JOINS_BLINDLY: u8 = 0;
/// A copy is counted out by a load and a store.
const COUNTS_BY_STORE: u8 = 1;
/// A copy is counted out without Release.
const COUNTS_WITHOUT_RELEASE: u8 = 3;
/// A copy is counted out without Acquire.
const COUNTS_WITHOUT_ACQUIRE: u8 = 4;
/// A copy with an answer is counted out before it takes the prize.
const COUNTS_FIRST: u8 = 2;

impl<const BUG: u8> Twin<BUG> {
    fn take(&self) -> bool {
        self.prize.swap(false, AcqRel)
    }

    /// Counts a copy out; returns `true` if it was the last.
    fn count_out(&self) -> bool {
        if BUG != COUNTS_BY_STORE {
            // Planted: the last copy may not see what the other did.
            let ordering = match BUG {
                COUNTS_WITHOUT_RELEASE => Acquire,
                COUNTS_WITHOUT_ACQUIRE => Release,
                _ => AcqRel,
            };
            return self.copies.fetch_sub(1, ordering) == 1;
        }
        // Planted: of two copies that load the same count, neither is the last.
        let copies = self.copies.load(Acquire);
        self.copies.store(copies - 1, Release);
        copies == 1
    }
}

impl<const BUG: u8> Hedged for Twin<BUG> {
    fn new() -> Self {
        Self { copies: AtomicU32::new(1), prize: AtomicBool::new(true) }
    }
    fn join(&self) -> bool {
        let joined = self.copies.fetch_update(Relaxed, Relaxed, |copies| {
            // Planted: the race may already be decided by the end of all previous copies.
            (copies > 0 || BUG == JOINS_BLINDLY).then_some(copies + 1)
        });
        joined.is_ok()
    }
    fn finish(&self, answers: bool) -> bool {
        if BUG == COUNTS_FIRST {
            // Planted: between the two steps, the last copy takes the prize without an answer.
            let last = self.count_out();
            return (answers || last) && self.take();
        }
        let took = answers && self.take();
        let last = self.count_out();
        took || last && self.take()
    }
}

/// A copy that has ended.
#[derive(Debug)]
struct Ended {
    answers: bool,
    took: bool,
}

/// Set by each copy before it ends.
type Notes = [AtomicBool; 2];

impl Ended {
    fn of(copy: usize, race: &impl Hedged, answers: bool, notes: &Notes) -> Self {
        notes[copy].store(true, Relaxed);
        Self { answers, took: race.finish(answers) }
    }

    /// Returns `true` if this copy reports that there is no answer.
    fn gives_up(&self) -> bool {
        self.took && !self.answers
    }
}

/// One copy ends in this thread and the other in a second thread, each with or without an answer.
/// The second joins before, or late.
fn model<H: Hedged>([first, second]: [bool; 2], joins_late: bool) {
    let race = Arc::new(H::new());
    let notes = Arc::new(Notes::default());
    assert!(joins_late || race.join(), "refused while the other is running");
    let hedge = thread::spawn({
        let (race, notes) = (Arc::clone(&race), Arc::clone(&notes));
        move || {
            let joined = !joins_late || race.join();
            let copy = joined.then(|| Ended::of(1, &*race, second, &notes))?;
            assert!(!copy.gives_up() || notes[0].load(Relaxed), "{UNSEEN}");
            Some(copy)
        }
    });
    let here = Ended::of(0, &*race, first, &notes);
    // A copy that joins late may have been refused and done nothing.
    assert!(!here.gives_up() || joins_late || notes[1].load(Relaxed), "{UNSEEN}");
    let mut ended = vec![here];
    ended.extend(hedge.join().unwrap());
    let takers: Vec<_> = ended.iter().filter(|copy| copy.took).collect();
    assert_eq!(takers.len(), 1, "the prize was not taken exactly once: {ended:?}");
    let any_answers = ended.iter().any(|copy| copy.answers);
    assert_eq!(takers[0].answers, any_answers, "an answer was lost: {ended:?}");
}

const UNSEEN: &str = "gave up without seeing what the other copy did";

const MIXES: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

#[test]
fn a_pair_takes_the_prize_once() {
    for answers in MIXES {
        explore(&format!("pair, {answers:?}"), 3, move || model::<Race<()>>(answers, false));
    }
}

#[test]
fn a_late_copy_takes_the_prize_at_most_once() {
    for answers in MIXES {
        explore(&format!("late copy, {answers:?}"), 3, move || model::<Race<()>>(answers, true));
    }
}

#[test]
fn joining_without_checking_the_count_loses_an_answer() {
    fails_with("joins blindly", 2, "an answer was lost", || {
        model::<Twin<JOINS_BLINDLY>>([false, true], true);
    });
}

#[test]
fn counting_by_a_store_leaves_the_prize() {
    fails_with("counts by a store", 2, "the prize was not taken exactly once", || {
        model::<Twin<COUNTS_BY_STORE>>([false, false], false);
    });
}

#[test]
fn counting_without_acquire_or_release_hides_the_other_copy() {
    fails_with("counts without Release", 2, UNSEEN, || {
        model::<Twin<COUNTS_WITHOUT_RELEASE>>([false, false], false);
    });
    fails_with("counts without Acquire", 2, UNSEEN, || {
        model::<Twin<COUNTS_WITHOUT_ACQUIRE>>([false, false], false);
    });
}

#[test]
fn counting_before_taking_loses_an_answer() {
    fails_with("counts, then takes", 2, "an answer was lost", || {
        model::<Twin<COUNTS_FIRST>>([true, false], false);
    });
}
