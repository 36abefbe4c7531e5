//! A timer is cancelled while another thread fires due timers: either exactly one cancel prevents
//! the firing and reports so, or the timer fires. No firing starts after a cancel.
#![cfg(loom)]

use std::num::NonZeroU64;
use std::sync::Arc;

use loom::thread;
use raddle_loom_tests::{explore, fails_with};
use raddle_runtime::models::{TimerQueue, TimerState};
use raddle_sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Release},
};

/// A queue with one timer, which is always due.
trait Timer: Send + Sized + 'static {
    type Handle: Clone + Send + 'static;

    fn new(is_periodic: bool) -> (Self, Self::Handle);
    /// Fires the timer; returns `false` if it no longer can.
    fn fire(&mut self) -> bool;
    /// Cancels the timer; returns `true` if this prevented its next firing.
    fn cancel(handle: &Self::Handle) -> bool;
}

impl Timer for TimerQueue<()> {
    type Handle = TimerState;

    fn new(is_periodic: bool) -> (Self, TimerState) {
        let mut queue = TimerQueue::default();
        let handle = queue.push(0, is_periodic.then_some(NonZeroU64::MIN), ());
        (queue, handle)
    }
    fn fire(&mut self) -> bool {
        // A periodic timer is due again.
        let now = self.next_due();
        now.is_some_and(|now| self.pop_due(now).is_some())
    }
    fn cancel(handle: &TimerState) -> bool {
        handle.cancel()
    }
}

/// A minimal timer with a planted bug.
struct Twin<const BUG: u8> {
    state: Arc<AtomicU32>,
    is_periodic: bool,
}

/// A firing is claimed by a load and a store.
const FIRES_BY_STORE: u8 = 0;
/// A cancel is a load and a store.
const CANCELS_BY_STORE: u8 = 1;

const PENDING: u32 = 0;
const FIRED: u32 = 1;
const CANCELLED: u32 = 2;

/// Changes the state from pending to `next`; returns `false` if it is not pending.
fn decide(state: &AtomicU32, next: u32, by_store: bool) -> bool {
    if !by_store {
        return state.compare_exchange(PENDING, next, Release, Acquire).is_ok();
    }
    // Planted: the other side may decide between the load and the store.
    let is_pending = state.load(Acquire) == PENDING;
    if is_pending {
        state.store(next, Release);
    }
    is_pending
}

impl<const BUG: u8> Timer for Twin<BUG> {
    type Handle = Arc<AtomicU32>;

    fn new(is_periodic: bool) -> (Self, Self::Handle) {
        let state = Arc::new(AtomicU32::new(PENDING));
        (Self { state: Arc::clone(&state), is_periodic }, state)
    }
    fn fire(&mut self) -> bool {
        let next = if self.is_periodic { PENDING } else { FIRED };
        decide(&self.state, next, BUG == FIRES_BY_STORE)
    }
    fn cancel(state: &Self::Handle) -> bool {
        decide(state, CANCELLED, BUG == CANCELS_BY_STORE)
    }
}

/// This thread fires the timer while others cancel it.
fn fires_here<T: Timer>(cancellers: usize) {
    let (mut timer, handle) = T::new(false);
    let threads: Vec<_> = (0..cancellers)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || T::cancel(&handle))
        })
        .collect();
    let fired = timer.fire();
    let cancels = threads.into_iter().map(|thread| thread.join().unwrap());
    let cancels = cancels.filter(|prevented| *prevented).count();
    assert_eq!(usize::from(fired) + cancels, 1, "fired: {fired}, cancelled {cancels} times");
    assert!(!timer.fire(), "fired twice");
}

/// This thread cancels the timer while another fires it.
fn cancels_here<T: Timer>() {
    let (mut timer, handle) = T::new(false);
    let firing = thread::spawn(move || timer.fire());
    let cancels = usize::from(T::cancel(&handle));
    let fired = firing.join().unwrap();
    assert_eq!(usize::from(fired) + cancels, 1, "fired: {fired}, cancelled {cancels} times");
}

/// This thread fires a periodic timer repeatedly while another cancels it.
fn a_periodic_timer_stops_at_the_cancel<T: Timer>() {
    let (mut timer, handle) = T::new(true);
    let cancelled = Arc::new(AtomicBool::new(false));
    let canceller = thread::spawn({
        let cancelled = Arc::clone(&cancelled);
        move || {
            assert!(T::cancel(&handle), "a periodic timer ended before the cancel");
            cancelled.store(true, Release);
        }
    });
    for _ in 0..2 {
        let was_cancelled = cancelled.load(Acquire);
        let fired = timer.fire();
        assert!(!(was_cancelled && fired), "fired after the cancel");
    }
    canceller.join().unwrap();
    assert!(!timer.fire(), "fired after the cancel");
}

#[test]
fn a_timer_with_one_canceller() {
    explore("timer, fired while cancelled", 3, || fires_here::<TimerQueue<()>>(1));
    explore("timer, cancelled while fired", 3, cancels_here::<TimerQueue<()>>);
}

#[test]
fn a_timer_with_two_cancellers() {
    explore("timer, two cancellers", 3, || fires_here::<TimerQueue<()>>(2));
}

#[test]
fn a_periodic_timer_with_one_canceller() {
    let model = a_periodic_timer_stops_at_the_cancel::<TimerQueue<()>>;
    explore("timer, periodic", 3, model);
}

#[test]
fn a_firing_by_store_misses_a_cancel() {
    fails_with("timer fires by store", 2, "fired: true, cancelled 1 times", || {
        fires_here::<Twin<FIRES_BY_STORE>>(1);
    });
}

#[test]
fn a_cancel_by_store_misses_a_firing() {
    let model = cancels_here::<Twin<CANCELS_BY_STORE>>;
    fails_with("timer cancels by store", 2, "fired: true, cancelled 1 times", model);
}

#[test]
fn a_periodic_firing_by_store_undoes_a_cancel() {
    let model = a_periodic_timer_stops_at_the_cancel::<Twin<FIRES_BY_STORE>>;
    fails_with("periodic timer fires by store", 2, "fired after the cancel", model);
}
