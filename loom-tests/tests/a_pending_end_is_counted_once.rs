//! A worker's thread keeps ends pending, and publishes them with a later one or when it goes idle.
//! Reports see each end immediately, selections see none too early, neither sees an end twice or
//! without its task, and a worker whose idle bit was cleared meanwhile is found again.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::internal::WorkerInternals;
use raddle_core::{Completion, Reservation, Roster, SerialRecorder, Worker};
use raddle_loom_tests::{completed, explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release},
};

/// The account of one worker, whose thread keeps ends pending.
trait Account: Sized + Send + Sync + 'static {
    type SerialRecorder;

    fn new() -> Arc<Self>;
    /// Returns the right to end tasks, unless another thread has it.
    fn recorder(self: &Arc<Self>) -> Option<Self::SerialRecorder>;
    /// Admits a task, which the worker's thread will end.
    fn admit(&self);
    /// Withdraws an admitted task.
    fn withdraw(&self);
    /// Ends a task at this time. The end is kept pending within [`DELAY`] of a published one.
    fn end(recorder: &mut Self::SerialRecorder, at: u64);
    fn mark_idle(recorder: &mut Self::SerialRecorder);
    /// Returns the tasks in flight, as reports read them.
    fn reported(&self) -> u64;
    /// Returns the tasks in flight, as selections read them: not clamped at 0.
    fn selectable(&self) -> u64;
    fn completed(&self) -> u64;
    /// Searches for an idle worker; returns `true` if this one was found.
    fn find(&self) -> bool;
}

/// How long ends may stay pending.
const DELAY: u64 = 10;
/// The time of an end that is published, as none was before.
const FIRST: u64 = 1_000;
/// The time of an end that is kept pending after that.
const SOON: u64 = FIRST + DELAY / 2;
/// The time of an end that is published along with the pending ones.
const LATER: u64 = FIRST + DELAY;

/// The only worker of a roster.
fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

impl Account for Roster {
    type SerialRecorder = SerialRecorder;

    fn new() -> Arc<Self> {
        Arc::new(roster(1))
    }
    fn recorder(self: &Arc<Self>) -> Option<SerialRecorder> {
        let mut recorder = only(self).recorder()?;
        recorder.publish_within(Duration::from_nanos(DELAY));
        Some(recorder)
    }
    fn admit(&self) {
        let _ = Reservation::take(only(self), 0, None).unwrap().hand_over();
    }
    fn withdraw(&self) {
        only(self).withdraw();
    }
    fn end(recorder: &mut SerialRecorder, at: u64) {
        recorder.end(&Completion { at, ..completed() });
    }
    fn mark_idle(recorder: &mut SerialRecorder) {
        recorder.mark_idle(LATER);
    }
    fn reported(&self) -> u64 {
        only(self).stats().in_flight()
    }
    fn selectable(&self) -> u64 {
        self.candidates(None).signals().next().unwrap().in_flight()
    }
    fn completed(&self) -> u64 {
        only(self).stats().counts().completed
    }
    fn find(&self) -> bool {
        self.candidates(None).find_idle(7, |_, _, _| true).is_some()
    }
}

/// The same protocol on its own, with a planted bug or [none](NO_BUG).
struct Twin<const BUG: u8> {
    admitted: AtomicU64,
    ended: AtomicU64,
    /// All ends up to the last pending one; with some bugs, only the pending ones.
    reported: AtomicU64,
    completed: AtomicU64,
    unlisted: AtomicBool,
    bit: AtomicBool,
    recorder_taken: AtomicBool,
}

