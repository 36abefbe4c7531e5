//! The sizes of what is in flight at a worker are never too little for a task that is held, never
//! wrap below zero, and are nothing when nothing is in flight.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{Completion, Outcome, OwnedReservation, Recorder, Reservation, Roster, Worker};
use raddle_loom_tests::{explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{self, Acquire, Relaxed, Release},
};

/// The account of one worker, whose own thread ends one kind of its tasks.
trait Account: Send + Sync + 'static {
    /// A task in flight; dropped, it is given back.
    type Place: Send + 'static;
    /// The right to start and end tasks.
    type Thread: 'static;

    fn reserve(self: &Arc<Self>, expected_duration: u64) -> Self::Place;
    fn finish(place: Self::Place);
    fn hand_over(place: Self::Place);
    fn thread(self: &Arc<Self>) -> Self::Thread;
    /// Starts a handed over task of this size.
    fn start(thread: &mut Self::Thread, now: u64, expected_duration: u64);
    fn end(thread: &mut Self::Thread, expected_duration: u64);
    fn in_flight(&self) -> u64;
    /// The sizes in flight.
    fn work(&self) -> i64;
    /// The work ahead at this time, as a selection reads it.
    fn ahead(&self, now: u64) -> u64;
}

fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

/// The account of a roster's only worker.
impl Account for Roster {
    type Place = OwnedReservation;
    type Thread = Recorder;

    fn reserve(self: &Arc<Self>, expected_duration: u64) -> Self::Place {
        Reservation::take(only(self), 0, None).unwrap().expecting(expected_duration).into_owned()
    }
    fn finish(place: Self::Place) {
        place.finish(Outcome::Completed, Duration::ZERO);
    }
    fn hand_over(place: Self::Place) {
        // An owned one is handed over by its id.
        place.detach();
    }
    fn thread(self: &Arc<Self>) -> Recorder {
        only(self).recorder().unwrap()
    }
    fn start(thread: &mut Recorder, now: u64, expected_duration: u64) {
        thread.start(now);
        thread.set_running(expected_duration);
    }
    fn end(thread: &mut Recorder, expected_duration: u64) {
        thread.end(&Completion { expected_duration, ..Completion::new(Outcome::Completed) });
    }
    fn in_flight(&self) -> u64 {
        only(self).stats().in_flight()
    }
    fn work(&self) -> i64 {
        only(self).stats().work_in_flight()
    }
    fn ahead(&self, now: u64) -> u64 {
        self.candidates(None).signals().next().unwrap().work_ahead(now, None)
    }
}

fn real() -> Arc<Roster> {
    Arc::new(roster(1))
}

/// A minimal worker with a bug planted.
struct Twin {
    bug: Bug,
    admitted: AtomicU64,
    ended: AtomicU64,
    work_admitted: AtomicU64,
    work_ended: AtomicU64,
    since: AtomicU64,
    running: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Reads the admitted sizes before those that have ended.
    AdmittedFirst,
    /// Counts the size of an end without Release: it is seen without its admission.
    RelaxedEnd,
    /// Gives the place back, and then its size.
    PlaceFirst,
    /// Ends the task, and then its size.
    EndFirst,
    /// Tells a running task's size without Release: it is seen with another one's start.
    RelaxedRun,
    /// Says that no task runs only after the sizes say that it has ended.
    RunsOn,
    /// Reads what is run before what has ended.
    RunningFirst,
}

impl Twin {
    fn with(bug: Bug) -> Arc<Self> {
        let word = || AtomicU64::new(0);
        Arc::new(Self {
            bug,
            admitted: word(),
            ended: word(),
            work_admitted: word(),
            work_ended: word(),
            since: word(),
            running: word(),
        })
    }

    /// The ordering, or Relaxed where that is the bug.
    fn unless(&self, bug: Bug, ordering: Ordering) -> Ordering {
        if self.bug == bug { Relaxed } else { ordering }
    }

    fn end_one(&self, expected_duration: u64) {
        let work = || {
            // Planted: RelaxedEnd.
            self.work_ended.fetch_add(expected_duration, self.unless(Bug::RelaxedEnd, Release));
        };
        // Planted: EndFirst.
        if self.bug != Bug::EndFirst {
            work();
        }
        self.ended.fetch_add(1, Release);
        if self.bug == Bug::EndFirst {
            work();
        }
    }
}

/// What [`Twin::reserve`] gives, with its size.
struct Place(Option<Arc<Twin>>, u64);

