//! The number of tasks in flight at a worker is never too low, and is 0 when all have ended or were
//! released; a thread that reads 0 sees everything that led to it.
#![cfg(loom)]

use std::sync::Arc;

use loom::thread;
use raddle_core::Roster;
use raddle_loom_tests::{Account, explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release},
};

fn real() -> Arc<Roster> {
    Arc::new(roster(1))
}

/// A minimal worker with a planted bug.
struct Twin {
    bug: Bug,
    admitted: AtomicU64,
    closed: AtomicBool,
    ended: AtomicU64,
    completed: AtomicU64,
    detached: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Reads the admitted tasks before the ended ones: a task that starts and ends in between is
    /// subtracted without having been counted.
    AdmittedFirst,
    /// Counts an end without Release: it is seen without its admission and without its outcome.
    RelaxedEnd,
    /// Releases a reservation without Release: it is seen without what the thread did before.
    RelaxedWithdrawal,
    /// The closed bit is a separate word: the worker may close between the check and the count.
    ChecksThenAdmits,
    /// Ends by id while there are fewer ends than admissions, without Acquire: it counts the ends
    /// of others but may miss their admissions.
    OutnumbersUnseen,
    /// Checks whether a task is detached, and then takes it: two threads may take the same one.
    ChecksThenTakes,
    /// Takes a detached task without Acquire: its end is seen without its admission.
    TakesUnseen,
}

/// A reservation of [`Twin`].
struct Reserved(Option<Arc<Twin>>);

impl Twin {
    fn with(bug: Bug) -> Arc<Self> {
        Arc::new(Self {
            bug,
            admitted: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            detached: AtomicU64::new(0),
        })
    }

    /// Returns the ordering, or Relaxed if that is the bug.
    fn unless(&self, bug: Bug, ordering: Ordering) -> Ordering {
        if self.bug == bug { Relaxed } else { ordering }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(twin) = &self.0 {
            // Planted: RelaxedWithdrawal.
            twin.admitted.fetch_sub(1, twin.unless(Bug::RelaxedWithdrawal, Release));
        }
    }
}

impl Account for Twin {
    type Reserved = Reserved;

    fn reserve(self: &Arc<Self>) -> Option<Reserved> {
        // Planted: ChecksThenAdmits, in every twin, as the other models do not close.
        if self.closed.load(Acquire) {
            return None;
        }
        self.admitted.fetch_add(1, Relaxed);
        Some(Reserved(Some(Arc::clone(self))))
    }
    fn finish(mut reserved: Reserved) {
        let twin = reserved.0.take().unwrap();
        twin.completed.fetch_add(1, Relaxed);
        // Planted: RelaxedEnd.
        twin.ended.fetch_add(1, twin.unless(Bug::RelaxedEnd, Release));
    }
    fn detach(mut reserved: Reserved) {
        reserved.0.take().unwrap().detached.fetch_add(1, Release);
    }
    fn record(&self) -> bool {
        let taken = match self.bug {
            // Planted: OutnumbersUnseen.
            Bug::OutnumbersUnseen => {
                let fewer = self.ended.fetch_add(1, Release) < self.admitted.load(Acquire);
                self.ended.fetch_sub(1, Relaxed);
                fewer
            }
            // Planted: ChecksThenTakes.
            Bug::ChecksThenTakes => {
                let some = self.detached.load(Acquire) > 0;
                self.detached.fetch_sub(u64::from(some), AcqRel);
                some
            }
            // Planted in TakesUnseen.
            bug => {
                let ordering = if bug == Bug::TakesUnseen { Relaxed } else { Acquire };
                let taken = self.detached.fetch_sub(1, ordering).cast_signed() > 0;
                self.detached.fetch_add(u64::from(!taken), Relaxed);
                taken
            }
        };
        if taken {
            self.completed.fetch_add(1, Relaxed);
            self.ended.fetch_add(1, Release);
        }
        taken
    }
    fn close(&self) {
        self.closed.store(true, Release);
    }
    fn in_flight(&self) -> u64 {
        if self.bug == Bug::AdmittedFirst {
            // Planted: AdmittedFirst.
            let admitted = self.admitted.load(Acquire);
            return admitted.saturating_sub(self.ended.load(Acquire));
        }
        let ended = self.ended.load(Acquire);
        self.admitted.load(Acquire).saturating_sub(ended)
    }
    fn selectable(&self) -> u64 {
        let ended = self.ended.load(Acquire);
        self.admitted.load(Acquire).wrapping_sub(ended)
    }
    fn completed(&self) -> u64 {
        self.completed.load(Relaxed)
    }
}