const NO_BUG: u8 = 0;
/// Pending ends are counted separately, and subtracted before they are published.
const SUBTRACTS_FIRST: u8 = 1;
/// Pending ends are counted separately, and subtracted after they are published.
const PUBLISHES_FIRST: u8 = 2;
/// Like [`PUBLISHES_FIRST`], and reports read the pending ends before the published ones.
const READS_PENDING_FIRST: u8 = 3;
/// Ends are published without Release.
const PUBLISHES_RELAXED: u8 = 4;
/// A pending end is stored without Release.
const PENDING_RELAXED: u8 = 5;
/// Reports read only the published ends.
const READS_ONLY_PUBLISHED: u8 = 6;
/// The admitted tasks are read before the ended ones.
const READS_ADMITTED_FIRST: u8 = 7;
/// The worker goes idle without publishing.
const IDLE_UNPUBLISHED: u8 = 8;
/// The worker sets its idle bit before it publishes.
const IDLE_BEFORE_PUBLISHING: u8 = 9;
/// The recorder is returned before its pending ends are published.
const RETURNS_FIRST: u8 = 10;

impl<const BUG: u8> Twin<BUG> {
    const COUNTS_SEPARATELY: bool =
        matches!(BUG, SUBTRACTS_FIRST | PUBLISHES_FIRST | READS_PENDING_FIRST);

    fn admitted_minus(&self, ended: impl FnOnce() -> u64) -> u64 {
        // Planted: a task that starts and ends in between is subtracted without having been
        // counted.
        let early = (BUG == READS_ADMITTED_FIRST).then(|| self.admitted.load(Acquire));
        let ended = ended();
        early.unwrap_or_else(|| self.admitted.load(Acquire)).wrapping_sub(ended)
    }

    fn list_if_idle(&self) {
        let admitted = self.admitted.fetch_add(0, AcqRel);
        if self.unlisted.load(Relaxed)
            && self.ended.load(Acquire) == admitted
            && self.unlisted.compare_exchange(true, false, Acquire, Relaxed).is_ok()
        {
            self.bit.swap(true, Release);
        }
    }

    fn unlist(&self) {
        if self.bit.swap(false, Acquire) {
            self.unlisted.store(true, Release);
            self.list_if_idle();
        }
    }
}

/// Returns the ordering, or Relaxed if that is the bug.
fn unless(bug: bool, ordering: Ordering) -> Ordering {
    if bug { Relaxed } else { ordering }
}

struct TwinRecorder<const BUG: u8> {
    twin: Arc<Twin<BUG>>,
    published_at: u64,
    pending: u64,
}

impl<const BUG: u8> TwinRecorder<BUG> {
    fn publish(&mut self, more: u64) {
        let twin = &self.twin;
        // Planted: for a moment, an end that was reported is counted nowhere.
        if BUG == SUBTRACTS_FIRST {
            twin.reported.store(0, Relaxed);
        }
        let ended = twin.ended.load(Relaxed) + self.pending + more;
        // Planted: the ends are seen without their admissions and outcomes.
        twin.ended.store(ended, unless(BUG == PUBLISHES_RELAXED, Release));
        // Planted: for a moment, pending ends are also counted as published.
        if matches!(BUG, PUBLISHES_FIRST | READS_PENDING_FIRST) {
            twin.reported.store(0, Release);
        }
        self.pending = 0;
    }
}

impl<const BUG: u8> Drop for TwinRecorder<BUG> {
    fn drop(&mut self) {
        if BUG != RETURNS_FIRST {
            self.publish(0);
        }
        self.twin.recorder_taken.store(false, Release);
        // Planted: another thread may write the same word.
        if BUG == RETURNS_FIRST {
            self.publish(0);
        }
        self.twin.bit.swap(true, Release);
    }
}

impl<const BUG: u8> Account for Twin<BUG> {
    type SerialRecorder = TwinRecorder<BUG>;