impl Drop for Place {
    fn drop(&mut self) {
        let Some(twin) = &self.0 else { return };
        // Planted: PlaceFirst.
        if twin.bug == Bug::PlaceFirst {
            twin.admitted.fetch_sub(1, Release);
            twin.work_admitted.fetch_sub(self.1, Release);
        } else {
            twin.work_admitted.fetch_sub(self.1, Release);
            twin.admitted.fetch_sub(1, Release);
        }
    }
}

impl Account for Twin {
    type Place = Place;
    type Thread = Arc<Twin>;

    fn reserve(self: &Arc<Self>, expected_duration: u64) -> Place {
        self.admitted.fetch_add(1, Relaxed);
        self.work_admitted.fetch_add(expected_duration, Relaxed);
        Place(Some(Arc::clone(self)), expected_duration)
    }
    fn finish(mut place: Place) {
        place.0.take().unwrap().end_one(place.1);
    }
    fn hand_over(mut place: Place) {
        place.0 = None;
    }
    fn thread(self: &Arc<Self>) -> Arc<Twin> {
        Arc::clone(self)
    }
    fn start(twin: &mut Arc<Twin>, now: u64, expected_duration: u64) {
        twin.since.store(now, Relaxed);
        // Planted: RelaxedRun.
        twin.running.store(expected_duration, twin.unless(Bug::RelaxedRun, Release));
    }
    fn end(twin: &mut Arc<Twin>, expected_duration: u64) {
        // Planted: RunsOn.
        if twin.bug != Bug::RunsOn {
            twin.running.store(0, Relaxed);
        }
        twin.end_one(expected_duration);
        twin.running.store(0, Relaxed);
    }
    fn in_flight(&self) -> u64 {
        let ended = self.ended.load(Acquire);
        self.admitted.load(Acquire).saturating_sub(ended)
    }
    fn work(&self) -> i64 {
        if self.bug == Bug::AdmittedFirst {
            // Planted: AdmittedFirst.
            let admitted = self.work_admitted.load(Acquire);
            return admitted.wrapping_sub(self.work_ended.load(Acquire)).cast_signed();
        }
        let ended = self.work_ended.load(Acquire);
        self.work_admitted.load(Acquire).wrapping_sub(ended).cast_signed()
    }
    fn ahead(&self, now: u64) -> u64 {
        if self.in_flight() == 0 {
            return 0;
        }
        let early = self.running.load(Acquire);
        let total = self.work().max(0).cast_unsigned();
        let late = self.running.load(Acquire);
        // Planted: RunningFirst.
        match if self.bug == Bug::RunningFirst { early } else { late } {
            0 => total,
            running => {
                let elapsed = now - self.since.load(Relaxed);
                total.saturating_sub(running) + elapsed.abs_diff(running)
            }
        }
    }
}

/// A task of 10 is held while one of 1 ends and one of 3 is given back.
fn a_held_size_is_always_counted<A: Account>(account: Arc<A>) {
    let held = account.reserve(10);
    let ends = thread::spawn({
        let account = Arc::clone(&account);
        move || A::finish(account.reserve(1))
    });
    let gives_back = thread::spawn({
        let account = Arc::clone(&account);
        move || drop(account.reserve(3))
    });
    let seen = account.work();
    assert!([10, 11, 13, 14].contains(&seen), "{seen} in flight while 10 is held");
    ends.join().unwrap();
    gives_back.join().unwrap();
    assert_eq!(account.work(), 10);
    A::finish(held);
    assert_eq!((account.in_flight(), account.work()), (0, 0));
}

