use std::num::NonZeroU32;

use raddle_sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A thread's right to run a worker whose host runs one task at a time. While the thread is in the
/// user's code (a *stay*), the watchdog may revoke the lease and give the worker to another thread.
///
/// # Protocol
/// The word has one of four values:
/// - [`INSIDE`] while the thread is in raddle's code. Only the thread changes that, so statistics
///   and mailbox are never taken from a thread that uses them.
/// - `start << 2 | kind` during a stay that began at `start`. The thread ends the stay, and the
///   watchdog revokes the lease, by a compare-exchange of this word, so one of the two fails: the
///   task is either ended by the thread or given up by the watchdog. Since the word includes the
///   start, a task that has just begun is not revoked for the time of the one before.
/// - [`WAITING`] while a handler or hook waits inside raddle, such as for a reply. The watchdog cannot
///   revoke the lease then. Afterwards the thread writes the stay again, with a start that is later by
///   the time that it waited.
/// - [`REVOKED`] forever after a revocation.
///
/// At a checkpoint, the thread [pauses](SerialLease::pause) the stay of its task: that is inside
/// raddle's code then. Another task has a stay of its own, which the watchdog revokes for both.
/// Afterwards the first stay is written again, as after a wait.
#[derive(Debug, Default)]
pub struct SerialLease {
    word: AtomicU64,
    /// The key of the running task; 0 for none.
    key: AtomicU32,
    /// The key of the task that has paused; 0 for none.
    paused_key: AtomicU32,
    /// The expected duration of the task that has paused, plus one; 0 if none has.
    paused: AtomicU64,
    /// For how many nanoseconds the handler has waited inside raddle. Only the thread uses it.
    blocked: AtomicU64,
    /// The tasks that the host runs side by side. Changed outside of stays alone.
    slots: Box<[LeasedTask]>,
}

/// A task in a slot of a concurrent host.
#[derive(Debug, Default)]
struct LeasedTask {
    /// 0 for none.
    key: AtomicU32,
    /// The expected duration plus one; 0 if there is no task.
    work: AtomicU64,
}

const INSIDE: u64 = 0;
const REVOKED: u64 = u64::MAX;
const TASK: u64 = 1;
const HOOK: u64 = 2;
const KIND: u64 = 3;
/// Unlike any stay: those have another kind.
const WAITING: u64 = KIND;

/// A stay in the user's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay(u64);

/// The stay of a task that has paused at a checkpoint.
#[derive(Debug)]
pub struct PausedStay {
    stay: Stay,
    /// For how long its handler had waited inside raddle.
    blocked: u64,
}

/// What a thread was doing when its worker was taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Whether it was running a task, and not a hook.
    pub task: bool,
    /// The key of that task.
    pub key: Option<NonZeroU32>,
    /// The task at whose checkpoint that one ran, if any.
    pub paused: Option<RevokedPause>,
}

/// A task that had paused, or waited in a slot, when its worker was taken from its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedPause {
    /// The task's key.
    pub key: Option<NonZeroU32>,
    /// The task's expected duration, in nanoseconds; 0 when unknown.
    pub expected_duration: u64,
}

impl SerialLease {
    /// Creates a lease that its thread holds.
    #[cfg(any(test, loom, shuttle))]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a lease of a host that runs up to this many tasks side by side. Its polls count as hooks.
    pub fn with_slots(slots: usize) -> Self {
        Self { slots: (0..slots).map(|_| LeasedTask::default()).collect(), ..Self::default() }
    }

    /// Notes the task that is in a slot from now on, or that there is none.
    pub fn set_slot(&self, slot: usize, task: Option<(Option<NonZeroU32>, u64)>) {
        let (key, work) = match task {
            Some((key, expected)) => (key.map_or(0, NonZeroU32::get), expected.saturating_add(1)),
            None => (0, 0),
        };
        // Relaxed: the next stay's Release publishes them.
        self.slots[slot].key.store(key, Relaxed);
        self.slots[slot].work.store(work, Relaxed);
    }

    /// Returns the tasks in the slots of a lease that was just revoked.
    pub fn revoked_slots(&self) -> impl Iterator<Item = RevokedPause> {
        self.slots.iter().filter_map(|task| {
            let expected_duration = task.work.load(Relaxed).checked_sub(1)?;
            Some(RevokedPause { key: NonZeroU32::new(task.key.load(Relaxed)), expected_duration })
        })
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
        self.word.compare_exchange(stay.0, INSIDE, Relaxed, Relaxed).is_ok() || self.end_moved()
    }