    fn new() -> Arc<Self> {
        Arc::new(Self {
            admitted: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            unlisted: AtomicBool::new(false),
            bit: AtomicBool::new(true),
            recorder_taken: AtomicBool::new(false),
        })
    }
    fn recorder(self: &Arc<Self>) -> Option<TwinRecorder<BUG>> {
        let taken = self.recorder_taken.swap(true, AcqRel);
        (!taken).then(|| TwinRecorder { twin: Arc::clone(self), published_at: 0, pending: 0 })
    }
    fn admit(&self) {
        self.admitted.fetch_add(1, Acquire);
    }
    fn withdraw(&self) {
        self.admitted.fetch_sub(1, AcqRel);
        if self.unlisted.load(Relaxed) {
            self.list_if_idle();
        }
    }
    fn end(recorder: &mut TwinRecorder<BUG>, at: u64) {
        let completed = &recorder.twin.completed;
        completed.store(completed.load(Relaxed) + 1, Relaxed);
        if at - recorder.published_at >= DELAY {
            recorder.publish(1);
            recorder.published_at = at;
            return;
        }
        recorder.pending += 1;
        let twin = &recorder.twin;
        let before = if Self::COUNTS_SEPARATELY { 0 } else { twin.ended.load(Relaxed) };
        // Planted: the end is seen without its admission and outcome.
        let ordering = unless(BUG == PENDING_RELAXED, Release);
        twin.reported.store(before + recorder.pending, ordering);
    }
    fn mark_idle(recorder: &mut TwinRecorder<BUG>) {
        if BUG != IDLE_UNPUBLISHED && BUG != IDLE_BEFORE_PUBLISHING {
            recorder.publish(0);
        }
        recorder.published_at = 0;
        // Planted: it misses its pending ends here, and no one checks later.
        recorder.twin.list_if_idle();
        if BUG == IDLE_BEFORE_PUBLISHING {
            recorder.publish(0);
        }
    }
    fn reported(&self) -> u64 {
        let (ended, pending) = (|| self.ended.load(Acquire), || self.reported.load(Acquire));
        let in_flight = self.admitted_minus(|| match BUG {
            SUBTRACTS_FIRST | PUBLISHES_FIRST => ended() + pending(),
            // Planted: an end published between the two reads is subtracted twice.
            READS_PENDING_FIRST => pending() + ended(),
            // Planted: pending ends still count as in flight.
            READS_ONLY_PUBLISHED => ended(),
            _ => ended().max(pending()),
        });
        in_flight.cast_signed().max(0).cast_unsigned()
    }
    fn selectable(&self) -> u64 {
        self.admitted_minus(|| self.ended.load(Acquire))
    }
    fn completed(&self) -> u64 {
        self.completed.load(Relaxed)
    }
    fn find(&self) -> bool {
        if !self.bit.load(Relaxed) {
            return false;
        }
        let idle = self.selectable() == 0;
        if !idle {
            self.unlist();
        }
        idle
    }
}

/// How a thread reads the tasks in flight: as a report or as a selection.
type Read<A> = fn(&A) -> u64;

/// One task stays unfinished while others arrive and end: one end is published, one pending, and
/// one published with it.
fn an_unfinished_task_is_always_counted<A: Account>(read: Read<A>) {
    let account = A::new();
    let mut recorder = account.recorder().unwrap();
    (0..2).for_each(|_| account.admit());
    let dispatcher = thread::spawn({
        let account = Arc::clone(&account);
        move || (0..2).for_each(|_| account.admit())
    });
    let reader = thread::spawn({
        let account = Arc::clone(&account);
        move || {
            let seen = read(&account);
            assert!((1..=4).contains(&seen), "{seen} in flight while one is unfinished");
        }
    });
    A::end(&mut recorder, FIRST);
    // Like a channel would: the worker's thread now has the tasks, and the reader does not know.
    dispatcher.join().unwrap();
    A::end(&mut recorder, SOON);
    assert_eq!(account.reported(), 2, "the report does not match the tasks in flight");
    A::end(&mut recorder, LATER);
    reader.join().unwrap();
    assert_eq!((account.reported(), account.selectable()), (1, 1));
    A::end(&mut recorder, LATER + 1);
    A::mark_idle(&mut recorder);
    assert_eq!((account.reported(), account.selectable()), (0, 0), "in flight at the end");
    assert_eq!(account.completed(), 4);
}

