//! Work that a pool's own thread does later: timers and hedges.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use raddle_sync::lock::ColdLock;

use crate::mailbox::Notify;
use crate::panics;
use crate::timer::{Fired, TimerHandle, TimerQueue};

/// What to do when a timer fires.
pub(crate) enum Job {
    Once(Box<dyn FnOnce() + Send>),
    Periodic(Arc<dyn Fn() + Send + Sync>),
}

impl Job {
    /// Runs the job; a panic is logged.
    pub(crate) fn run(self) {
        panics::contain(|| match self {
            Self::Once(job) => job(),
            Self::Periodic(job) => job(),
        });
    }
}

/// A pool's timers, and the wake-ups of the thread that runs them.
#[derive(Default)]
pub(crate) struct Desk {
    notify: Notify,
    /// Locked by timers and hedges, and by no other task.
    timers: ColdLock<Timers>,
}

#[derive(Default)]
struct Timers {
    queue: TimerQueue<Job>,
    /// When the thread will check the timers next, by the clock.
    checked_at: u64,
}

impl Desk {
    /// Wakes the thread.
    pub(crate) fn notify(&self) -> &Notify {
        &self.notify
    }

    /// Schedules a job for the clock's `due`, and again after each `period` if there is one. Takes a
    /// lock, and makes a system call if the job is due before everything else.
    pub(crate) fn schedule(&self, due: u64, period: Option<NonZeroU64>, job: Job) -> TimerHandle {
        self.change(|timers| {
            let handle = timers.queue.push(due, period, job);
            if due < timers.checked_at {
                self.notify.notify();
            }
            handle
        })
    }

    /// Takes the next job that is due.
    pub(crate) fn next_due(&self, now: u64) -> Option<Job> {
        self.change(|timers| {
            Some(match timers.queue.pop_due(now)? {
                Fired::Once(job) => job,
                Fired::Periodic(job) => match &*job {
                    Job::Periodic(job) => Job::Periodic(Arc::clone(job)),
                    Job::Once(_) => unreachable!("a job with a period is periodic"),
                },
            })
        })
    }

    /// Waits until a timer is due or the thread is woken, but no longer than to the clock's `until`.
    pub(crate) fn wait(&self, now: u64, until: u64) {
        let until = self.change(|timers| {
            let until = timers.queue.next_due().map_or(until, |due| due.min(until));
            timers.checked_at = until;
            until
        });
        self.notify.wait_timeout(Some(Duration::from_nanos(until.saturating_sub(now))));
    }

    /// Changes the timers under the lock. What cancelled timers held is the user's and may set a
    /// timer itself, so it is dropped afterwards.
    fn change<R>(&self, change: impl FnOnce(&mut Timers) -> R) -> R {
        let mut timers = self.timers.lock();
        let result = change(&mut timers);
        let cancelled = timers.queue.take_cancelled();
        drop(timers);
        cancelled.into_iter().for_each(|job| panics::contain(|| drop(job)));
        result
    }
}