/// One task stays reserved while one ends and another is released.
fn a_reserved_task_is_always_counted<A: Account>(account: Arc<A>) {
    let reserved = account.reserve().unwrap();
    let ends = thread::spawn({
        let account = Arc::clone(&account);
        move || account.reserve().map(A::finish)
    });
    let releases = thread::spawn({
        let account = Arc::clone(&account);
        move || drop(account.reserve())
    });
    let seen = account.in_flight();
    assert!((1..=3).contains(&seen), "{seen} in flight while one is reserved");
    ends.join().unwrap();
    releases.join().unwrap();
    assert_eq!(account.in_flight(), 1);
    A::finish(reserved);
    assert_eq!((account.in_flight(), account.completed()), (0, 2));
}

/// One task ends and one is released; the releasing thread sets a flag before.
fn reading_zero_shows_all_ends<A: Account>(account: Arc<A>) {
    let (ends, releases) = (account.reserve().unwrap(), account.reserve().unwrap());
    let flag = Arc::new(AtomicBool::new(false));
    let threads = [
        thread::spawn(move || A::finish(ends)),
        thread::spawn({
            let flag = Arc::clone(&flag);
            move || {
                flag.store(true, Relaxed);
                drop(releases);
            }
        }),
    ];
    if account.in_flight() == 0 {
        assert_eq!(account.completed(), 1, "an end is seen without its outcome");
        assert!(flag.load(Relaxed), "a reservation was released before what its thread did");
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(account.in_flight(), 0);
}

/// A closed worker with nothing in flight ends, while dispatchers try to reserve.
fn a_closed_idle_worker_stays_idle<A: Account>(account: Arc<A>) {
    let ended = Arc::new(AtomicBool::new(false));
    let dispatchers: Vec<_> = (0..2)
        .map(|_| {
            let (account, ended) = (Arc::clone(&account), Arc::clone(&ended));
            thread::spawn(move || {
                if let Some(reserved) = account.reserve() {
                    assert!(!ended.load(Relaxed), "a task was admitted to a worker that has ended");
                    A::finish(reserved);
                }
            })
        })
        .collect();
    account.close();
    assert!(account.reserve().is_none(), "admitted by the thread that closed it");
    if account.in_flight() == 0 {
        ended.store(true, Relaxed);
    }
    dispatchers.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(account.in_flight(), 0);
}

/// Two threads reserve, detach and record by id.
fn a_reserved_task_can_be_recorded<A: Account>(account: Arc<A>) {
    let other = thread::spawn({
        let account = Arc::clone(&account);
        move || {
            A::detach(account.reserve().unwrap());
            assert!(account.record(), "a task in flight could not be recorded");
        }
    });
    A::detach(account.reserve().unwrap());
    assert!(account.record(), "a task in flight could not be recorded");
    other.join().unwrap();
    assert_eq!((account.in_flight(), account.completed()), (0, 2));
}

/// Two threads record the same task.
fn a_task_is_recorded_once<A: Account>(account: Arc<A>) {
    A::detach(account.reserve().unwrap());
    let other = thread::spawn({
        let account = Arc::clone(&account);
        move || account.record()
    });
    let here = account.record();
    let there = other.join().unwrap();
    assert!(here != there, "one task was recorded by both or by neither: {here}");
    A::detach(account.reserve().unwrap());
    assert_eq!(account.in_flight(), 1);
}

/// A thread records what another has detached, without synchronising with it.
fn an_end_by_id_is_seen_with_its_admission<A: Account>(account: Arc<A>) {
    let dispatcher = thread::spawn({
        let account = Arc::clone(&account);
        move || A::detach(account.reserve().unwrap())
    });
    let recording = thread::spawn({
        let account = Arc::clone(&account);
        move || account.record()
    });
    let seen = account.selectable();
    assert!(seen <= 1, "{seen} in flight: an end is seen without its admission");
    dispatcher.join().unwrap();
    let ended = recording.join().unwrap();
    assert_eq!(account.in_flight(), u64::from(!ended));
}

#[test]
fn reserved_tasks_are_counted() {
    explore("a reserved task is always counted", 3, || a_reserved_task_is_always_counted(real()));
}

#[test]
fn reading_admissions_first_loses_a_reserved_task() {
    let model = || a_reserved_task_is_always_counted(Twin::with(Bug::AdmittedFirst));
    fails_with("admissions read first", 2, "0 in flight while one is reserved", model);
}

#[test]
fn a_relaxed_end_hides_its_admission() {
    let model = || a_reserved_task_is_always_counted(Twin::with(Bug::RelaxedEnd));
    fails_with("relaxed end, admission", 2, "0 in flight while one is reserved", model);
}

#[test]
fn idleness_shows_all_ends() {
    let model = || reading_zero_shows_all_ends(real());
    explore("reading 0 shows all ends", 3, model);
}

#[test]
fn a_relaxed_end_hides_its_outcome() {
    let model = || reading_zero_shows_all_ends(Twin::with(Bug::RelaxedEnd));
    fails_with("relaxed end, outcome", 2, "an end is seen without its outcome", model);
}

#[test]
fn a_relaxed_withdrawal_hides_what_came_before() {
    let model = || reading_zero_shows_all_ends(Twin::with(Bug::RelaxedWithdrawal));
    fails_with(
        "relaxed withdrawal",
        2,
        "a reservation was released before what its thread did",
        model,
    );
}

#[test]
fn closed_and_idle_is_final() {
    let model = || a_closed_idle_worker_stays_idle(real());
    explore("a closed idle worker stays idle", 3, model);
}

#[test]
fn a_separate_closed_bit_admits_after_the_end() {
    let model = || a_closed_idle_worker_stays_idle(Twin::with(Bug::ChecksThenAdmits));
    fails_with("separate closed bit", 2, "admitted to a worker that has ended", model);
}

#[test]
fn each_detached_task_can_be_recorded() {
    explore("a reserved task can be recorded", 3, || a_reserved_task_can_be_recorded(real()));
}

#[test]
fn outnumbering_unseen_admissions_refuses_a_record() {
    let model = || a_reserved_task_can_be_recorded(Twin::with(Bug::OutnumbersUnseen));
    fails_with("ends outnumber unseen admissions", 2, "could not be recorded", model);
}

#[test]
fn a_second_record_is_refused() {
    explore("a task is recorded once", 3, || a_task_is_recorded_once(real()));
}

#[test]
fn checking_before_taking_records_twice() {
    let model = || a_task_is_recorded_once(Twin::with(Bug::ChecksThenTakes));
    fails_with("check, then take", 2, "one task was recorded by both", model);
}

#[test]
fn recording_the_task_of_another() {
    let model = || an_end_by_id_is_seen_with_its_admission(real());
    explore("an end by id is seen with its admission", 3, model);
}

#[test]
fn taking_without_acquire_hides_the_admission() {
    let model = || an_end_by_id_is_seen_with_its_admission(Twin::with(Bug::TakesUnseen));
    fails_with("task taken Relaxed", 3, "an end is seen without its admission", model);
}
