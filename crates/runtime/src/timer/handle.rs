use std::fmt;
use std::sync::Arc;

use raddle_sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// It will fire, if nobody cancels it.
const PENDING: u32 = 0;
/// It was to fire once, and has begun to.
const FIRED: u32 = 1;
/// It will not fire any more.
const CANCELLED: u32 = 2;

/// A timer, to be called off by any thread. Dropping it cancels nothing; clones are of one timer.
#[derive(Clone)]
pub struct TimerHandle(Arc<Timer>);

struct Timer {
    /// `PENDING` until a compare-exchange makes it one of the others, for good.
    state: AtomicU32,
    /// How many of the queue's timers are cancelled and still in it, or a few more.
    cancelled: Arc<AtomicUsize>,
}

impl TimerHandle {
    pub(super) fn new(cancelled: Arc<AtomicUsize>) -> Self {
        Self(Arc::new(Timer { state: AtomicU32::new(PENDING), cancelled }))
    }

    /// Calls the timer off; whether that prevented its next firing. After `true` no firing begins,
    /// ever; one of a periodic timer that had begun goes on. `false` when it has fired, or was
    /// cancelled before.
    ///
    /// Wait-free; allocates nothing. What the timer holds is dropped later, by the thread that
    /// fires it.
    pub fn cancel(&self) -> bool {
        let Timer { state, cancelled } = &*self.0;
        if state.load(Relaxed) != PENDING {
            return false;
        }
        // Before the state, so that the queue never takes off what was not counted: too many for a
        // moment is harmless.
        cancelled.fetch_add(1, Relaxed);
        // Release pairs with the Acquire of `claim` and `is_cancelled`: who sees the timer
        // cancelled, sees it counted.
        let prevented = state.compare_exchange(PENDING, CANCELLED, Release, Relaxed).is_ok();
        if !prevented {
            cancelled.fetch_sub(1, Relaxed);
        }
        prevented
    }

    /// Whether it will fire, or fire again, if nobody cancels it. Another thread may do so while
    /// this is read.
    pub fn is_active(&self) -> bool {
        self.0.state.load(Relaxed) == PENDING
    }

    /// Begins a firing; `false` when the timer is cancelled. To be called by the queue.
    pub(super) fn claim(&self, is_periodic: bool) -> bool {
        // Also where it stays pending a read-modify-write: it comes before or after each cancel in
        // the word's one order, where a load could miss one that is over.
        let next = if is_periodic { PENDING } else { FIRED };
        self.0.state.compare_exchange(PENDING, next, Relaxed, Acquire).is_ok()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.state.load(Acquire) == CANCELLED
    }

    /// Tells that the timer, which was seen to be cancelled, has left the queue.
    pub(super) fn uncount(&self) {
        // By a load, which may be older than what the subtraction meets.
        let counted = self.0.cancelled.load(Relaxed);
        debug_assert!(counted > 0, "a cancelled timer was met before it was counted");
        self.0.cancelled.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.state.load(Relaxed) {
            PENDING => "TimerHandle(pending)",
            FIRED => "TimerHandle(fired)",
            _ => "TimerHandle(cancelled)",
        })
    }
}
