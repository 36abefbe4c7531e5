//! A handler has deferred its reply. The reply comes, its deadline passes, or a shutdown cancels it,
//! also while the handler is about to return: the task ends once, its asker is answered once, and the
//! worker, which has parked or waits to leave, records the end.
#![cfg(loom)]

use std::mem::ManuallyDrop;
use std::sync::{Arc, Weak};

use loom::thread;
use raddle_core::internal::WorkerInternals;
use raddle_core::{Completion, Outcome, SerialRecorder, Worker};
use raddle_loom_tests::{assert_settled, completed, explore, fails_with, mailbox, send, worker};
use raddle_runtime::AskError;
use raddle_runtime::mailbox::{Debt, Inbox, Mailbox, OwedEnd, OwedTask};
use raddle_runtime::models::{NoReply, Owed, slot};
use raddle_sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use raddle_sync::channel::{self, Receiver, Sender};
use raddle_sync::lock::ColdLock;

type Task = u32;

fn owed_task() -> OwedTask {
    OwedTask { completion: completed(), started: 0, key: None, key_age: None }
}

/// A deferred reply, its task, and the ends that the worker's thread records.
trait Promise: Send + Sync + 'static {
    fn new(mailbox: &Arc<Mailbox<Task>>) -> Self;
    /// The handler has returned. Returns whether the reply has come; the worker then ends the task.
    fn put(&self) -> bool;
    /// The reply comes, or the deadline passes.
    fn end(&self, answer: Result<u32, NoReply>);
    /// A shutdown reaches its limit. Returns whether it ended the task.
    fn cancel(&self) -> bool;
    /// Records the ends so far; returns their number.
    fn record(&self, recorder: &mut SerialRecorder) -> u64;
    /// Checks that the asker, if there is one, was answered.
    fn check_answer(&self) {}
}

/// The one that ships.
struct Shipped {
    mailbox: Arc<Mailbox<Task>>,
    owed: Arc<Owed<u32>>,
    ask: ColdLock<Option<raddle_runtime::Ask<(), u32>>>,
    reply: ColdLock<Option<raddle_runtime::models::ReplySender<u32>>>,
}

impl Promise for Shipped {
    fn new(mailbox: &Arc<Mailbox<Task>>) -> Self {
        let (reply, ask) = slot();
        Self {
            mailbox: Arc::clone(mailbox),
            owed: Arc::new(Owed::new(
                Arc::clone(mailbox.worker()),
                Arc::default(),
                u64::MAX,
                |_| false,
            )),
            ask: ColdLock::new(Some(ask)),
            reply: ColdLock::new(Some(reply)),
        }
    }

    fn put(&self) -> bool {
        let debt: Weak<dyn Debt> = Arc::downgrade(&self.owed) as _;
        let mut reply = self.reply.lock().take();
        let owe = || self.mailbox.owe(owed_task(), debt);
        let early = self.owed.put(&mut reply, self.mailbox.debtor(), owe);
        let is_early = early.is_some();
        if let (Some((_, answer)), Some(reply)) = (early, reply) {
            drop(reply.send(answer));
        }
        is_early
    }

    fn end(&self, answer: Result<u32, NoReply>) {
        match answer {
            Ok(reply) => self.owed.reply(reply),
            Err(why) => self.owed.end_without_reply(why),
        }
    }

    fn cancel(&self) -> bool {
        !self.mailbox.cancel_owed().is_empty()
    }

    fn record(&self, recorder: &mut SerialRecorder) -> u64 {
        let mut recorded = 0;
        if self.mailbox.has_ends() {
            self.mailbox.begin_ends();
            while let Some((end, _)) = self.mailbox.take_end() {
                recorder.end(&Completion::new(end.outcome));
                recorded += 1;
            }
        }
        recorded
    }

    fn check_answer(&self) {
        let answer = self.ask.lock().take().unwrap().wait();
        let answered = matches!(answer, Ok(7) | Err(AskError::Expired | AskError::ShutDown));
        assert!(answered, "not answered: {answer:?}");
    }
}

/// What ends the task beside its reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    Nothing,
    Deadline,
    Shutdown,
}

