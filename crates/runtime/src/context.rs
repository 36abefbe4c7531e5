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
    call: Call<'w>,
    actor: PhantomData<fn(&mut A)>,
}

/// A call of the user's code; not generic in the actor.
pub(crate) struct Call<'w> {
    worker: &'w Worker,
    deadline: u64,
    asker: Option<&'w dyn Asker>,
    cancelling: &'w AtomicBool,
    lease: &'w SerialLease,
    stop: bool,
}

impl<'w> Call<'w> {
    /// A call for a task with this deadline, [`NEVER`] for none.
    #[inline]
    pub(crate) fn new(
        worker: &'w Worker,
        deadline: u64,
        asker: Option<&'w dyn Asker>,
        cancelling: &'w AtomicBool,
        lease: &'w SerialLease,
    ) -> Self {
        Self { worker, deadline, asker, cancelling, lease, stop: false }
    }

    pub(crate) fn worker(&self) -> &'w Worker {
        self.worker
    }
}

impl<'w, A> Context<'w, A> {
    #[inline]
    pub(crate) fn new(call: Call<'w>) -> Self {
        Self { call, actor: PhantomData }
    }

    /// Returns the worker that runs the task.
    pub fn worker(&self) -> &'w Worker {
        self.call.worker
    }

    /// Returns the time until the task's deadline, zero once it has passed, or `None` if the task
    /// has none. Reads the clock.
    pub fn remaining(&self) -> Option<Duration> {
        let Call { deadline, worker, .. } = self.call;
        let left = || deadline.saturating_sub(worker.clock().now());
        (deadline != NEVER).then(|| Duration::from_nanos(left()))
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
        self.call.cancelling.load(Relaxed)
            || self.call.lease.is_revoked()
            || self.call.asker.is_some_and(Asker::has_withdrawn)
    }

    /// Stops the actor when the handler returns: it is dropped and, if the pool's
    /// [`RestartPolicy`](crate::RestartPolicy) is `Permanent`, restarted; otherwise its worker is
    /// retired. Has no effect in [`on_panic`](crate::Actor::on_panic) and
    /// [`on_stop`](crate::Actor::on_stop), which precede the end of the actor anyway.
    pub fn stop(&mut self) {
        self.call.stop = true;
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.call.stop
    }
}

impl<A> fmt::Debug for Context<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("worker", &self.call.worker.name()).finish_non_exhaustive()
    }
}
