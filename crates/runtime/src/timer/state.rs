use std::fmt;
use std::sync::Arc;

use raddle_sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// It will fire unless it is cancelled.
const PENDING: u32 = 0;
/// It fires once, and has begun to.
const FIRED: u32 = 1;
/// It will not fire any more.
const CANCELLED: u32 = 2;

/// Whether a timer fires or is cancelled, which any thread may decide. Dropping it cancels nothing;
/// clones share the timer.
#[derive(Clone)]
pub struct TimerState(Arc<Shared>);

struct Shared {
    /// `PENDING` until a compare-exchange changes it, once.
    state: AtomicU32,
    /// The number of cancelled timers that are still in the queue, or a few more.
    cancelled: Arc<AtomicUsize>,
}

impl TimerState {
    pub(super) fn new(cancelled: Arc<AtomicUsize>) -> Self {
        Self(Arc::new(Shared { state: AtomicU32::new(PENDING), cancelled }))
    }

    /// Cancels the timer. Returns whether that prevented its next firing: after `true` no firing
    /// begins any more, though one of a periodic timer that had begun continues; `false` if the
    /// timer has fired or was cancelled before.
    ///
    /// Wait-free, allocates nothing. What the queue holds for the timer is dropped later, by the
    /// thread that fires timers.
    pub fn cancel(&self) -> bool {
        let Shared { state, cancelled } = &*self.0;
        if state.load(Relaxed) != PENDING {
            return false;
        }
        // Before the state, so that the queue never subtracts what was not counted. A count that is too
        // high for a moment is harmless.
        cancelled.fetch_add(1, Relaxed);
        // Release pairs with the Acquire of `decide` and `is_cancelled`: a thread that sees the timer
        // cancelled also sees it counted.
        let prevented = state.compare_exchange(PENDING, CANCELLED, Release, Relaxed).is_ok();
        if !prevented {
            cancelled.fetch_sub(1, Relaxed);
        }
        prevented
    }

    /// Returns whether the timer will fire, or fire again, unless it is cancelled.
    pub fn is_active(&self) -> bool {
        self.0.state.load(Relaxed) == PENDING
    }

    /// Begins a firing; `false` if the timer is cancelled. For the queue.
    pub(super) fn claim(&self, is_periodic: bool) -> bool {
        self.decide(if is_periodic { PENDING } else { FIRED })
    }

    /// Cancels a timer that has left the queue, and so is not counted; `false` if it was cancelled
    /// before. For the queue.
    pub(super) fn expel(&self) -> bool {
        self.decide(CANCELLED)
    }

    fn decide(&self, next: u32) -> bool {
        // A read-modify-write even if it stays pending: it precedes or follows each cancel in the
        // word's modification order, whereas a load could miss one that has returned.
        self.0.state.compare_exchange(PENDING, next, Relaxed, Acquire).is_ok()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.state.load(Acquire) == CANCELLED
    }

    /// Takes a cancelled timer, which has left the queue, off the count.
    pub(super) fn uncount(&self) {
        // The load may be older than what the subtraction meets.
        let counted = self.0.cancelled.load(Relaxed);
        debug_assert!(counted > 0, "a cancelled timer left the queue before it was counted");
        self.0.cancelled.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for TimerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.state.load(Relaxed) {
            PENDING => "pending",
            FIRED => "fired",
            _ => "cancelled",
        })
    }
}