    /// Ends a stay that was suspended, and so has another start.
    #[cold]
    fn end_moved(&self) -> bool {
        let word = self.word.load(Relaxed);
        word != REVOKED && self.word.compare_exchange(word, INSIDE, Relaxed, Relaxed).is_ok()
    }

    /// Suspends the stay, because the handler or hook waits inside raddle. `None` if it is suspended
    /// already, or if the worker belongs to another thread.
    pub fn suspend(&self) -> Option<Stay> {
        let word = self.word.load(Relaxed);
        if word == WAITING || word == REVOKED {
            return None;
        }
        // Relaxed, as at the end of a stay.
        self.word.compare_exchange(word, WAITING, Relaxed, Relaxed).ok().map(Stay)
    }

    /// Resumes a stay that was suspended for `waited` nanoseconds, which do not count for it.
    pub fn resume(&self, Stay(word): Stay, waited: u64) {
        self.add_blocked(waited);
        let moved = match word {
            // No watchdog checks this lease.
            INSIDE => INSIDE,
            _ => (word >> 2).saturating_add(waited) << 2 | word & KIND,
        };
        // Release as in `begin`.
        self.word.store(moved, Release);
    }

    /// Pauses the task's stay, so that others can begin and end. `None` if the worker belongs to
    /// another thread.
    pub fn pause(&self) -> Option<PausedStay> {
        let word = self.word.load(Relaxed);
        // Relaxed, as at the end of a stay.
        if word == REVOKED || self.word.compare_exchange(word, INSIDE, Relaxed, Relaxed).is_err() {
            return None;
        }
        self.paused_key.store(self.key.load(Relaxed), Relaxed);
        self.set_paused_work(0);
        Some(PausedStay { stay: Stay(word), blocked: self.take_blocked() })
    }

    /// Sets the expected duration of the task that has paused.
    pub fn set_paused_work(&self, expected_duration: u64) {
        self.paused.store(expected_duration.saturating_add(1), Relaxed);
    }

    /// Continues a task's stay that has paused for this many nanoseconds, which do not count for it. Not
    /// after a revocation.
    pub fn unpause(&self, PausedStay { stay, blocked }: PausedStay, nanos: u64) {
        self.key.store(self.paused_key.load(Relaxed), Relaxed);
        self.paused.store(0, Relaxed);
        self.blocked.store(blocked, Relaxed);
        self.resume(stay, nanos);
    }

    /// Returns whether the handler or hook waits inside raddle.
    pub fn is_waiting(&self) -> bool {
        self.word.load(Relaxed) == WAITING
    }

    /// Notes that the handler has waited inside raddle for this many nanoseconds, outside of a stay.
    pub fn add_blocked(&self, nanos: u64) {
        self.blocked.store(self.blocked.load(Relaxed).saturating_add(nanos), Relaxed);
    }

    /// Takes the time that the handler or hook has waited inside raddle, in nanoseconds.
    #[inline]
    pub fn take_blocked(&self) -> u64 {
        let blocked = self.blocked.load(Relaxed);
        if blocked != 0 {
            self.blocked.store(0, Relaxed);
        }
        blocked
    }

    /// Returns the time that the handler or hook has waited inside raddle, in nanoseconds.
    pub fn blocked(&self) -> u64 {
        self.blocked.load(Relaxed)
    }

    /// Returns the stay in the user's code, if it has taken longer than `limit` at the clock's `now`.
    pub fn overdue(&self, now: u64, limit: u64) -> Option<Stay> {
        // Relaxed: `revoke` decides.
        match self.word.load(Relaxed) {
            INSIDE | WAITING | REVOKED => None,
            word => (now.saturating_sub(word >> 2) > limit).then_some(Stay(word)),
        }
    }

