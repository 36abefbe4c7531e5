//! A worker answers while its asker sleeps, is awaited by one waker after another, or goes: the answer
//! reaches an asker that waits, and else is dropped once; who answers learns when nobody has it.
//!
//! The slot is that of the crate `oneshot`, over loom's atomics as well: what is explored is the way
//! of an answer from end to end. A model that fails while there is such a slot aborts, as loom knows
//! of the allocation: a twin fails when there is none any more, or has a slot of its own.
#![cfg(loom)]

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed as AnyOrder};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::models::{Asker, Hedged, ReplySender, slot};
use raddle_runtime::{AskError, Reply, ReplyFuture};
use raddle_sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Acquire, Release},
};
use raddle_sync::lock::Mutex;

/// An answer that counts how often it is dropped.
struct Answer(Arc<Count>);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.fetch_add(1, AnyOrder);
    }
}

type Sender = ReplySender<Answer, ()>;
type Result = std::result::Result<Answer, AskError<()>>;

// ---- an asker that waits

/// How an asker waits for its answer.
type Wait = fn(Reply<Answer, ()>) -> Result;

fn waits(reply: Reply<Answer, ()>) -> Result {
    reply.wait()
}

fn waits_again(mut reply: Reply<Answer, ()>) -> Result {
    match reply.wait_timeout(Duration::ZERO) {
        Err(AskError::TimedOut) => reply.wait(),
        answer => answer,
    }
}

/// Another thread answers, having written what the asker reads afterwards.
fn waiting(wait: Wait) {
    let drops = Arc::default();
    let work: &UnsafeCell<()> = Box::leak(Box::new(UnsafeCell::new(())));
    let (sender, reply) = slot::<_, ()>(false);
    let answering = thread::spawn({
        let answer = Answer(Arc::clone(&drops));
        move || {
            work.with_mut(|_| ());
            assert!(sender.send(Ok(answer)).is_none(), "handed back, and somebody waits");
        }
    });
    assert!(wait(reply).is_ok(), "no answer");
    // loom reports a read that does not come after the write.
    work.with(|_| ());
    answering.join().unwrap();
    assert_eq!(drops.load(AnyOrder), 1);
}

#[test]
fn an_asker_that_sleeps() {
    explore("reply, waited for", 3, || waiting(waits));
    explore("reply, waited for twice", 3, || waiting(waits_again));
}

#[test]
fn looking_for_who_sleeps_too_early() {
    fails_with("looks for a sleeper first", 2, "deadlock", || {
        let words = Arc::<[AtomicBool; 2]>::default();
        let asker = thread::current();
        thread::spawn({
            let words = Arc::clone(&words);
            move || {
                let [asleep, answered] = &*words;
                // Planted: the asker may fall asleep between this and the answer.
                let sleeps = asleep.load(Acquire);
                answered.store(true, Release);
                if sleeps {
                    asker.unpark();
                }
            }
        });
        let [asleep, answered] = &*words;
        asleep.store(true, Release);
        while !answered.load(Acquire) {
            thread::park();
        }
    });
}

/// The worker is gone without an answer: its end of the slot is dropped.
#[test]
fn an_asker_whose_task_is_dropped() {
    explore("reply, never given", 3, || {
        let (sender, reply) = slot::<Answer, ()>(false);
        let dropping = thread::spawn(move || drop(sender));
        assert_eq!(reply.wait().err(), Some(AskError::Taken));
        dropping.join().unwrap();
    });
}

// ---- an asker that is a future

#[derive(Default)]
struct Woken(Count);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, AnyOrder);
    }
}

/// How a future hands its waker over.
trait Awaited {
    fn new(reply: Reply<Answer, ()>) -> Self;
    fn poll(&mut self, waker: &Waker) -> Poll<Result>;
}