/// This thread is the worker's, whose handler returns. It leaves when it is `closed`, or ends with its
/// task.
fn model<P: Promise>(other: Other, closed: bool) {
    let worker = worker();
    let recorder = worker.recorder().unwrap();
    let (mailbox, inbox) = mailbox(&worker, 2);
    // Leaked: after a failure, destructors would run outside of loom.
    let (mut inbox, mut recorder) = (ManuallyDrop::new(inbox), ManuallyDrop::new(recorder));
    std::mem::forget(Arc::clone(&mailbox));
    assert!(send(&mailbox, 0) && inbox.try_next().is_some());
    if closed {
        mailbox.close();
    }
    let promise = Arc::new(P::new(&mailbox));
    std::mem::forget(Arc::clone(&promise));
    let replier = thread::spawn({
        let promise = Arc::clone(&promise);
        move || promise.end(Ok(7))
    });
    let ender = (other != Other::Nothing).then(|| {
        let (promise, mailbox) = (Arc::clone(&promise), Arc::clone(&mailbox));
        // A timer is only set, and a task only cancelled, once it is owed.
        let early = promise.put();
        (early, thread::spawn(move || ends_otherwise(&*promise, &mailbox, other)))
    });
    let (early, ender) = match ender {
        Some((early, ender)) => (early, Some(ender)),
        None => (promise.put(), None),
    };
    if early {
        recorder.end(&completed());
    }
    serve(&*promise, &mut inbox, &mut recorder, &worker);
    replier.join().unwrap();
    let cancelled = ender.is_some_and(|ender| ender.join().unwrap());
    let counts = worker.stats().counts();
    let ends = counts.ended() + u64::from(cancelled);
    assert_eq!(ends, 1, "the task ended {ends} times");
    assert_settled(&[&worker], usize::from(!cancelled));
    promise.check_answer();
}

/// Ends the task as a timer or a shutdown does. Returns whether it is off the worker's account.
fn ends_otherwise(promise: &impl Promise, mailbox: &Mailbox<Task>, other: Other) -> bool {
    if other == Other::Deadline {
        promise.end(Err(NoReply::Expired));
        return false;
    }
    let cancelled = promise.cancel();
    if cancelled {
        mailbox.worker().withdraw();
        mailbox.wake();
    }
    cancelled
}

/// What the worker's thread does without tasks to run.
fn serve(
    promise: &impl Promise,
    inbox: &mut Inbox<Task>,
    recorder: &mut SerialRecorder,
    worker: &Worker,
) {
    loop {
        promise.record(recorder);
        if worker.stats().in_flight() == 0 || !inbox.wait(recorder) {
            return;
        }
    }
}

#[test]
fn an_owed_reply_is_recorded_by_a_worker_that_parks_or_waits_to_leave() {
    explore("owed reply, parked", 3, || model::<Shipped>(Other::Nothing, false));
    explore("owed reply, leaving", 3, || model::<Shipped>(Other::Nothing, true));
}

#[test]
fn a_reply_and_a_deadline_end_the_task_once() {
    explore("owed reply and deadline", 3, || model::<Shipped>(Other::Deadline, false));
}

#[test]
fn a_reply_and_a_shutdown_end_the_task_once() {
    explore("owed reply and shutdown", 3, || model::<Shipped>(Other::Shutdown, true));
}

/// A promise without an asker, with what a step of it does instead.
struct Twin<S> {
    mailbox: Arc<Mailbox<Task>>,
    /// The task is owed.
    owed: AtomicBool,
    early: AtomicBool,
    ends: (Sender<OwedEnd>, Receiver<OwedEnd>),
    ended: AtomicBool,
    steps: std::marker::PhantomData<fn(S)>,
}

trait Steps: Send + Sync + 'static {
    /// Takes the task, to end it.
    fn take(owed: &AtomicBool) -> bool {
        owed.swap(false, AcqRel)
    }
    /// Puts the task there; returns whether the worker ends it.
    fn put(owed: &AtomicBool, early: &AtomicBool) -> bool {
        owed.store(true, Release);
        early.swap(false, AcqRel) && owed.swap(false, AcqRel)
    }
    fn keep(twin: &Twin<Self>, end: OwedEnd)
    where
        Self: Sized,
    {
        let _ = twin.ends.0.send(end);
        if !twin.ended.swap(true, AcqRel) {
            twin.mailbox.wake();
        }
    }
    fn take_all(twin: &Twin<Self>, recorder: &mut SerialRecorder) -> u64
    where
        Self: Sized,
    {
        twin.ended.swap(false, AcqRel);
        twin.record_all(recorder)
    }
}

