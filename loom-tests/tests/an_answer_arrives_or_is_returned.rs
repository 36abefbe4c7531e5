//! A worker answers while its asker waits, polls with changing wakers, or drops its `Ask`: the
//! answer reaches a waiting asker, and otherwise is dropped once; the sender learns if nobody
//! received it.
//!
//! The slot is `oneshot`'s, built over loom's atomics, so an answer is explored from end to end. A
//! model that fails while such a slot exists aborts, as loom tracks the allocation. Twins therefore
//! fail after the slot is gone, or use their own slot.
#![cfg(loom)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed as AnyOrder};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::AskError;
use raddle_runtime::models::{Asker, NoReply, ReplySender, SharedReply, shared_slot, slot};
use raddle_sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Acquire, Release},
};
use raddle_sync::lock::ColdLock;

/// An answer that counts how often it is dropped.
struct Answer(Arc<Count>);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.fetch_add(1, AnyOrder);
    }
}

type Ask = raddle_runtime::Ask<(), Answer>;
type Sender = ReplySender<Answer>;
/// What a copy of a task sends.
type Sent = Result<Answer, NoReply>;
/// What the asker receives.
type Received = Result<Answer, AskError<()>>;

// ---- the asker waits

/// How an asker waits for its answer.
type Wait = fn(Ask) -> Received;

fn waits(ask: Ask) -> Received {
    ask.wait()
}

fn waits_again(mut ask: Ask) -> Received {
    match ask.wait_timeout(Duration::ZERO) {
        Err(AskError::TimedOut) => ask.wait(),
        answer => answer,
    }
}

/// Another thread writes what the asker reads afterwards, and answers.
fn waiting(wait: Wait) {
    let drops = Arc::default();
    let work: &UnsafeCell<()> = Box::leak(Box::new(UnsafeCell::new(())));
    let (sender, ask) = slot();
    let answering = thread::spawn({
        let answer = Answer(Arc::clone(&drops));
        move || {
            work.with_mut(|_| ());
            assert!(sender.send(Ok(answer)).is_none(), "handed back although the asker waits");
        }
    });
    assert!(wait(ask).is_ok(), "no answer");
    // loom reports a read that is not ordered after the write.
    work.with(|_| ());
    answering.join().unwrap();
    assert_eq!(drops.load(AnyOrder), 1);
}

#[test]
fn a_waiting_asker_receives_the_answer() {
    explore("reply, waited for", 3, || waiting(waits));
    explore("reply, waited for twice", 3, || waiting(waits_again));
}

#[test]
fn checking_for_a_sleeper_first_loses_a_wake_up() {
    fails_with("checks for a sleeper first", 2, "deadlock", || {
        let words = Arc::<[AtomicBool; 2]>::default();
        let asker = thread::current();
        thread::spawn({
            let words = Arc::clone(&words);
            move || {
                let [parked, answered] = &*words;
                // Planted: the asker may park between this check and the answer.
                let is_parked = parked.load(Acquire);
                answered.store(true, Release);
                if is_parked {
                    asker.unpark();
                }
            }
        });
        let [parked, answered] = &*words;
        parked.store(true, Release);
        while !answered.load(Acquire) {
            thread::park();
        }
    });
}

/// The worker's end of the slot is dropped without an answer.
#[test]
fn a_waiting_asker_learns_that_its_task_was_dropped() {
    explore("reply, never sent", 3, || {
        let (sender, ask) = slot::<Answer>();
        let dropping = thread::spawn(move || drop(sender));
        assert!(matches!(ask.wait(), Err(AskError::Taken)));
        dropping.join().unwrap();
    });
}

// ---- the asker polls a future

#[derive(Default)]
struct Woken(Count);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, AnyOrder);
    }
}

/// How a future passes its waker on.
trait Awaited {
    fn new(ask: Ask) -> Self;
    fn poll(&mut self, waker: &Waker) -> Poll<Received>;
}

impl Awaited for Ask {
    fn new(ask: Ask) -> Self {
        ask
    }
    fn poll(&mut self, waker: &Waker) -> Poll<Received> {
        Future::poll(Pin::new(self), &mut Context::from_waker(waker))
    }
}

/// A future that keeps its first waker.
struct Faithful(Ask, Option<Waker>);

impl Awaited for Faithful {
    fn new(ask: Ask) -> Self {
        Self(ask, None)
    }
    fn poll(&mut self, waker: &Waker) -> Poll<Received> {
        // Planted: another task may be polling now.
        let first = self.1.get_or_insert_with(|| waker.clone());
        Future::poll(Pin::new(&mut self.0), &mut Context::from_waker(first))
    }
}

/// A future is polled with one waker and then with another, while a thread answers.
fn changing_wakers<F: Awaited>() {
    let drops = Arc::default();
    let (sender, ask) = slot();
    let answering = thread::spawn({
        let answer = Answer(Arc::clone(&drops));
        move || assert!(sender.send(Ok(answer)).is_none(), "handed back although the asker waits")
    });
    let woken = [Arc::<Woken>::default(), Arc::default()];
    let mut future = F::new(ask);
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
        assert_eq!(Arc::strong_count(&waker), 1, "a waker was leaked");
    }
}