    /// Takes the worker from its thread, unless that has returned from the stay.
    pub fn revoke(&self, stay: Stay) -> Option<Revoked> {
        self.word.compare_exchange(stay.0, REVOKED, Acquire, Relaxed).ok()?;
        // After the exchange it is the key of this stay: the thread begins no other.
        let key = self.key.load(Relaxed);
        let task = stay.0 & KIND == TASK;
        let paused = self.paused.load(Relaxed).checked_sub(1).map(|expected_duration| {
            let key = NonZeroU32::new(self.paused_key.load(Relaxed));
            RevokedPause { key, expected_duration }
        });
        Some(Revoked { task, key: NonZeroU32::new(key).filter(|_| task), paused })
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
    fn the_time_of_a_wait_does_not_count_for_the_stay() {
        let lease = SerialLease::new();
        let stay = lease.begin_task(100, None);
        let suspended = lease.suspend().unwrap();
        assert_eq!((lease.suspend(), lease.is_waiting()), (None, true));
        assert_eq!(lease.overdue(1_000, 10), None);
        assert_eq!(lease.revoke(suspended), None);
        lease.resume(suspended, 900);
        assert_eq!((lease.overdue(1_010, 10), lease.is_waiting()), (None, false));
        assert!(lease.overdue(1_011, 10).is_some(), "its own time counts");
        assert!(lease.end(stay));
        assert_eq!((lease.take_blocked(), lease.take_blocked()), (900, 0));
    }

    #[test]
    fn a_stay_that_was_suspended_can_be_revoked_later() {
        let lease = SerialLease::new();
        let stay = lease.begin_task(100, NonZeroU32::new(7));
        let suspended = lease.suspend().unwrap();
        lease.resume(suspended, 900);
        let revoked = lease.revoke(lease.overdue(1_011, 10).unwrap()).unwrap();
        assert_eq!(revoked, Revoked { task: true, key: NonZeroU32::new(7), paused: None });
        assert!(!lease.end(stay) && lease.suspend().is_none());
    }

    #[test]
    fn a_lease_without_a_stay_can_be_suspended() {
        let lease = SerialLease::new();
        let suspended = lease.suspend().unwrap();
        lease.resume(suspended, 5);
        assert_eq!((lease.overdue(1_000, 0), lease.take_blocked()), (None, 5));
    }

    #[test]
    fn a_revoked_lease_returns_what_was_running_and_stays_revoked() {
        let lease = SerialLease::new();
        let stay = lease.begin_task(100, NonZeroU32::new(7));
        let revoked = lease.revoke(lease.overdue(200, 10).unwrap()).unwrap();
        assert_eq!(revoked, Revoked { task: true, key: NonZeroU32::new(7), paused: None });
        assert!(!lease.end(stay) && lease.is_revoked());
        assert_eq!(lease.overdue(1_000, 10), None);

        let lease = SerialLease::new();
        let _ = lease.begin_hook(100);
        let revoked = lease.revoke(lease.overdue(200, 10).unwrap()).unwrap();
        assert_eq!(revoked, Revoked { task: false, key: None, paused: None });
    }

    #[test]
    fn the_time_of_a_pause_counts_for_the_other_task_alone() {
        let lease = SerialLease::new();
        let outer = lease.begin_task(100, NonZeroU32::new(7));
        lease.resume(lease.suspend().unwrap(), 5);
        let paused = lease.pause().unwrap();
        assert_eq!((lease.overdue(1_000, 10), lease.take_blocked()), (None, 0));
        let inner = lease.begin_task(1_000, None);
        lease.resume(lease.suspend().unwrap(), 3);
        assert_eq!(lease.overdue(1_013, 10), None);
        assert!(lease.overdue(1_014, 10).is_some() && lease.end(inner));
        assert_eq!(lease.take_blocked(), 3);
        lease.unpause(paused, 914);
        assert_eq!(lease.overdue(100 + 5 + 914 + 10, 10), None);
        let revoked = lease.revoke(lease.overdue(100 + 5 + 914 + 11, 10).unwrap()).unwrap();
        assert_eq!(revoked, Revoked { task: true, key: NonZeroU32::new(7), paused: None });
        assert!(lease.pause().is_none() && !lease.end(outer));
        assert_eq!(lease.take_blocked(), 5 + 914);
    }

    #[test]
    fn a_lease_that_is_revoked_during_a_pause_returns_both_tasks() {
        let lease = SerialLease::new();
        let outer = lease.begin_task(100, NonZeroU32::new(7));
        let _paused = lease.pause().unwrap();
        lease.set_paused_work(30);
        let inner = lease.begin_task(200, None);
        let revoked = lease.revoke(lease.overdue(211, 10).unwrap()).unwrap();
        let paused = Some(RevokedPause { key: NonZeroU32::new(7), expected_duration: 30 });
        assert_eq!(revoked, Revoked { task: true, key: None, paused });
        assert!(!lease.end(inner) && lease.pause().is_none() && !lease.end(outer));
    }

    #[test]
    fn a_lease_that_no_watchdog_checks_can_be_paused() {
        let lease = SerialLease::new();
        let paused = lease.pause().unwrap();
        lease.resume(lease.suspend().unwrap(), 3);
        assert_eq!(lease.take_blocked(), 3, "the other task's");
        lease.unpause(paused, 9);
        assert_eq!((lease.overdue(1_000, 0), lease.take_blocked()), (None, 9));
    }
}