/// One task ends and one is given back.
fn who_sees_no_task_sees_no_work<A: Account>(account: Arc<A>) {
    let (ends, gives_back) = (account.reserve(5), account.reserve(7));
    let threads = [thread::spawn(move || A::finish(ends)), thread::spawn(move || drop(gives_back))];
    if account.in_flight() == 0 {
        assert_eq!(account.work(), 0, "work without a task");
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((account.in_flight(), account.work()), (0, 0));
}

/// The worker has run a task of 100 for 90 and ends it, then starts one of 85. The time is told
/// with the start.
fn what_is_left_is_never_too_little<A: Account>(account: Arc<A>) {
    let mut worker = account.thread();
    A::hand_over(account.reserve(100));
    A::hand_over(account.reserve(85));
    A::start(&mut worker, 10, 100);
    let reader = thread::spawn({
        let account = Arc::clone(&account);
        move || {
            let seen = account.ahead(100);
            // 10 of the first and 85, then 85. What has ended may still be counted.
            assert!((85..=185).contains(&seen), "{seen} ahead");
        }
    });
    A::end(&mut worker, 100);
    A::start(&mut worker, 100, 85);
    reader.join().unwrap();
    assert_eq!(account.ahead(110), 75);
    A::end(&mut worker, 85);
    assert_eq!((account.ahead(110), account.work()), (0, 0));
}

/// A task's size becomes another worker's, while that is watched.
fn a_size_that_moves_is_always_counted(moves: fn(&mut Recorder, &Worker)) {
    let roster = roster(2);
    let [victim, thief] = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let _ = Reservation::take(&victim, 0, None).unwrap().expecting(SIZE).hand_over();
    let mut recorder = thief.recorder().unwrap();
    let watching = thread::spawn({
        let (victim, thief) = (Arc::clone(&victim), Arc::clone(&thief));
        move || {
            // In the order in which it moves.
            let seen = victim.stats().work_in_flight() + thief.stats().work_in_flight();
            assert!(seen >= SIZE as i64, "{seen} in flight at the two of {SIZE}");
        }
    });
    moves(&mut recorder, &victim);
    watching.join().unwrap();
    let sizes = [victim, thief].map(|worker| worker.stats().work_in_flight());
    assert_eq!(sizes, [0, SIZE as i64]);
}

const SIZE: u64 = 10;

#[test]
fn sizes_that_move_are_counted() {
    explore("a expected_duration that moves is always counted", 3, || {
        a_size_that_moves_is_always_counted(|thief, victim| thief.adopt_work(victim, SIZE));
    });
}

#[test]
fn giving_a_size_up_before_it_is_adopted() {
    fails_with("gives a expected_duration up first", 2, "0 in flight at the two", || {
        a_size_that_moves_is_always_counted(|thief, victim| {
            // Planted: between the two, the size is nobody's. It is added by a place that is left.
            victim.withdraw_work_of(SIZE);
            let _ = Reservation::take(thief.worker(), 0, None).unwrap().expecting(SIZE).hand_over();
        });
    });
}

#[test]
fn held_sizes_are_counted() {
    explore("a held expected_duration is always counted", 3, || {
        a_held_size_is_always_counted(real())
    });
}

#[test]
fn reading_admitted_sizes_first_loses_a_held_one() {
    let model = || a_held_size_is_always_counted(Twin::with(Bug::AdmittedFirst));
    fails_with("admitted sizes read first", 2, "in flight while 10 is held", model);
}

#[test]
fn a_relaxed_end_hides_its_admitted_size() {
    let model = || a_held_size_is_always_counted(Twin::with(Bug::RelaxedEnd));
    fails_with("relaxed end of a expected_duration", 2, "in flight while 10 is held", model);
}

#[test]
fn idleness_shows_no_work() {
    explore("who sees no task sees no work", 3, || who_sees_no_task_sees_no_work(real()));
}

#[test]
fn a_place_given_back_before_its_size_leaves_work() {
    let model = || who_sees_no_task_sees_no_work(Twin::with(Bug::PlaceFirst));
    fails_with("place before expected_duration", 2, "work without a task", model);
}

#[test]
fn an_end_before_its_size_leaves_work() {
    let model = || who_sees_no_task_sees_no_work(Twin::with(Bug::EndFirst));
    fails_with("end before expected_duration", 2, "work without a task", model);
}

#[test]
fn what_is_left_of_the_running_task_is_of_that_task() {
    explore("what is left is never too little", 3, || what_is_left_is_never_too_little(real()));
}

#[test]
fn a_size_without_its_start_is_taken_for_done() {
    let model = || what_is_left_is_never_too_little(Twin::with(Bug::RelaxedRun));
    fails_with("expected_duration without its start", 3, "ahead", model);
}

#[test]
fn reading_what_is_run_first_takes_an_ended_task_for_it() {
    let model = || what_is_left_is_never_too_little(Twin::with(Bug::RunningFirst));
    fails_with("running task read first", 3, "ahead", model);
}

#[test]
fn an_ended_task_that_runs_on_takes_from_the_next() {
    let model = || what_is_left_is_never_too_little(Twin::with(Bug::RunsOn));
    fails_with("runs on", 3, "ahead", model);
}
