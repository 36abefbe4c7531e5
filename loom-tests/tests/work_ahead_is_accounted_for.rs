//! The expected work in flight at a worker always includes a reserved task, never wraps below zero,
//! and is 0 when nothing is in flight.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{
    Completion, Outcome, OwnedReservation, Reservation, Roster, SerialRecorder, Worker,
};
use raddle_loom_tests::{explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{self, Acquire, Relaxed, Release},
};

/// The account of one worker, whose own thread ends tasks that are handed over.
trait Account: Send + Sync + 'static {
    /// A task in flight, released when dropped.
    type Reserved: Send + 'static;
    /// The right to start and end tasks.
    type Thread: 'static;

    fn reserve(self: &Arc<Self>, expected_duration: u64) -> Self::Reserved;
    fn finish(reserved: Self::Reserved);
    fn hand_over(reserved: Self::Reserved);
    fn thread(self: &Arc<Self>) -> Self::Thread;
    /// Starts a task that was handed over.
    fn start(thread: &mut Self::Thread, now: u64, expected_duration: u64);
    fn end(thread: &mut Self::Thread, expected_duration: u64);
    fn in_flight(&self) -> u64;
    /// Returns the sum of the expected durations in flight.
    fn work(&self) -> i64;
    /// Returns the work ahead at this time, as selections read it.
    fn ahead(&self, now: u64) -> u64;
}

fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

impl Account for Roster {
    type Reserved = OwnedReservation;
    type Thread = SerialRecorder;

