//! The tasks of a worker whose replies are owed: their handlers have returned, and the replies come
//! later, from any thread. They stay in flight until the worker's thread has recorded their ends.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::{OnceLock, Weak};

use raddle_core::{Completion, KeyAge, Outcome};
use raddle_sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use raddle_sync::channel::{self, Receiver, Sender};
use raddle_sync::lock::ColdLock;

/// What the worker's thread must know of an owed task to record its end.
#[derive(Clone, Copy, Debug)]
pub struct OwedTask {
    /// The end, apart from the outcome, the service time and the time.
    pub completion: Completion,
    /// When the handler started, by the clock, moved by the time that it was blocked.
    pub started: u64,
    /// The partition of the task's key.
    pub key: Option<NonZeroU32>,
    pub key_age: Option<KeyAge>,
}

/// A reply that is owed, as a shutdown sees it.
pub trait Debt: Send + Sync {
    /// Tells the asker that the pool was shut down, unless there is an answer already. Returns whether
    /// this ended the task.
    fn cancel(&self) -> bool;
}

/// How an owed task ended.
#[derive(Clone, Copy, Debug)]
pub struct OwedEnd {
    /// Its index among the owed tasks of its worker.
    pub index: usize,
    pub outcome: Outcome,
    /// By the clock.
    pub at: u64,
}

/// Where the ends of owed tasks are recorded: a worker's mailbox, whatever its tasks.
pub trait Debtor: Send + Sync {
    /// Hands the end to the worker's thread, and wakes it. Lock-free; allocates once in 31 times.
    fn end(&self, end: OwedEnd);
}

/// The owed tasks of a worker, and those of their ends that are not recorded yet.
#[derive(Default)]
pub(super) struct OwedTasks {
    /// Locked when a handler has deferred its reply, when the end of such a task is recorded, for
    /// tasks with keys while any is owed, and by shutdowns.
    tasks: ColdLock<Tasks>,
    /// The number of tasks.
    count: AtomicUsize,
    /// Created with the first task.
    ends: OnceLock<(Sender<OwedEnd>, Receiver<OwedEnd>)>,
    /// Whether there are ends since the worker's thread began to record some.
    ended: AtomicBool,
}

#[derive(Default)]
struct Tasks {
    slots: Vec<Option<(OwedTask, Weak<dyn Debt>)>>,
    free: Vec<usize>,
    keys: HashSet<NonZeroU32>,
}

impl OwedTasks {
    /// Adds a task, and returns its index.
    pub(super) fn add(&self, task: OwedTask, debt: Weak<dyn Debt>) -> usize {
        self.ends.get_or_init(channel::unbounded);
        let mut tasks = self.tasks.lock();
        tasks.keys.extend(task.key);
        let index = tasks.free.pop().unwrap_or(tasks.slots.len());
        if index == tasks.slots.len() {
            tasks.slots.push(None);
        }
        tasks.slots[index] = Some((task, debt));
        // Relaxed: only the worker's thread concludes from it that it may wait, and whoever changes
        // it meanwhile notifies that thread afterwards.
        self.count.store(tasks.slots.len() - tasks.free.len(), Relaxed);
        index
    }

    fn remove(&self, index: usize) -> Option<OwedTask> {
        let mut tasks = self.tasks.lock();
        let (task, _) = tasks.slots.get_mut(index)?.take()?;
        tasks.free.push(index);
        if let Some(key) = task.key {
            tasks.keys.remove(&key);
        }
        self.count.store(tasks.slots.len() - tasks.free.len(), Relaxed);
        Some(task)
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Whether a task of this key is owed.
    pub(super) fn have_key(&self, key: NonZeroU32) -> bool {
        self.count() > 0 && self.tasks.lock().keys.contains(&key)
    }

    /// Keeps an end until it is [taken](Self::take_end). Returns whether the worker must be told.
    pub(super) fn keep_end(&self, end: OwedEnd) -> bool {
        if let Some((ends, _)) = self.ends.get() {
            // Never disconnected: both ends are here.
            let _ = ends.send(end);
        }
        // After that. Release pairs with the Acquire of `begin_ends`: whoever finds the flag set by
        // another end relies on the thread that clears it to find both.
        // No model needs this Release: loom's channel is a lock.
        !self.ended.swap(true, Release)
    }

    /// Whether there are ends to be recorded.
    #[inline]
    pub(super) fn has_ends(&self) -> bool {
        // Relaxed: a worker that misses it is notified.
        self.ended.load(Relaxed)
    }

    /// Notes that the worker's thread records all ends, next. Returns whether there are any.
    pub(super) fn begin_ends(&self) -> bool {
        // No model needs this Acquire: for the same reason as the Release of `keep_end`.
        self.ended.swap(false, Acquire)
    }

    /// Takes the next end to be recorded.
    pub(super) fn take_end(&self) -> Option<(OwedEnd, OwedTask)> {
        let end = self.ends.get()?.1.try_recv().ok()?;
        Some((end, self.remove(end.index)?))
    }

    /// Cancels the tasks that have no answer yet, and returns them: the caller ends them.
    pub(super) fn cancel(&self) -> Vec<OwedTask> {
        // Not under the lock: waking an asker runs the user's code.
        let debts: Vec<_> = {
            let tasks = self.tasks.lock();
            let owed = tasks.slots.iter().enumerate();
            owed.filter_map(|(index, slot)| Some((index, slot.as_ref()?.1.upgrade()?))).collect()
        };
        let cancelled = debts.into_iter().filter(|(_, debt)| debt.cancel());
        cancelled.filter_map(|(index, _)| self.remove(index)).collect()
    }
}