impl Awaited for ReplyFuture<Answer, ()> {
    fn new(reply: Reply<Answer, ()>) -> Self {
        reply.into_future()
    }
    fn poll(&mut self, waker: &Waker) -> Poll<Result> {
        Future::poll(Pin::new(self), &mut Context::from_waker(waker))
    }
}

/// A future that stays with its first waker.
struct Faithful(ReplyFuture<Answer, ()>, Option<Waker>);

impl Awaited for Faithful {
    fn new(reply: Reply<Answer, ()>) -> Self {
        Self(reply.into_future(), None)
    }
    fn poll(&mut self, waker: &Waker) -> Poll<Result> {
        // Planted: the task that polls now may be another.
        let first = self.1.get_or_insert_with(|| waker.clone());
        Future::poll(Pin::new(&mut self.0), &mut Context::from_waker(first))
    }
}

/// A future is polled by one waker and then by another while a thread answers.
fn changing_wakers<F: Awaited>() {
    let drops = Arc::default();
    let (sender, reply) = slot::<_, ()>(false);
    let answering = thread::spawn({
        let answer = Answer(Arc::clone(&drops));
        move || assert!(sender.send(Ok(answer)).is_none(), "handed back, and somebody waits")
    });
    let woken = [Arc::<Woken>::default(), Arc::default()];
    let mut future = F::new(reply);
    let mut answer = Poll::Pending;
    for waker in &woken {
        if answer.is_pending() {
            answer = future.poll(&Arc::clone(waker).into());
        }
    }
    answering.join().unwrap();
    if answer.is_pending() {
        assert_eq!(woken[1].0.load(AnyOrder), 1, "the waker of the last poll was not woken");
        answer = future.poll(&Arc::clone(&woken[1]).into());
    }
    assert!(matches!(answer, Poll::Ready(Ok(_))), "no answer");
    drop((future, answer));
    assert_eq!(drops.load(AnyOrder), 1);
    for waker in woken {
        assert_eq!(Arc::strong_count(&waker), 1, "a waker is kept");
    }
}

/// A future is polled and dropped while a thread answers.
fn dropping_a_future() {
    let drops = Arc::default();
    let (sender, reply) = slot::<_, ()>(false);
    let woken = Arc::<Woken>::default();
    let mut future = reply.into_future();
    let answering = thread::spawn({
        let answer = Answer(Arc::clone(&drops));
        move || drop(sender.send(Ok(answer)))
    });
    drop(Awaited::poll(&mut future, &Arc::clone(&woken).into()));
    drop(future);
    answering.join().unwrap();
    assert_eq!(drops.load(AnyOrder), 1, "the answer is not dropped once");
    assert_eq!(Arc::strong_count(&woken), 1, "a waker is kept");
}

#[test]
fn a_future_whose_waker_changes() {
    explore("reply, waker changes", 3, changing_wakers::<ReplyFuture<Answer, ()>>);
}

#[test]
fn a_future_that_is_dropped() {
    explore("reply, future dropped", 3, dropping_a_future);
}

#[test]
fn staying_with_the_first_waker() {
    fails_with("first waker kept", 2, "last poll was not woken", changing_wakers::<Faithful>);
}

// ---- an asker that goes

/// The two ends of a slot whose asker goes, which is to cancel its task.
trait Withdrawing: Send + Sync + 'static {
    type Sender: Send + 'static;
    type Reply: Send + 'static;

    fn slot() -> (Self::Sender, Self::Reply);
    fn has_withdrawn(sender: &Self::Sender) -> bool;
    /// The answer again, when nobody will have it.
    fn send(sender: Self::Sender, answer: Answer) -> Option<Answer>;
    /// The asker goes. What it has seen of an answer, if it has taken a look.
    fn withdraw(reply: Self::Reply) -> Option<Answer>;
}

struct Shipped;

impl Withdrawing for Shipped {
    type Sender = Sender;
    type Reply = Reply<Answer, ()>;

