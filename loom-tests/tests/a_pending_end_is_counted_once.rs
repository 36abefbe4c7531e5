//! A worker's thread keeps ends pending and publishes them with a later one, or when it rests: who
//! reports sees each end at once, who selects sees none too early, neither sees an end twice or
//! without its task, and a worker that was taken off the list of the idle meanwhile is found again.
#![cfg(loom)]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;
use raddle_core::internal::WorkerInternals;
use raddle_core::{Completion, Recorder, Reservation, Roster, Worker};
use raddle_loom_tests::{completed, explore, fails_with, roster};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release},
};

/// The account of one worker, whose thread keeps ends pending.
trait Account: Sized + Send + Sync + 'static {
    type Recorder;

    fn new() -> Arc<Self>;
    /// The right to end tasks, unless another thread has it.
    fn recorder(self: &Arc<Self>) -> Option<Self::Recorder>;
    /// Leaves a task to the worker's thread.
    fn admit(&self);
    /// Takes one back that it was not left.
    fn withdraw(&self);
    /// Ends a task at this time: kept pending within [`DELAY`] of one that was published.
    fn end(recorder: &mut Self::Recorder, at: u64);
    fn mark_idle(recorder: &mut Self::Recorder);
    /// In flight as a report reads it.
    fn reported(&self) -> u64;
    /// The same as a selection reads it, which does not stop at 0.
    fn selectable(&self) -> u64;
    fn completed(&self) -> u64;
    /// Looks for an idle worker; whether this one was found.
    fn find(&self) -> bool;
}

/// For so long ends are kept.
const DELAY: u64 = 10;
/// An end that is published, as none was before.
const FIRST: u64 = 1_000;
/// One that is kept after that.
const SOON: u64 = FIRST + DELAY / 2;
/// One that is published, with those that were kept.
const LATER: u64 = FIRST + DELAY;

/// The only worker of a roster.
fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

impl Account for Roster {
    type Recorder = Recorder;

