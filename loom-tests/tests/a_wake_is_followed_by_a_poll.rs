//! An async handler that is woken is polled again, whatever its worker does meanwhile, and one whose
//! asker withdraws is dropped.
#![cfg(loom)]

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::mailbox::{Alarm, Alarms, Notify};
use raddle_runtime::models::{Asker, SharedReply, shared_slot};
use raddle_sync::Slot;
use raddle_sync::atomic::{
    AtomicBool,
    Ordering::{self, Acquire, Relaxed, Release},
};

/// A value that is leaked when the model fails: dropping a channel that a deadlock has left locked panics
/// once more.
struct Kept<T>(ManuallyDrop<T>);

impl<T> Kept<T> {
    fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }
    fn drop(kept: Self) {
        drop(ManuallyDrop::into_inner(kept.0));
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A handler's waker, as its worker sees it.
trait Waking: Send + Sync + 'static {
    fn new(notify: Notify) -> Self;
    fn wake(self: &Arc<Self>);
    /// Takes the wakes so far.
    fn take(&self) -> bool;
}

impl Waking for Alarm {
    fn new(notify: Notify) -> Self {
        Alarm::new(notify)
    }
    fn wake(self: &Arc<Self>) {
        self.wake_by_ref();
    }
    fn take(&self) -> bool {
        Alarm::take(self)
    }
}

/// `wakes` threads wake a handler, and what it waits for is there before the last of them: the others are
/// wakers of handlers that have ended.
fn waking<W: Waking>(wakes: usize) {
    let notify = Kept::new(Notify::default());
    let alarm = Kept::new(Arc::new(W::new((*notify).clone())));
    let ready = Arc::new(AtomicBool::new(false));
    let wakers: Vec<_> = (0..wakes)
        .map(|number| {
            let (alarm, ready) = (Arc::clone(&alarm), Arc::clone(&ready));
            thread::spawn(move || {
                if number == 0 {
                    ready.store(true, Relaxed);
                }
                alarm.wake();
            })
        })
        .collect();
    let is_ready = || ready.load(Relaxed);
    let mut has_ended = is_ready();
    while !has_ended {
        if alarm.take() {
            has_ended = is_ready();
        } else {
            notify.wait();
        }
    }
    wakers.into_iter().for_each(|waker| waker.join().unwrap());
    Kept::drop(alarm);
    Kept::drop(notify);
}

/// Two handlers in slots of one worker are woken by a thread each.
fn waking_slots() {
    const SLOTS: [usize; 2] = [1, 64];
    let notify = Kept::new(Notify::default());
    let alarms = Kept::new(Alarms::new((*notify).clone(), 65));
    let ready = SLOTS.map(|_| Arc::new(AtomicBool::new(false)));
    let wakers = [0, 1].map(|index| {
        let (alarm, ready) = (alarms.of(SLOTS[index]), Arc::clone(&ready[index]));
        thread::spawn(move || {
            ready.store(true, Relaxed);
            Waker::from(alarm).wake();
        })
    });
    let mut ended = [false; 2];
    while ended != [true; 2] {
        let mut woken = false;
        alarms.take(|slot| {
            woken = true;
            let index = SLOTS.iter().position(|other| *other == slot).unwrap();
            ended[index] |= ready[index].load(Relaxed);
        });
        if !woken {
            notify.wait();
        }
    }
    wakers.into_iter().for_each(|waker| waker.join().unwrap());
    Kept::drop(alarms);
    Kept::drop(notify);
}

#[test]
fn every_woken_slot_is_polled() {
    explore("wake, two slots", 3, waking_slots);
}

#[test]
fn a_woken_handler_is_polled() {
    explore("wake", 3, || waking::<Alarm>(1));
    explore("wake, and a late one of another handler", 3, || waking::<Alarm>(2));
}

struct Flag {
    notify: Notify,
    woken: AtomicBool,
}

impl Flag {
    fn new(notify: Notify) -> Self {
        Self { notify, woken: AtomicBool::new(false) }
    }
    fn set(&self, ordering: Ordering) {
        if !self.woken.swap(true, ordering) {
            self.notify.notify();
        }
    }
}