/// A future is polled and dropped, while a thread answers.
fn dropping_a_future() {
    let drops = Arc::default();
    let (sender, ask) = slot();
    let woken = Arc::<Woken>::default();
    let mut future = ask;
    let answering = thread::spawn({
        let answer = Answer(Arc::clone(&drops));
        move || drop(sender.send(Ok(answer)))
    });
    drop(Awaited::poll(&mut future, &Arc::clone(&woken).into()));
    drop(future);
    answering.join().unwrap();
    assert_eq!(drops.load(AnyOrder), 1, "the answer was not dropped exactly once");
    assert_eq!(Arc::strong_count(&woken), 1, "a waker was leaked");
}

#[test]
fn the_last_waker_of_a_future_is_woken() {
    explore("reply, waker changes", 3, changing_wakers::<Ask>);
}

#[test]
fn a_dropped_future_drops_the_answer_once() {
    explore("reply, future dropped", 3, dropping_a_future);
}

#[test]
fn keeping_the_first_waker_loses_a_wake_up() {
    fails_with("first waker kept", 2, "last poll was not woken", changing_wakers::<Faithful>);
}

// ---- the asker drops its `Ask`

/// The two ends of a slot whose asker drops its `Ask` to cancel the task.
trait Withdrawing: Send + Sync + 'static {
    type Sender: Send + 'static;
    type Ask: Send + 'static;

    fn slot() -> (Self::Sender, Self::Ask);
    fn has_withdrawn(sender: &Self::Sender) -> bool;
    /// Sends the answer; returns it if nobody will receive it.
    fn send(sender: Self::Sender, answer: Answer) -> Option<Answer>;
    /// Drops the `Ask`; returns an answer that the asker has taken before.
    fn withdraw(ask: Self::Ask) -> Option<Answer>;
}

struct Shipped;

impl Withdrawing for Shipped {
    type Sender = Sender;
    type Ask = Ask;

    fn slot() -> (Sender, Self::Ask) {
        let (shared, ask) = shared_slot(true);
        (Sender::Shared(shared), ask)
    }
    fn has_withdrawn(sender: &Sender) -> bool {
        sender.has_withdrawn()
    }
    fn send(sender: Sender, answer: Answer) -> Option<Answer> {
        sender.send(Ok(answer)).and_then(Result::ok)
    }
    fn withdraw(ask: Self::Ask) -> Option<Answer> {
        drop(ask);
        None
    }
}

/// The shipped slot, but the asker announces that it withdraws before it does.
struct AnnouncesFirst;

impl Withdrawing for AnnouncesFirst {
    type Sender = (Sender, Arc<AtomicBool>);
    type Ask = (Ask, Arc<AtomicBool>);

    fn slot() -> (Self::Sender, Self::Ask) {
        let (shared, ask) = shared_slot(true);
        let sender = Sender::Shared(shared);
        let announced = Arc::<AtomicBool>::default();
        ((sender, Arc::clone(&announced)), (ask, announced))
    }
    fn has_withdrawn((_, announced): &Self::Sender) -> bool {
        announced.load(Acquire)
    }
    fn send((sender, _): Self::Sender, answer: Answer) -> Option<Answer> {
        sender.send(Ok(answer)).and_then(Result::ok)
    }
    fn withdraw((mut ask, announced): Self::Ask) -> Option<Answer> {
        announced.store(true, Release);
        // Planted: the answer of a task that was considered withdrawn may arrive in between.
        ask.try_recv().and_then(Result::ok)
    }
}

/// A minimal slot that is filled by a load and a store.
struct FillsByStore {
    state: AtomicU32,
    answer: ColdLock<Option<Answer>>,
}

const OPEN: u32 = 0;
const FULL: u32 = 1;
const LEFT: u32 = 2;

impl Withdrawing for FillsByStore {
    type Sender = Arc<Self>;
    type Ask = Arc<Self>;

    fn slot() -> (Arc<Self>, Arc<Self>) {
        let slot = Self { state: AtomicU32::new(OPEN), answer: ColdLock::new(None) };
        let slot = Arc::new(slot);
        (Arc::clone(&slot), slot)
    }
    fn has_withdrawn(slot: &Arc<Self>) -> bool {
        slot.state.load(Acquire) == LEFT
    }
    fn send(slot: Arc<Self>, answer: Answer) -> Option<Answer> {
        *slot.answer.lock() = Some(answer);
        // Planted: the asker may leave between the load and the store, without dropping the answer.
        if slot.state.load(Acquire) == LEFT {
            return slot.answer.lock().take();
        }
        slot.state.store(FULL, Release);
        // The answer must stay undropped for the model to notice.
        std::mem::forget(slot);
        None
    }
    fn withdraw(slot: Arc<Self>) -> Option<Answer> {
        if slot.state.swap(LEFT, AcqRel) == FULL {
            drop(slot.answer.lock().take());
        }
        None
    }
}

