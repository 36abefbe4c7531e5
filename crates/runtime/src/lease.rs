use std::num::NonZeroU32;

use raddle_sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Who a worker is: the thread that holds its lease. While the thread is in the user's code, the
/// watchdog may revoke the lease and give the worker to another thread.
///
/// # Protocol
/// The word is `start << 2 | kind` while the thread is in the user's code since `start`, [`INSIDE`]
/// while it is in ours, [`REVOKED`] for ever after. Only the thread leaves `INSIDE`, so that a
/// worker's statistics and mailbox are never taken from under a thread that uses them; both the
/// thread and the watchdog leave the user's code by a compare-exchange of the very word that they
/// saw, so that one of them fails: a task is ended by one of the two, and one that has only just
/// begun is not revoked for its predecessor's time.
#[derive(Debug)]
pub struct Lease {
    word: AtomicU64,
    /// The slot of the running task's key; 0 for none.
    slot: AtomicU32,
}

const INSIDE: u64 = 0;
const REVOKED: u64 = u64::MAX;
const TASK: u64 = 1;
const HOOK: u64 = 2;
const KIND: u64 = 3;

/// A stay in the user's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay(u64);

/// A worker taken from its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Whether the thread was running a task, and not a hook.
    pub task: bool,
    /// The slot of that task's key.
    pub slot: Option<NonZeroU32>,
}

impl Lease {
    /// A lease held by the thread it is made for.
    pub fn new() -> Self {
        Self { word: AtomicU64::new(INSIDE), slot: AtomicU32::new(0) }
    }

    /// The thread is about to run a task's handler, at the clock's `now`.
    #[inline]
    pub fn begin_task(&self, now: u64, slot: Option<NonZeroU32>) -> Stay {
        self.slot.store(slot.map_or(0, NonZeroU32::get), Relaxed);
        self.begin(now, TASK)
    }

    /// The thread is about to run other code of the user's.
    pub fn begin_hook(&self, now: u64) -> Stay {
        self.begin(now, HOOK)
    }

    #[inline]
    fn begin(&self, now: u64, kind: u64) -> Stay {
        let word = now << 2 | kind;
        // Release pairs with the Acquire of `revoke`: who takes the worker comes after everything
        // that its thread did to it, and after it told the slot.
        self.word.store(word, Release);
        Stay(word)
    }

    /// The thread is back. `false` when the worker is no longer its own.
    #[inline]
    pub fn end(&self, stay: Stay) -> bool {
        // Nothing is read that another thread wrote: the watchdog's side is REVOKED or nothing.
        self.word.compare_exchange(stay.0, INSIDE, Relaxed, Relaxed).is_ok()
    }

    /// A stay in the user's code that is longer than `limit` at the clock's `now`.
    pub fn overdue(&self, now: u64, limit: u64) -> Option<Stay> {
        // Relaxed: what is done about it is decided by `revoke`.
        match self.word.load(Relaxed) {
            INSIDE | REVOKED => None,
            word => (now.saturating_sub(word >> 2) > limit).then_some(Stay(word)),
        }
    }

    /// Takes the worker from its thread, unless that has come back from the stay.
    pub fn revoke(&self, stay: Stay) -> Option<Revoked> {
        self.word.compare_exchange(stay.0, REVOKED, Acquire, Relaxed).ok()?;
        // Afterwards: it is that of this stay, as the thread comes back and begins no other.
        let slot = self.slot.load(Relaxed);
        let task = stay.0 & KIND == TASK;
        Some(Revoked { task, slot: NonZeroU32::new(slot).filter(|_| task) })
    }

    /// Whether the worker was taken from its thread.
    pub fn is_revoked(&self) -> bool {
        self.word.load(Relaxed) == REVOKED
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_back_keeps_its_worker() {
        let lease = Lease::new();
        assert_eq!(lease.overdue(1_000, 10), None);
        let stay = lease.begin_task(100, None);
        assert_eq!(lease.overdue(110, 10), None);
        assert_eq!(lease.overdue(50, 10), None, "a clock that went back");
        let seen = lease.overdue(111, 10).unwrap();
        assert!(lease.end(stay));
        assert_eq!(lease.revoke(seen), None);
        assert!(!lease.is_revoked());
    }

    #[test]
    fn the_next_task_is_not_revoked_for_its_predecessor_s_time() {
        let lease = Lease::new();
        let stay = lease.begin_task(100, None);
        let seen = lease.overdue(200, 10).unwrap();
        assert!(lease.end(stay));
        let next = lease.begin_task(200, None);
        assert_eq!(lease.revoke(seen), None);
        assert!(lease.end(next));
    }

    #[test]
    fn a_revoked_lease_says_what_was_running_and_stays_revoked() {
        let lease = Lease::new();
        let stay = lease.begin_task(100, NonZeroU32::new(7));
        let revoked = lease.revoke(lease.overdue(200, 10).unwrap()).unwrap();
        assert_eq!(revoked, Revoked { task: true, slot: NonZeroU32::new(7) });
        assert!(!lease.end(stay) && lease.is_revoked());
        assert_eq!(lease.overdue(1_000, 10), None);

        let lease = Lease::new();
        let _ = lease.begin_hook(100);
        let revoked = lease.revoke(lease.overdue(200, 10).unwrap()).unwrap();
        assert_eq!(revoked, Revoked { task: false, slot: None });
    }
}