    fn reserve(self: &Arc<Self>, expected_duration: u64) -> Self::Reserved {
        Reservation::take(only(self), 0, None).unwrap().expecting(expected_duration).into_owned()
    }
    fn finish(reserved: Self::Reserved) {
        reserved.finish(Outcome::Completed, Duration::ZERO);
    }
    fn hand_over(reserved: Self::Reserved) {
        // An owned reservation is handed over by its id.
        reserved.detach();
    }
    fn thread(self: &Arc<Self>) -> SerialRecorder {
        only(self).recorder().unwrap()
    }
    fn start(thread: &mut SerialRecorder, now: u64, expected_duration: u64) {
        thread.start(now);
        thread.set_running(expected_duration);
    }
    fn end(thread: &mut SerialRecorder, expected_duration: u64) {
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

/// A minimal worker with a planted bug.
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
    /// Reads the admitted work before the ended work.
    AdmittedFirst,
    /// Counts ended work without Release: it is seen without its admission.
    RelaxedEnd,
    /// Releases the reservation, and then its work.
    ReservationFirst,
    /// Ends the task, and then its work.
    EndFirst,
    /// Publishes the running task's expected duration without Release: it is seen with another
    /// task's start.
    RelaxedRun,
    /// Clears the running task only after its work has ended.
    RunsOn,
    /// Reads the running task before the ended work.
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

    /// Returns the ordering, or Relaxed if that is the bug.
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

/// A reservation of [`Twin`], with its expected duration.
struct Reserved(Option<Arc<Twin>>, u64);

impl Drop for Reserved {
    fn drop(&mut self) {
        let Some(twin) = &self.0 else { return };
        // Planted: ReservationFirst.
        if twin.bug == Bug::ReservationFirst {
            twin.admitted.fetch_sub(1, Release);
            twin.work_admitted.fetch_sub(self.1, Release);
        } else {
            twin.work_admitted.fetch_sub(self.1, Release);
            twin.admitted.fetch_sub(1, Release);
        }
    }
}

impl Account for Twin {
    type Reserved = Reserved;
    type Thread = Arc<Twin>;

    fn reserve(self: &Arc<Self>, expected_duration: u64) -> Reserved {
        self.admitted.fetch_add(1, Relaxed);
        self.work_admitted.fetch_add(expected_duration, Relaxed);
        Reserved(Some(Arc::clone(self)), expected_duration)
    }
    fn finish(mut reserved: Reserved) {
        reserved.0.take().unwrap().end_one(reserved.1);
    }
    fn hand_over(mut reserved: Reserved) {
        reserved.0 = None;
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

/// A task of 10 stays reserved while one of 1 ends and one of 3 is released.
fn reserved_work_is_always_counted<A: Account>(account: Arc<A>) {
    let reserved = account.reserve(10);
    let ends = thread::spawn({
        let account = Arc::clone(&account);
        move || A::finish(account.reserve(1))
    });
    let releases = thread::spawn({
        let account = Arc::clone(&account);
        move || drop(account.reserve(3))
    });
    let seen = account.work();
    assert!([10, 11, 13, 14].contains(&seen), "{seen} in flight while 10 is reserved");
    ends.join().unwrap();
    releases.join().unwrap();
    assert_eq!(account.work(), 10);
    A::finish(reserved);
    assert_eq!((account.in_flight(), account.work()), (0, 0));
}

/// One task ends and one is released.
fn no_task_in_flight_shows_no_work<A: Account>(account: Arc<A>) {
    let (ends, releases) = (account.reserve(5), account.reserve(7));
    let threads = [thread::spawn(move || A::finish(ends)), thread::spawn(move || drop(releases))];
    if account.in_flight() == 0 {
        assert_eq!(account.work(), 0, "work without a task");
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((account.in_flight(), account.work()), (0, 0));
}

/// The worker has run a task of 100 for 90 and ends it, then starts one of 85.
fn remaining_work_is_never_too_low<A: Account>(account: Arc<A>) {
    let mut worker = account.thread();
    A::hand_over(account.reserve(100));
    A::hand_over(account.reserve(85));
    A::start(&mut worker, 10, 100);
    let reader = thread::spawn({
        let account = Arc::clone(&account);
        move || {
            let seen = account.ahead(100);
            // 10 of the first plus 85, then 85. Ended work may still be counted.
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

/// The work of a task moves to another worker, while a thread reads both.
fn moving_work_is_always_counted(moves: fn(&mut SerialRecorder, &Worker)) {
    let roster = roster(2);
    let [victim, thief] = [0, 1].map(|position| Arc::clone(&roster.members()[position].worker));
    let _ = Reservation::take(&victim, 0, None).unwrap().expecting(DURATION).hand_over();
    let mut recorder = thief.recorder().unwrap();
    let reader = thread::spawn({
        let (victim, thief) = (Arc::clone(&victim), Arc::clone(&thief));
        move || {
            // In the direction of the move.
            let seen = victim.stats().work_in_flight() + thief.stats().work_in_flight();
            assert!(seen >= DURATION as i64, "{seen} in flight at the two of {DURATION}");
        }
    });
    moves(&mut recorder, &victim);
    reader.join().unwrap();
    let work = [victim, thief].map(|worker| worker.stats().work_in_flight());
    assert_eq!(work, [0, DURATION as i64]);
}

const DURATION: u64 = 10;

#[test]
fn moving_work_is_counted() {
    explore("work that moves is always counted", 3, || {
        moving_work_is_always_counted(|thief, victim| thief.adopt_work(victim, DURATION));
    });
}

#[test]
fn withdrawing_work_before_adopting_it_leaves_it_uncounted() {
    fails_with("withdraws work first", 2, "0 in flight at the two", || {
        moving_work_is_always_counted(|thief, victim| {
            // Planted: between the two steps, the work is counted nowhere.
            victim.withdraw_work_of(DURATION);
            let _ =
                Reservation::take(thief.worker(), 0, None).unwrap().expecting(DURATION).hand_over();
        });
    });
}

#[test]
fn reserved_work_is_counted() {
    explore("reserved work is always counted", 3, || reserved_work_is_always_counted(real()));
}

#[test]
fn reading_admitted_work_first_loses_reserved_work() {
    let model = || reserved_work_is_always_counted(Twin::with(Bug::AdmittedFirst));
    fails_with("admitted work read first", 2, "in flight while 10 is reserved", model);
}

#[test]
fn a_relaxed_end_hides_its_admitted_work() {
    let model = || reserved_work_is_always_counted(Twin::with(Bug::RelaxedEnd));
    fails_with("relaxed end of work", 2, "in flight while 10 is reserved", model);
}

#[test]
fn idleness_shows_no_work() {
    explore("no task in flight shows no work", 3, || no_task_in_flight_shows_no_work(real()));
}

#[test]
fn releasing_before_withdrawing_work_leaves_work() {
    let model = || no_task_in_flight_shows_no_work(Twin::with(Bug::ReservationFirst));
    fails_with("reservation before work", 2, "work without a task", model);
}

#[test]
fn ending_before_withdrawing_work_leaves_work() {
    let model = || no_task_in_flight_shows_no_work(Twin::with(Bug::EndFirst));
    fails_with("end before work", 2, "work without a task", model);
}

#[test]
fn remaining_work_belongs_to_the_running_task() {
    explore("remaining work is never too low", 3, || remaining_work_is_never_too_low(real()));
}

#[test]
fn running_work_without_its_start_counts_as_done() {
    let model = || remaining_work_is_never_too_low(Twin::with(Bug::RelaxedRun));
    fails_with("running work without its start", 3, "ahead", model);
}

#[test]
fn reading_the_running_task_first_reads_an_ended_one() {
    let model = || remaining_work_is_never_too_low(Twin::with(Bug::RunningFirst));
    fails_with("running task read first", 3, "ahead", model);
}

#[test]
fn an_ended_task_that_keeps_running_subtracts_from_the_next() {
    let model = || remaining_work_is_never_too_low(Twin::with(Bug::RunsOn));
    fails_with("keeps running", 3, "ahead", model);
}