    fn slot() -> (Sender, Self::Reply) {
        slot(true)
    }
    fn has_withdrawn(sender: &Sender) -> bool {
        sender.has_withdrawn()
    }
    fn send(sender: Sender, answer: Answer) -> Option<Answer> {
        sender.send(Ok(answer)).and_then(Result::ok)
    }
    fn withdraw(reply: Self::Reply) -> Option<Answer> {
        drop(reply);
        None
    }
}

/// The same, but that the asker tells first and goes then.
struct TellsFirst;

impl Withdrawing for TellsFirst {
    type Sender = (Sender, Arc<AtomicBool>);
    type Reply = (Reply<Answer, ()>, Arc<AtomicBool>);

    fn slot() -> (Self::Sender, Self::Reply) {
        let (sender, reply) = slot(true);
        let told = Arc::<AtomicBool>::default();
        ((sender, Arc::clone(&told)), (reply, told))
    }
    fn has_withdrawn((_, told): &Self::Sender) -> bool {
        told.load(Acquire)
    }
    fn send((sender, _): Self::Sender, answer: Answer) -> Option<Answer> {
        sender.send(Ok(answer)).and_then(Result::ok)
    }
    fn withdraw((mut reply, told): Self::Reply) -> Option<Answer> {
        told.store(true, Release);
        // Planted: an answer may come in between, of a task that was taken for unwanted.
        reply.try_recv().and_then(Result::ok)
    }
}

/// A minimal slot, filled by a load and a store.
struct FillsByStore {
    state: AtomicU32,
    answer: Mutex<Option<Answer>>,
}

const OPEN: u32 = 0;
const FULL: u32 = 1;
const LEFT: u32 = 2;

impl Withdrawing for FillsByStore {
    type Sender = Arc<Self>;
    type Reply = Arc<Self>;

    fn slot() -> (Arc<Self>, Arc<Self>) {
        let slot = Self { state: AtomicU32::new(OPEN), answer: Mutex::new(None) };
        let slot = Arc::new(slot);
        (Arc::clone(&slot), slot)
    }
    fn has_withdrawn(slot: &Arc<Self>) -> bool {
        slot.state.load(Acquire) == LEFT
    }
    fn send(slot: Arc<Self>, answer: Answer) -> Option<Answer> {
        *slot.answer.lock().unwrap() = Some(answer);
        // Planted: the asker may go between the two, and finds nothing to drop.
        if slot.state.load(Acquire) == LEFT {
            return slot.answer.lock().unwrap().take();
        }
        slot.state.store(FULL, Release);
        // Kept by the model for as long as it looks.
        std::mem::forget(slot);
        None
    }
    fn withdraw(slot: Arc<Self>) -> Option<Answer> {
        if slot.state.swap(LEFT, AcqRel) == FULL {
            drop(slot.answer.lock().unwrap().take());
        }
        None
    }
}

/// The asker goes while this thread looks whether it has, and answers.
fn withdrawing<W: Withdrawing>() {
    let drops = Arc::default();
    let (sender, reply) = W::slot();
    let asker = thread::spawn(move || W::withdraw(reply));
    let withdrawn = W::has_withdrawn(&sender);
    let back = W::send(sender, Answer(Arc::clone(&drops)));
    let seen = asker.join().unwrap();
    assert!(!withdrawn || back.is_some(), "taken for withdrawn, and its answer was put");
    drop((back, seen));
    assert_eq!(drops.load(AnyOrder), 1, "the answer is not dropped once");
}

#[test]
fn an_asker_that_goes() {
    explore("reply, dropped", 3, withdrawing::<Shipped>);
}

#[test]
fn telling_before_going() {
    fails_with("withdraws, then looks", 2, "taken for withdrawn", withdrawing::<TellsFirst>);
}

#[test]
fn filling_by_a_store() {
    fails_with("fills by a store", 2, "not dropped once", withdrawing::<FillsByStore>);
}

// ---- two copies that answer one asker

/// How a copy of a hedged task says its end: the answer again, when it is not the one.
type End = fn(Arc<Hedged<Answer, ()>>, Result) -> Option<Result>;

