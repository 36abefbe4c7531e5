//! Work that a pool's own thread does later: timers and hedges.

use std::num::NonZeroU64;
use std::sync::{Arc, Weak};

use raddle_core::Clock;
use raddle_core::internal::ClockInternals;
use raddle_sync::lock::ColdLock;

use crate::mailbox::Notify;
use crate::panics;
use crate::timer::{Fired, TimerQueue, TimerState};

/// What is done when a timer fires.
pub(crate) trait Job: Send + Sync {
    /// Does what is due.
    fn run(&self);

    /// Releases what the job holds: it was cancelled, or the desk has closed.
    fn abandon(&self);

    /// Whether the job is still done when the pool has closed: it sends no task.
    fn outlives_closing(&self) -> bool {
        false
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
    queue: TimerQueue<Arc<dyn Job>>,
    /// When the thread will check the timers next, by the clock.
    checked_at: u64,
    /// Whether no more timers fire.
    closed: bool,
}

impl Desk {
    /// Wakes the thread.
    pub(crate) fn notify(&self) -> &Notify {
        &self.notify
    }

    /// Schedules a job for the clock's `due`, and again after each `period` if there is one. `None`
    /// if the desk is closed. Takes a lock, and makes a system call if the job is due before
    /// everything else.
    pub(crate) fn schedule(
        &self,
        due: u64,
        period: Option<NonZeroU64>,
        job: &Arc<dyn Job>,
    ) -> Option<TimerState> {
        self.change(|timers| {
            if timers.closed && !job.outlives_closing() {
                return None;
            }
            let timer = timers.queue.push(due, period, Arc::clone(job));
            if due < timers.checked_at {
                self.notify.notify();
            }
            Some(timer)
        })
    }

    /// Schedules a job that is cancelled when the returned value is dropped; `None` if the desk is
    /// closed.
    pub(crate) fn schedule_wanted(&self, due: u64, job: &Arc<dyn Job>) -> Option<Wanted> {
        let timer = self.schedule(due, None, job)?;
        Some(Wanted { timer, job: Arc::downgrade(job) })
    }

    /// Takes the next job that is due.
    pub(crate) fn next_due(&self, now: u64) -> Option<Arc<dyn Job>> {
        self.change(|timers| {
            Some(match timers.queue.pop_due(now)? {
                Fired::Once(job) => job,
                Fired::Periodic(job) => Arc::clone(job),
            })
        })
    }

    /// Waits until a timer is due or the thread is woken, but no longer than to the clock's `until`.
    pub(crate) fn wait(&self, clock: &Clock, until: u64) {
        let until = self.change(|timers| {
            let until = timers.queue.next_due().map_or(until, |due| due.min(until));
            timers.checked_at = until;
            until
        });
        self.notify.wait_timeout(Some(clock.sleep_until(until)));
    }

    /// Cancels all timers, abandons their jobs, and takes no more, apart from those that
    /// [outlive](Job::outlives_closing) this.
    pub(crate) fn close(&self) {
        let abandoned = self.change(|timers| {
            timers.closed = true;
            timers.queue.cancel_where(|job| !job.outlives_closing())
        });
        for job in abandoned {
            panics::contain(move || job.abandon());
        }
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

/// A job that somebody waits for. Dropping this cancels the job, unless it has begun.
pub(crate) struct Wanted {
    timer: TimerState,
    /// Weak, because the job may hold this.
    job: Weak<dyn Job>,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        if !self.timer.cancel() {
            return;
        }
        if let Some(job) = self.job.upgrade() {
            panics::contain(move || job.abandon());
        }
    }
}
