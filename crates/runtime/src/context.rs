use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use raddle_core::Worker;
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::deadline::NEVER;
use crate::reply::Asker;
use crate::worker::SerialLease;

/// What a handler or a hook of actor `A` may know about the task it runs and its worker.
pub struct Context<'w, A> {
    worker: &'w Worker,
    cancelling: &'w AtomicBool,
    lease: &'w SerialLease,
    deadline: u64,
    asker: Option<&'w dyn Asker>,
    stop: bool,
    actor: PhantomData<fn(&mut A)>,
}

impl<'w, A> Context<'w, A> {
    /// A context of a task with this deadline, [`NEVER`] for none.
    #[inline]
    pub(crate) fn new(
        worker: &'w Worker,
        cancelling: &'w AtomicBool,
        lease: &'w SerialLease,
        deadline: u64,
        asker: Option<&'w dyn Asker>,
    ) -> Self {
        Self { worker, cancelling, lease, deadline, asker, stop: false, actor: PhantomData }
    }

    /// Returns the worker that runs the task.
    pub fn worker(&self) -> &'w Worker {
        self.worker
    }

    /// Returns the time until the task's deadline, zero once it has passed, or `None` if the task
    /// has none. Reads the clock.
    pub fn remaining(&self) -> Option<Duration> {
        let left = || self.deadline.saturating_sub(self.worker.clock().now());
        (self.deadline != NEVER).then(|| Duration::from_nanos(left()))
    }

    /// Returns whether the result is no longer wanted, for a long handler to check now and then:
    ///
    /// - the [`Ask`](crate::Ask) was dropped, and the task was to be
    ///   [cancelled](crate::TaskBuilder::cancel_on_drop) by that;
    /// - the other copy of a hedged task has been answered;
    /// - the pool's shutdown has reached its time limit;
    /// - the handler exceeded the [`Watchdog`](crate::Watchdog)'s limit, and another thread runs
    ///   the worker.
    ///
    /// Three loads; takes a lock if a hedged task is cancelled by dropping its `Ask`.
    pub fn is_cancelled(&self) -> bool {
        self.cancelling.load(Relaxed)
            || self.lease.is_revoked()
            || self.asker.is_some_and(Asker::has_withdrawn)
    }

    /// Stops the actor when the handler returns: it is dropped and, if the pool's
    /// [`RestartPolicy`](crate::RestartPolicy) is `Permanent`, restarted; otherwise its worker is
    /// retired. Has no effect in [`on_panic`](crate::Actor::on_panic) and
    /// [`on_stop`](crate::Actor::on_stop), which precede the end of the actor anyway.
    pub fn stop(&mut self) {
        self.stop = true;
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop
    }
}

impl<A> fmt::Debug for Context<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("worker", &self.worker.name()).finish_non_exhaustive()
    }
}