/// Declares a twin with one step of [`Waking`] replaced.
macro_rules! twin {
    ($(#[$doc:meta])* $name:ident, $($step:item)*) => {
        $(#[$doc])*
        struct $name(Flag);

        impl Waking for $name {
            fn new(notify: Notify) -> Self {
                Self(Flag::new(notify))
            }
            $($step)*
        }
    };
}

twin! {
    /// Planted: a wake between the load and the store is neither taken nor notified.
    TakesByLoadAndStore,
    fn wake(self: &Arc<Self>) {
        self.0.set(Release);
    }
    fn take(&self) -> bool {
        let woken = self.0.woken.load(Acquire);
        self.0.woken.store(false, Relaxed);
        woken
    }
}

twin! {
    /// Planted: the poll may read what was there before the wake.
    TakesRelaxed,
    fn wake(self: &Arc<Self>) {
        self.0.set(Release);
    }
    fn take(&self) -> bool {
        self.0.woken.swap(false, Relaxed)
    }
}

twin! {
    /// Planted: the same.
    SetsRelaxed,
    fn wake(self: &Arc<Self>) {
        self.0.set(Relaxed);
    }
    fn take(&self) -> bool {
        self.0.woken.swap(false, Acquire)
    }
}

twin! {
    /// Planted: the worker may find no wake after the notification.
    NotifiesFirst,
    fn wake(self: &Arc<Self>) {
        self.0.notify.notify();
        self.0.woken.store(true, Release);
    }
    fn take(&self) -> bool {
        self.0.woken.swap(false, Acquire)
    }
}

#[test]
fn a_wake_that_is_lost_leaves_the_handler_waiting() {
    fails_with("takes by a load and a store", 3, "deadlock", || waking::<TakesByLoadAndStore>(2));
    fails_with("takes Relaxed", 3, "deadlock", || waking::<TakesRelaxed>(1));
    fails_with("sets Relaxed", 3, "deadlock", || waking::<SetsRelaxed>(1));
    fails_with("notifies, then sets", 3, "deadlock", || waking::<NotifiesFirst>(1));
}

/// What a task's workers wait for, when it is to end with its [`Ask`](raddle_runtime::Ask).
trait Cancelling: Send + Sync + 'static {
    /// Registers a worker that waits.
    fn on_cancel(&self, alarm: &Arc<Alarm>);
    fn has_cancelled(&self) -> bool;
}

impl Cancelling for SharedReply<()> {
    fn on_cancel(&self, alarm: &Arc<Alarm>) {
        Asker::on_cancel(self, alarm);
    }
    fn has_cancelled(&self) -> bool {
        Asker::has_cancelled(self)
    }
}

/// The handlers of as many copies wait until the asker withdraws.
fn cancelling<C: Cancelling>(
    copies: usize,
    task: Arc<C>,
    withdraw: impl FnOnce() + Send + 'static,
) {
    let wait = |task: &C| {
        let notify = Kept::new(Notify::default());
        let alarm = Kept::new(Arc::new(Alarm::new((*notify).clone())));
        task.on_cancel(&alarm);
        while !task.has_cancelled() {
            notify.wait();
        }
        Kept::drop(alarm);
        Kept::drop(notify);
    };
    let others: Vec<_> = (1..copies)
        .map(|_| {
            let task = Arc::clone(&task);
            thread::spawn(move || wait(&task))
        })
        .collect();
    let asker = thread::spawn(withdraw);
    wait(&task);
    others.into_iter().chain([asker]).for_each(|thread| thread.join().unwrap());
}

#[test]
fn withdrawing_ends_every_handler_of_the_task() {
    for copies in [1, 2] {
        explore(&format!("withdrawal, {copies} copies"), 3, move || {
            let (shared, ask) = shared_slot(true);
            cancelling(copies, shared, move || drop(ask));
        });
    }
}

/// [`SharedReply`]'s part, with steps that are left out.
#[derive(Default)]
struct Twin {
    withdrawn: AtomicBool,
    alarms: [Slot<Arc<Alarm>>; 2],
    /// Planted: rings before the task is withdrawn.
    rings_first: bool,
    /// Planted: does not check again when it moves the other copy's alarm.
    moves_blindly: bool,
}

impl Twin {
    fn withdraw(&self) {
        let ring = || self.alarms.iter().filter_map(Slot::take).for_each(|alarm| alarm.ring());
        if self.rings_first {
            ring();
        }
        self.withdrawn.store(true, Relaxed);
        if !self.rings_first {
            ring();
        }
    }
}

impl Cancelling for Twin {
    fn on_cancel(&self, alarm: &Arc<Alarm>) {
        if let Some(other) = self.alarms[0].put(Arc::clone(alarm)) {
            drop(self.alarms[1].put(Arc::clone(&other)));
            if !self.moves_blindly && self.withdrawn.load(Relaxed) {
                other.ring();
            }
        }
    }
    fn has_cancelled(&self) -> bool {
        self.withdrawn.load(Relaxed)
    }
}

#[test]
fn a_withdrawal_that_is_not_rung_leaves_a_handler_waiting() {
    let fails = |name, copies, rings_first, moves_blindly| {
        fails_with(name, 3, "deadlock", move || {
            let twin = Arc::new(Twin { rings_first, moves_blindly, ..Twin::default() });
            let asker = Arc::clone(&twin);
            cancelling(copies, twin, move || asker.withdraw());
        });
    };
    fails("rings, then withdraws", 1, true, false);
    fails("moves an alarm blindly", 2, false, true);
}