/// The asker drops its `Ask` while this thread checks for that, and answers.
fn withdrawing<W: Withdrawing>() {
    let drops = Arc::default();
    let (sender, ask) = W::slot();
    let asker = thread::spawn(move || W::withdraw(ask));
    let withdrawn = W::has_withdrawn(&sender);
    let back = W::send(sender, Answer(Arc::clone(&drops)));
    let seen = asker.join().unwrap();
    assert!(!withdrawn || back.is_some(), "answered although the asker had withdrawn");
    drop((back, seen));
    assert_eq!(drops.load(AnyOrder), 1, "the answer was not dropped exactly once");
}

#[test]
fn a_withdrawn_answer_is_handed_back() {
    explore("reply, dropped", 3, withdrawing::<Shipped>);
}

#[test]
fn announcing_before_withdrawing_loses_an_answer() {
    fails_with(
        "announces, then withdraws",
        2,
        "answered although the asker had withdrawn",
        withdrawing::<AnnouncesFirst>,
    );
}

#[test]
fn filling_by_a_store_leaks_an_answer() {
    fails_with("fills by a store", 2, "not dropped exactly once", withdrawing::<FillsByStore>);
}

// ---- two copies answer one asker

/// How a copy of a hedged task ends; returns its answer if it was not the one used.
type End = fn(Arc<SharedReply<Answer>>, Sent) -> Option<Sent>;

fn ends(hedged: Arc<SharedReply<Answer>>, answer: Sent) -> Option<Sent> {
    Sender::Shared(hedged).send(answer)
}

fn ends_as_with_an_answer(hedged: Arc<SharedReply<Answer>>, answer: Sent) -> Option<Sent> {
    // Planted: the error of one copy counts as the answer of both.
    match hedged.copies.finish(true) {
        Some(sender) => Sender::Own(sender).send(answer).map(|_| Err(NoReply::Cancelled)),
        None => Some(answer),
    }
}

/// Two copies end, the first in its own thread, while the asker waits in another.
fn hedging(end: End, answers: [bool; 2]) {
    let drops: [Arc<Count>; 2] = Default::default();
    let (hedged, ask) = shared_slot(false);
    assert!(hedged.copies.join(), "no copy has ended");
    let endings = [0, 1].map(|copy| {
        let answer = Answer(Arc::clone(&drops[copy]));
        if answers[copy] { Ok(answer) } else { Err(NoReply::Cancelled) }
    });
    let [first, second] = endings;
    let copy = thread::spawn({
        let hedged = Arc::clone(&hedged);
        move || end(hedged, first).is_some()
    });
    let asker = thread::spawn(move || ask.wait().is_ok());
    let backs = [end(hedged, second).is_some(), copy.join().unwrap()];
    let answered = asker.join().unwrap();
    assert_eq!(answered, answers.contains(&true), "an answer was lost");
    assert_eq!(backs.iter().filter(|back| **back).count(), 1, "both copies or none were used");
    let drops = drops.each_ref().map(|drops| drops.load(AnyOrder));
    assert_eq!(drops, [1, 1], "an answer was not dropped exactly once");
}

/// Two copies check whether they are withdrawn and answer, while their asker drops its `Ask`.
fn withdrawing_from_two(announces_first: bool) {
    let announced = Arc::new(AtomicBool::new(false));
    let drops: [Arc<Count>; 2] = Default::default();
    let (hedged, ask) = shared_slot(true);
    assert!(hedged.copies.join(), "no copy has ended");
    let [first, second] = drops.each_ref().map(|drops| Answer(Arc::clone(drops)));
    let copy = {
        let hedged = Arc::clone(&hedged);
        move |answer| {
            let sender = Sender::Shared(hedged);
            let withdrawn = sender.has_withdrawn() || announced.load(Acquire);
            // Planted: the other copy learns of an answer, and may still be the first to send one.
            announced.store(announces_first, Release);
            let back = sender.send(Ok(answer));
            !withdrawn || back.is_some()
        }
    };
    let other = thread::spawn({
        let copy = copy.clone();
        move || copy(first)
    });
    let asker = thread::spawn(move || drop(ask));
    let rights = [copy(second), other.join().unwrap()];
    asker.join().unwrap();
    drop(hedged);
    assert_eq!(rights, [true, true], "answered although the asker had withdrawn");
    let drops = drops.each_ref().map(|drops| drops.load(AnyOrder));
    assert_eq!(drops, [1, 1], "an answer was not dropped exactly once");
}

#[test]
fn an_asker_of_two_copies_receives_one_answer() {
    for answers in [[false, false], [false, true], [true, false], [true, true]] {
        explore(&format!("hedged reply, {answers:?}"), 3, move || hedging(ends, answers));
    }
}

#[test]
fn two_withdrawn_answers_are_handed_back() {
    explore("hedged reply, dropped", 3, || withdrawing_from_two(false));
}

#[test]
fn announcing_an_answer_before_sending_it_loses_it() {
    fails_with("announces, then answers", 2, "answered although the asker had withdrawn", || {
        withdrawing_from_two(true);
    });
}

#[test]
fn treating_an_error_as_an_answer_loses_the_answer() {
    fails_with("error treated as an answer", 2, "an answer was lost", || {
        hedging(ends_as_with_an_answer, [false, true]);
    });
}