impl<S: Steps> Twin<S> {
    fn record_all(&self, recorder: &mut SerialRecorder) -> u64 {
        let mut recorded = 0;
        while let Ok(end) = self.ends.1.try_recv() {
            recorder.end(&Completion::new(end.outcome));
            recorded += 1;
        }
        recorded
    }
}

impl<S: Steps> Promise for Twin<S> {
    fn new(mailbox: &Arc<Mailbox<Task>>) -> Self {
        Self {
            mailbox: Arc::clone(mailbox),
            owed: AtomicBool::new(false),
            early: AtomicBool::new(false),
            ends: channel::unbounded(),
            ended: AtomicBool::new(false),
            steps: std::marker::PhantomData,
        }
    }

    fn put(&self) -> bool {
        // So that the worker may park while the task is in flight.
        self.mailbox.owe(owed_task(), Weak::<Owed<u32>>::new());
        S::put(&self.owed, &self.early)
    }

    fn end(&self, answer: Result<u32, NoReply>) {
        let outcome = if answer.is_ok() { Outcome::Completed } else { Outcome::Expired };
        if answer.is_ok() {
            self.early.store(true, Release);
        }
        if S::take(&self.owed) {
            S::keep(self, OwedEnd { index: 0, outcome, at: 0 });
        }
    }

    fn cancel(&self) -> bool {
        S::take(&self.owed)
    }

    fn record(&self, recorder: &mut SerialRecorder) -> u64 {
        if self.ended.load(Relaxed) { S::take_all(self, recorder) } else { 0 }
    }
}

struct TakesInTwoSteps;

impl Steps for TakesInTwoSteps {
    fn take(owed: &AtomicBool) -> bool {
        // Planted: another thread takes it between the two steps.
        let is_owed = owed.load(Acquire);
        if is_owed {
            owed.store(false, Release);
        }
        is_owed
    }
}

struct ChecksBeforeItPuts;

impl Steps for ChecksBeforeItPuts {
    fn put(owed: &AtomicBool, early: &AtomicBool) -> bool {
        // Planted: a reply between the two steps finds no task, and nobody finds the reply.
        let has_come = early.swap(false, AcqRel);
        owed.store(!has_come, Release);
        has_come
    }
}

struct NotifiesBeforeItKeeps;

impl Steps for NotifiesBeforeItKeeps {
    fn keep(twin: &Twin<Self>, end: OwedEnd) {
        // Planted: the worker finds nothing, and parks.
        if !twin.ended.swap(true, AcqRel) {
            twin.mailbox.wake();
        }
        let _ = twin.ends.0.send(end);
    }
}

struct DoesNotNotify;

impl Steps for DoesNotNotify {
    fn keep(twin: &Twin<Self>, end: OwedEnd) {
        // Planted: the worker stays parked.
        let _ = twin.ends.0.send(end);
        twin.ended.store(true, Release);
    }
}

#[test]
fn a_task_that_is_taken_in_two_steps_ends_twice() {
    fails_with("takes in two steps, deadline", 2, "the task ended 2 times", || {
        model::<Twin<TakesInTwoSteps>>(Other::Deadline, false);
    });
    fails_with("takes in two steps, shutdown", 2, "the task ended 2 times", || {
        model::<Twin<TakesInTwoSteps>>(Other::Shutdown, true);
    });
}

#[test]
fn a_reply_that_is_looked_for_before_the_task_is_put_there_is_lost() {
    fails_with("checks before it puts", 2, "deadlock", || {
        model::<Twin<ChecksBeforeItPuts>>(Other::Nothing, false);
    });
}

#[test]
fn an_end_that_is_kept_after_the_notification_is_not_recorded() {
    fails_with("notifies before it keeps", 2, "deadlock", || {
        model::<Twin<NotifiesBeforeItKeeps>>(Other::Nothing, true);
    });
}

#[test]
fn an_end_without_a_notification_is_not_recorded() {
    fails_with("does not notify", 2, "deadlock", || {
        model::<Twin<DoesNotNotify>>(Other::Nothing, false);
    });
}
