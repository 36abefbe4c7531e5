use std::num::NonZeroU32;

use raddle_sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A thread's right to run a worker whose host runs one task at a time. While the thread is in the
/// user's code (a *stay*), the watchdog may revoke the lease and give the worker to another thread.
///
/// # Protocol
/// The word has one of three values:
/// - [`INSIDE`] while the thread is in raddle's code. Only the thread changes that, so statistics
///   and mailbox are never taken from a thread that uses them.
/// - `start << 2 | kind` during a stay that began at `start`. The thread ends the stay, and the
///   watchdog revokes the lease, by a compare-exchange of this word, so one of the two fails: the
///   task is either ended by the thread or given up by the watchdog. Since the word includes the
///   start, a task that has just begun is not revoked for the time of the one before.
/// - [`REVOKED`] forever after a revocation.
#[derive(Debug, Default)]
pub struct SerialLease {
    word: AtomicU64,
    /// The key of the running task; 0 for none.
    key: AtomicU32,
}

const INSIDE: u64 = 0;
const REVOKED: u64 = u64::MAX;
const TASK: u64 = 1;
const HOOK: u64 = 2;
const KIND: u64 = 3;

/// A stay in the user's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay(u64);

/// What a thread was doing when its worker was taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Whether it was running a task, and not a hook.
    pub task: bool,
    /// The key of that task.
    pub key: Option<NonZeroU32>,
}

impl SerialLease {
    /// Creates a lease that its thread holds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a task's handler at the clock's `now`.
    #[inline]
    pub fn begin_task(&self, now: u64, key: Option<NonZeroU32>) -> Stay {
        self.key.store(key.map_or(0, NonZeroU32::get), Relaxed);
        self.begin(now, TASK)
    }

    /// Begins a hook at the clock's `now`.
    pub fn begin_hook(&self, now: u64) -> Stay {
        self.begin(now, HOOK)
    }

    #[inline]
    fn begin(&self, now: u64, kind: u64) -> Stay {
        let word = now << 2 | kind;
        // Release pairs with the Acquire of `revoke`: the thread that takes the worker sees everything
        // that this one did to it, and the key.
        self.word.store(word, Release);
        Stay(word)
    }

    /// Ends the handler or hook. Returns `false` if the worker now belongs to another thread.
    #[inline]
    pub fn end(&self, stay: Stay) -> bool {
        // Relaxed: the watchdog's side writes nothing that this thread reads.
        self.word.compare_exchange(stay.0, INSIDE, Relaxed, Relaxed).is_ok()
    }

    /// Returns the stay in the user's code, if it has taken longer than `limit` at the clock's `now`.
    pub fn overdue(&self, now: u64, limit: u64) -> Option<Stay> {
        // Relaxed: `revoke` decides.
        match self.word.load(Relaxed) {
            INSIDE | REVOKED => None,
            word => (now.saturating_sub(word >> 2) > limit).then_some(Stay(word)),
        }
    }

    /// Takes the worker from its thread, unless that has returned from the stay.
    pub fn revoke(&self, stay: Stay) -> Option<Revoked> {
        self.word.compare_exchange(stay.0, REVOKED, Acquire, Relaxed).ok()?;
        // After the exchange it is the key of this stay: the thread begins no other.
        let key = self.key.load(Relaxed);
        let task = stay.0 & KIND == TASK;
        Some(Revoked { task, key: NonZeroU32::new(key).filter(|_| task) })
    }

    /// Returns whether the worker was taken from its thread.
    pub fn is_revoked(&self) -> bool {
        self.word.load(Relaxed) == REVOKED
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_returned_keeps_its_worker() {
        let lease = SerialLease::new();
        assert_eq!(lease.overdue(1_000, 10), None);
        let stay = lease.begin_task(100, None);
        assert_eq!(lease.overdue(110, 10), None);
        assert_eq!(lease.overdue(50, 10), None, "the clock went back");
        let seen = lease.overdue(111, 10).unwrap();
        assert!(lease.end(stay));
        assert_eq!(lease.revoke(seen), None);
        assert!(!lease.is_revoked());
    }

    #[test]
    fn a_task_is_not_revoked_for_the_time_of_the_previous_one() {
        let lease = SerialLease::new();
        let stay = lease.begin_task(100, None);
        let seen = lease.overdue(200, 10).unwrap();
        assert!(lease.end(stay));
        let next = lease.begin_task(200, None);
        assert_eq!(lease.revoke(seen), None);
        assert!(lease.end(next));
    }

    #[test]
    fn a_revoked_lease_returns_what_was_running_and_stays_revoked() {
        let lease = SerialLease::new();
        let stay = lease.begin_task(100, NonZeroU32::new(7));
        let revoked = lease.revoke(lease.overdue(200, 10).unwrap()).unwrap();
        assert_eq!(revoked, Revoked { task: true, key: NonZeroU32::new(7) });
        assert!(!lease.end(stay) && lease.is_revoked());
        assert_eq!(lease.overdue(1_000, 10), None);

        let lease = SerialLease::new();
        let _ = lease.begin_hook(100);
        let revoked = lease.revoke(lease.overdue(200, 10).unwrap()).unwrap();
        assert_eq!(revoked, Revoked { task: false, key: None });
    }
}
