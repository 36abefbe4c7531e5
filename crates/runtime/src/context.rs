use std::time::Duration;

use raddle_core::Worker;
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::envelope::NEVER;
use crate::lease::Lease;

/// What a handler may know of the task it runs and the worker it runs on.
pub struct Context<'w> {
    worker: &'w Worker,
    deadline: u64,
    asker: Option<&'w dyn Asker>,
    cancelling: &'w AtomicBool,
    lease: &'w Lease,
    stop: bool,
}

/// Who waits for an answer.
pub trait Asker {
    /// Whether the answer would reach nobody, and that was to cancel the task.
    fn has_withdrawn(&self) -> bool;
}

impl<'w> Context<'w> {
    #[inline]
    pub(crate) fn new(
        worker: &'w Worker,
        deadline: u64,
        asker: Option<&'w dyn Asker>,
        cancelling: &'w AtomicBool,
        lease: &'w Lease,
    ) -> Self {
        Self { worker, deadline, asker, cancelling, lease, stop: false }
    }

    /// The worker that runs the task.
    pub fn worker(&self) -> &'w Worker {
        self.worker
    }

    /// The time until the task's deadline, zero once it has passed; `None` when it has none.
    /// Reads the clock.
    pub fn remaining(&self) -> Option<Duration> {
        let left = || self.deadline.saturating_sub(self.worker.clock().now());
        (self.deadline != NEVER).then(|| Duration::from_nanos(left()))
    }

    /// Whether what the handler does is no longer wanted: the asker dropped its reply and had
    /// asked for that to [cancel](crate::TaskBuilder::cancel_on_drop), the other copy of a hedged task has
    /// been answered, the pool's shutdown is out of time, or the handler was given up as hung.
    /// Three loads, and a lock where a hedged task is to be cancelled by dropping its reply; for a long handler to look at from time to time.
    pub fn is_cancelled(&self) -> bool {
        self.cancelling.load(Relaxed)
            || self.lease.is_revoked()
            || self.asker.is_some_and(Asker::has_withdrawn)
    }

    /// Stops the actor when the handler has returned: it is dropped and, where the pool's
    /// [`RestartPolicy`](crate::RestartPolicy) is `Permanent`, made anew; otherwise its worker is
    /// retired.
    pub fn stop(&mut self) {
        self.stop = true;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("worker", &self.worker.name()).finish_non_exhaustive()
    }
}