/// Two tasks end, one of them pending until the worker goes idle.
fn reading_zero_shows_all_ends<A: Account>(read: Read<A>) {
    let account = A::new();
    let mut recorder = account.recorder().unwrap();
    (0..2).for_each(|_| account.admit());
    let reader = thread::spawn({
        let account = Arc::clone(&account);
        move || {
            if read(&account) == 0 {
                assert_eq!(account.completed(), 2, "{UNSEEN}");
                assert_eq!(account.reported(), 0, "{DISAPPEARED}");
            }
        }
    });
    A::end(&mut recorder, FIRST);
    A::end(&mut recorder, SOON);
    A::mark_idle(&mut recorder);
    reader.join().unwrap();
    assert_eq!((account.reported(), account.selectable()), (0, 0), "in flight at the end");
}

/// The worker's thread goes idle after a pending end, while callers search and one withdraws a
/// task.
fn an_idle_worker_is_found<A: Account>(callers: usize, withdraws: bool) {
    let account = A::new();
    let mut recorder = account.recorder().unwrap();
    (0..2).for_each(|_| account.admit());
    let mut threads: Vec<_> = (0..callers)
        .map(|_| {
            let account = Arc::clone(&account);
            thread::spawn(move || _ = account.find())
        })
        .collect();
    if withdraws {
        account.admit();
        let account = Arc::clone(&account);
        threads.push(thread::spawn(move || account.withdraw()));
    }
    A::end(&mut recorder, FIRST);
    A::end(&mut recorder, SOON);
    A::mark_idle(&mut recorder);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(account.find(), "idle but not found");
    assert_eq!((account.reported(), account.selectable()), (0, 0), "in flight at the end");
}

/// The recorder passes from one thread, which has a pending end, to another, which ends a task.
fn pending_ends_are_published_by_their_recorder<A: Account>() {
    let account = A::new();
    let mut recorder = account.recorder().unwrap();
    (0..3).for_each(|_| account.admit());
    let next = thread::spawn({
        let account = Arc::clone(&account);
        move || {
            let recorder = account.recorder();
            recorder.map(|mut recorder| A::end(&mut recorder, FIRST)).is_some()
        }
    });
    A::end(&mut recorder, FIRST);
    A::end(&mut recorder, SOON);
    drop(recorder);
    let in_flight = u64::from(!next.join().unwrap());
    let seen = (account.reported(), account.selectable());
    assert_eq!(seen, (in_flight, in_flight), "an end was lost");
}