fn ends(hedged: Arc<Hedged<Answer, ()>>, answer: Result) -> Option<Result> {
    Sender::Shared(hedged).send(answer)
}

fn ends_as_with_an_answer(hedged: Arc<Hedged<Answer, ()>>, answer: Result) -> Option<Result> {
    // Planted: the error of one copy is taken for the answer of both.
    match hedged.copies.finish(true) {
        Some(sender) => sender.send(answer).err().map(|_| Err(AskError::Taken)),
        None => Some(answer),
    }
}

/// Two copies end, the first in a thread of its own, and the asker waits in another.
fn hedging(end: End, answers: [bool; 2]) {
    let drops: [Arc<Count>; 2] = Default::default();
    let (sender, reply) = slot::<_, ()>(false);
    let (_, hedged) = sender.share();
    assert!(hedged.copies.join(), "none has ended");
    let endings = [0, 1].map(|copy| {
        let answer = Answer(Arc::clone(&drops[copy]));
        if answers[copy] { Ok(answer) } else { Err(AskError::Cancelled) }
    });
    let [first, second] = endings;
    let copy = thread::spawn({
        let hedged = Arc::clone(&hedged);
        move || end(hedged, first).is_some()
    });
    let asker = thread::spawn(move || reply.wait().is_ok());
    let backs = [end(hedged, second).is_some(), copy.join().unwrap()];
    let answered = asker.join().unwrap();
    assert_eq!(answered, answers.contains(&true), "an answer was lost");
    assert_eq!(backs.iter().filter(|back| **back).count(), 1, "both or none were the one");
    let drops = drops.each_ref().map(|drops| drops.load(AnyOrder));
    assert_eq!(drops, [1, 1], "an answer is not dropped once");
}

/// Two copies look whether they are wanted and answer, while their asker goes.
fn withdrawing_from_two(tells_first: bool) {
    let told = Arc::new(AtomicBool::new(false));
    let drops: [Arc<Count>; 2] = Default::default();
    let (sender, reply) = slot::<_, ()>(true);
    let (_, hedged) = sender.share();
    assert!(hedged.copies.join(), "none has ended");
    let [first, second] = drops.each_ref().map(|drops| Answer(Arc::clone(drops)));
    let copy = {
        let hedged = Arc::clone(&hedged);
        move |answer| {
            let sender = Sender::Shared(hedged);
            let withdrawn = sender.has_withdrawn() || told.load(Acquire);
            // Planted: the other copy hears of an answer, and may still be the first to give one.
            told.store(tells_first, Release);
            let back = sender.send(Ok(answer));
            !withdrawn || back.is_some()
        }
    };
    let other = thread::spawn({
        let copy = copy.clone();
        move || copy(first)
    });
    let asker = thread::spawn(move || drop(reply));
    let rights = [copy(second), other.join().unwrap()];
    asker.join().unwrap();
    drop(hedged);
    assert_eq!(rights, [true, true], "taken for withdrawn, and its answer was put");
    let drops = drops.each_ref().map(|drops| drops.load(AnyOrder));
    assert_eq!(drops, [1, 1], "an answer is not dropped once");
}

#[test]
fn an_asker_of_two_copies() {
    for answers in [[false, false], [false, true], [true, false], [true, true]] {
        explore(&format!("hedged reply, {answers:?}"), 3, move || hedging(ends, answers));
    }
}

#[test]
fn an_asker_that_goes_from_two_copies() {
    explore("hedged reply, dropped", 3, || withdrawing_from_two(false));
}

#[test]
fn telling_the_other_copy_first() {
    fails_with("copy tells, then answers", 2, "taken for withdrawn", || {
        withdrawing_from_two(true);
    });
}

#[test]
fn ending_without_an_answer_as_with_one() {
    fails_with("error taken for an answer", 2, "an answer was lost", || {
        hedging(ends_as_with_an_answer, [false, true]);
    });
}