    fn new() -> Arc<Self> {
        Arc::new(roster(1))
    }
    fn recorder(self: &Arc<Self>) -> Option<Recorder> {
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
    fn end(recorder: &mut Recorder, at: u64) {
        recorder.end(&Completion { at, ..completed() });
    }
    fn mark_idle(recorder: &mut Recorder) {
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

/// The same protocol in one place, with a bug planted or [none](NO_BUG).
struct Twin<const BUG: u8> {
    admitted: AtomicU64,
    ended: AtomicU64,
    /// Ends so far as of the last one that was kept; where that is the bug, those that are pending.
    kept: AtomicU64,
    completed: AtomicU64,
    unlisted: AtomicBool,
    bit: AtomicBool,
    recorder_taken: AtomicBool,
}

const NO_BUG: u8 = 0;
/// Those that are pending are counted apart, and taken off before they are published.
const TAKES_FIRST: u8 = 1;
/// Those that are pending are counted apart, and taken off after they were published.
const PUBLISHES_FIRST: u8 = 2;
/// The same, and who reports reads them before what was published.
const READS_PENDING_FIRST: u8 = 3;
/// Ends are published without Release.
const PUBLISHES_RELAXED: u8 = 4;
/// An end is kept without Release.
const KEEPS_RELAXED: u8 = 5;
/// Who reports reads what was published alone.
const READS_PUBLISHED_ALONE: u8 = 6;
/// Who reads in flight reads what was admitted before what has ended.
const READS_ADMITTED_FIRST: u8 = 7;
/// The worker rests and publishes nothing.
const RESTS_UNPUBLISHED: u8 = 8;
/// The worker looks whether it is listed, and publishes then.
const RESTS_BEFORE_PUBLISHING: u8 = 9;
/// The recorder is given back before what it has kept is published.
const GIVES_BACK_FIRST: u8 = 10;

impl<const BUG: u8> Twin<BUG> {
    const COUNTS_APART: bool = matches!(BUG, TAKES_FIRST | PUBLISHES_FIRST | READS_PENDING_FIRST);

    fn admitted_less(&self, ended: impl FnOnce() -> u64) -> u64 {
        // Planted: a task that comes and ends in between is taken off without having been counted.
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

/// The ordering, or Relaxed where that is the bug.
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
        // Planted: an end that was reported is in neither for a moment.
        if BUG == TAKES_FIRST {
            twin.kept.store(0, Relaxed);
        }
        let ended = twin.ended.load(Relaxed) + self.pending + more;
        // Planted: they are seen without their admissions and without their outcomes.
        twin.ended.store(ended, unless(BUG == PUBLISHES_RELAXED, Release));
        // Planted: what is pending is published, too, for a moment.
        if matches!(BUG, PUBLISHES_FIRST | READS_PENDING_FIRST) {
            twin.kept.store(0, Release);
        }
        self.pending = 0;
    }
}

impl<const BUG: u8> Drop for TwinRecorder<BUG> {
    fn drop(&mut self) {
        if BUG != GIVES_BACK_FIRST {
            self.publish(0);
        }
        self.twin.recorder_taken.store(false, Release);
        // Planted: another thread may write the same word.
        if BUG == GIVES_BACK_FIRST {
            self.publish(0);
        }
        self.twin.bit.swap(true, Release);
    }
}

impl<const BUG: u8> Account for Twin<BUG> {
    type Recorder = TwinRecorder<BUG>;

    fn new() -> Arc<Self> {
        Arc::new(Self {
            admitted: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            kept: AtomicU64::new(0),
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
        let before = if Self::COUNTS_APART { 0 } else { twin.ended.load(Relaxed) };
        // Planted: the end is seen without its admission and without its outcome.
        let ordering = unless(BUG == KEEPS_RELAXED, Release);
        twin.kept.store(before + recorder.pending, ordering);
    }
    fn mark_idle(recorder: &mut TwinRecorder<BUG>) {
        if BUG != RESTS_UNPUBLISHED && BUG != RESTS_BEFORE_PUBLISHING {
            recorder.publish(0);
        }
        recorder.published_at = 0;
        // Planted: there are ends that it does not see, and nobody looks after it.
        recorder.twin.list_if_idle();
        if BUG == RESTS_BEFORE_PUBLISHING {
            recorder.publish(0);
        }
    }
    fn reported(&self) -> u64 {
        let (ended, kept) = (|| self.ended.load(Acquire), || self.kept.load(Acquire));
        let in_flight = self.admitted_less(|| match BUG {
            TAKES_FIRST | PUBLISHES_FIRST => ended() + kept(),
            // Planted: what is pending is published between the two, and taken off twice.
            READS_PENDING_FIRST => kept() + ended(),
            // Planted: what is pending is in flight still.
            READS_PUBLISHED_ALONE => ended(),
            _ => ended().max(kept()),
        });
        in_flight.cast_signed().max(0).cast_unsigned()
    }
    fn selectable(&self) -> u64 {
        self.admitted_less(|| self.ended.load(Acquire))
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

/// A number in flight, read by a report or by a selection.
type Read<A> = fn(&A) -> u64;

/// One task is held while others come and end: one published, one kept, and one published with it.
fn a_held_task_is_always_counted<A: Account>(read: Read<A>) {
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
            assert!((1..=4).contains(&seen), "{seen} in flight while one is held");
        }
    });
    A::end(&mut recorder, FIRST);
    // As by the channel: the worker's thread has the tasks, the reader knows nothing of it.
    dispatcher.join().unwrap();
    A::end(&mut recorder, SOON);
    assert_eq!(account.reported(), 2, "reported is not what is in flight");
    A::end(&mut recorder, LATER);
    reader.join().unwrap();
    assert_eq!((account.reported(), account.selectable()), (1, 1));
    A::end(&mut recorder, LATER + 1);
    A::mark_idle(&mut recorder);
    assert_eq!((account.reported(), account.selectable()), (0, 0), "in flight at the end");
    assert_eq!(account.completed(), 4);
}

/// Two tasks end, one of them pending until the worker rests.
fn who_reads_nothing_sees_what_led_there<A: Account>(read: Read<A>) {
    let account = A::new();
    let mut recorder = account.recorder().unwrap();
    (0..2).for_each(|_| account.admit());
    let reader = thread::spawn({
        let account = Arc::clone(&account);
        move || {
            if read(&account) == 0 {
                assert_eq!(account.completed(), 2, "{UNSEEN}");
                assert_eq!(account.reported(), 0, "{SEEN_NO_MORE}");
            }
        }
    });
    A::end(&mut recorder, FIRST);
    A::end(&mut recorder, SOON);
    A::mark_idle(&mut recorder);
    reader.join().unwrap();
    assert_eq!((account.reported(), account.selectable()), (0, 0), "in flight at the end");
}

/// The worker's thread rests after an end that it kept, while callers pick and one gives a place
/// back.
fn who_rests_is_found<A: Account>(callers: usize, withdraws: bool) {
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
    assert!(account.find(), "idle and not found");
    assert_eq!((account.reported(), account.selectable()), (0, 0), "in flight at the end");
}

/// The right to record goes from one thread, which has kept an end, to another, which ends a task.
fn what_was_kept_is_published_by_who_kept_it<A: Account>() {
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

const HELD: &str = "in flight while one is held";
const UNSEEN: &str = "an end is seen without its outcome";
const SEEN_NO_MORE: &str = "an end is seen, and then no more";
const LOST: &str = "idle and not found";

#[test]
fn held_tasks_are_counted() {
    let model = || a_held_task_is_always_counted::<Roster>(Roster::reported);
    explore("pending: a held task is always reported", 3, model);
    let model = || a_held_task_is_always_counted::<Twin<NO_BUG>>(Twin::reported);
    explore("pending: a held task is always reported, the protocol alone", 3, model);
    let model = || a_held_task_is_always_counted::<Roster>(Roster::selectable);
    explore("pending: a held task is always selected by", 3, model);
}

#[test]
fn idleness_shows_what_led_there() {
    for read in [Roster::reported, Roster::selectable] {
        let model = move || who_reads_nothing_sees_what_led_there::<Roster>(read);
        explore("pending: who reads nothing sees what led there", 3, model);
    }
    let model = || who_reads_nothing_sees_what_led_there::<Twin<NO_BUG>>(Twin::reported);
    explore("pending: who reads nothing sees what led there, the protocol alone", 3, model);
}

#[test]
fn a_worker_that_rests() {
    explore("pending: rests", 3, || who_rests_is_found::<Roster>(1, false));
    let twin = || who_rests_is_found::<Twin<NO_BUG>>(1, false);
    explore("pending: rests, the protocol alone", 3, twin);
}

#[test]
fn a_worker_that_rests_and_a_place_that_is_given_back() {
    explore("pending: rests and withdraws", 2, || who_rests_is_found::<Roster>(1, true));
    let twin = || who_rests_is_found::<Twin<NO_BUG>>(1, true);
    explore("pending: rests and withdraws, the protocol alone", 3, twin);
}

#[test]
fn two_who_look() {
    explore("pending: two callers", 2, || who_rests_is_found::<Roster>(2, false));
}

#[test]
fn a_recorder_that_is_given_back() {
    let model = what_was_kept_is_published_by_who_kept_it::<Roster>;
    explore("pending: gives the recorder back", 3, model);
    let twin = what_was_kept_is_published_by_who_kept_it::<Twin<NO_BUG>>;
    explore("pending: gives the recorder back, the protocol alone", 3, twin);
}

#[test]
fn taking_before_publishing() {
    let model = || who_reads_nothing_sees_what_led_there::<Twin<TAKES_FIRST>>(Twin::reported);
    fails_with("takes first", 2, SEEN_NO_MORE, model);
}

#[test]
fn publishing_before_taking() {
    let model = || a_held_task_is_always_counted::<Twin<PUBLISHES_FIRST>>(Twin::reported);
    fails_with("publishes first", 2, HELD, model);
}

#[test]
fn publishing_relaxed() {
    for read in [Twin::<PUBLISHES_RELAXED>::reported, Twin::selectable] {
        let model = move || a_held_task_is_always_counted(read);
        fails_with("publishes Relaxed, admission", 2, HELD, model);
    }
    let model =
        || who_reads_nothing_sees_what_led_there::<Twin<PUBLISHES_RELAXED>>(Twin::selectable);
    fails_with("publishes Relaxed, outcome", 2, UNSEEN, model);
}

#[test]
fn keeping_relaxed() {
    let model = || a_held_task_is_always_counted::<Twin<KEEPS_RELAXED>>(Twin::reported);
    fails_with("keeps Relaxed, admission", 2, HELD, model);
    let model = || who_reads_nothing_sees_what_led_there::<Twin<KEEPS_RELAXED>>(Twin::reported);
    fails_with("keeps Relaxed, outcome", 2, UNSEEN, model);
}

#[test]
fn reading_pending_first() {
    let model = || a_held_task_is_always_counted::<Twin<READS_PENDING_FIRST>>(Twin::reported);
    fails_with("reads pending first", 2, HELD, model);
}

#[test]
fn reading_what_was_published_alone() {
    let model = || a_held_task_is_always_counted::<Twin<READS_PUBLISHED_ALONE>>(Twin::reported);
    fails_with("reads published alone", 2, "reported is not what is in flight", model);
}

#[test]
fn reading_admissions_first() {
    for read in [Twin::<READS_ADMITTED_FIRST>::reported, Twin::selectable] {
        fails_with("reads admitted first", 2, HELD, move || a_held_task_is_always_counted(read));
    }
}

#[test]
fn resting_without_publishing() {
    fails_with("rests unpublished", 2, LOST, || {
        who_rests_is_found::<Twin<RESTS_UNPUBLISHED>>(1, false);
    });
}

#[test]
fn resting_before_publishing() {
    fails_with("rests before publishing", 2, LOST, || {
        who_rests_is_found::<Twin<RESTS_BEFORE_PUBLISHING>>(1, false);
    });
}

#[test]
fn giving_the_recorder_back_before_publishing() {
    let twin = what_was_kept_is_published_by_who_kept_it::<Twin<GIVES_BACK_FIRST>>;
    fails_with("gives back first", 3, "an end was lost", twin);
}