fn readers<A: Account>() -> [(&'static str, Read<A>); 2] {
    [("report", A::reported), ("selection", A::selectable)]
}

const UNFINISHED: &str = "in flight while one is unfinished";
const UNSEEN: &str = "an end is seen without its outcome";
const DISAPPEARED: &str = "an end was seen and then disappeared";
const LOST: &str = "idle but not found";

#[test]
fn unfinished_tasks_are_counted() {
    let model = || an_unfinished_task_is_always_counted::<Roster>(Roster::reported);
    explore("pending: an unfinished task is always reported", 3, model);
    let model = || an_unfinished_task_is_always_counted::<Twin<NO_BUG>>(Twin::reported);
    explore("pending: an unfinished task is always reported, the protocol alone", 3, model);
    let model = || an_unfinished_task_is_always_counted::<Roster>(Roster::selectable);
    explore("pending: an unfinished task is always seen by selections", 3, model);
}

#[test]
fn idleness_shows_all_ends() {
    let model = || reading_zero_shows_all_ends::<Roster>(Roster::reported);
    explore("pending: a report of 0 shows all ends", 3, model);
    let model = || reading_zero_shows_all_ends::<Roster>(Roster::selectable);
    explore("pending: a selection of 0 shows all ends", 3, model);
    let model = || reading_zero_shows_all_ends::<Twin<NO_BUG>>(Twin::reported);
    explore("pending: a report of 0 shows all ends, the protocol alone", 3, model);
}

#[test]
fn a_worker_that_goes_idle_is_found() {
    explore("pending: goes idle", 3, || an_idle_worker_is_found::<Roster>(1, false));
    let twin = || an_idle_worker_is_found::<Twin<NO_BUG>>(1, false);
    explore("pending: goes idle, the protocol alone", 3, twin);
}

#[test]
fn a_worker_that_goes_idle_during_a_withdrawal_is_found() {
    explore("pending: goes idle and withdraws", 2, || an_idle_worker_is_found::<Roster>(1, true));
    let twin = || an_idle_worker_is_found::<Twin<NO_BUG>>(1, true);
    explore("pending: goes idle and withdraws, the protocol alone", 3, twin);
}

#[test]
fn a_worker_with_two_callers_is_found() {
    explore("pending: two callers", 2, || an_idle_worker_is_found::<Roster>(2, false));
}

#[test]
fn a_returned_recorder_has_published_its_ends() {
    let model = pending_ends_are_published_by_their_recorder::<Roster>;
    explore("pending: returns the recorder", 3, model);
    let twin = pending_ends_are_published_by_their_recorder::<Twin<NO_BUG>>;
    explore("pending: returns the recorder, the protocol alone", 3, twin);
}

#[test]
fn subtracting_before_publishing_hides_an_end() {
    let model = || reading_zero_shows_all_ends::<Twin<SUBTRACTS_FIRST>>(Twin::reported);
    fails_with("subtracts first", 2, DISAPPEARED, model);
}

#[test]
fn publishing_before_subtracting_counts_twice() {
    let model = || an_unfinished_task_is_always_counted::<Twin<PUBLISHES_FIRST>>(Twin::reported);
    fails_with("publishes first", 2, UNFINISHED, model);
}

#[test]
fn publishing_relaxed_hides_admissions_and_outcomes() {
    for (reader, read) in readers::<Twin<PUBLISHES_RELAXED>>() {
        let model = move || an_unfinished_task_is_always_counted(read);
        let name = format!("publishes Relaxed, admission, {reader}");
        fails_with(&name, 2, UNFINISHED, model);
    }
    let model = || reading_zero_shows_all_ends::<Twin<PUBLISHES_RELAXED>>(Twin::selectable);
    fails_with("publishes Relaxed, outcome", 2, UNSEEN, model);
}

#[test]
fn pending_relaxed_hides_admissions_and_outcomes() {
    let model = || an_unfinished_task_is_always_counted::<Twin<PENDING_RELAXED>>(Twin::reported);
    fails_with("pending Relaxed, admission", 2, UNFINISHED, model);
    let model = || reading_zero_shows_all_ends::<Twin<PENDING_RELAXED>>(Twin::reported);
    fails_with("pending Relaxed, outcome", 2, UNSEEN, model);
}

#[test]
fn reading_pending_first_counts_twice() {
    let model =
        || an_unfinished_task_is_always_counted::<Twin<READS_PENDING_FIRST>>(Twin::reported);
    fails_with("reads pending first", 2, UNFINISHED, model);
}

#[test]
fn reading_only_published_misses_pending_ends() {
    let model =
        || an_unfinished_task_is_always_counted::<Twin<READS_ONLY_PUBLISHED>>(Twin::reported);
    fails_with("reads only published", 2, "the report does not match the tasks in flight", model);
}

#[test]
fn reading_admissions_first_loses_an_unfinished_task() {
    for (reader, read) in readers::<Twin<READS_ADMITTED_FIRST>>() {
        let model = move || an_unfinished_task_is_always_counted(read);
        fails_with(&format!("reads admitted first, {reader}"), 2, UNFINISHED, model);
    }
}

#[test]
fn going_idle_without_publishing_loses_the_worker() {
    fails_with("goes idle unpublished", 2, LOST, || {
        an_idle_worker_is_found::<Twin<IDLE_UNPUBLISHED>>(1, false);
    });
}

#[test]
fn going_idle_before_publishing_loses_the_worker() {
    fails_with("goes idle before publishing", 2, LOST, || {
        an_idle_worker_is_found::<Twin<IDLE_BEFORE_PUBLISHING>>(1, false);
    });
}

#[test]
fn returning_the_recorder_before_publishing_loses_an_end() {
    let twin = pending_ends_are_published_by_their_recorder::<Twin<RETURNS_FIRST>>;
    fails_with("returns the recorder first", 3, "an end was lost", twin);
}
