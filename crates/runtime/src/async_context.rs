use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use raddle_core::Worker;

use crate::context::{After, Scope};
use crate::deadline;

/// What an async handler of actor `A` may know about the task it runs and its worker.
pub struct AsyncContext<'w, A> {
    scope: &'w Scope,
    task: &'w dyn AsyncTask,
    deadline: u64,
    asked: &'w Asked,
    actor: PhantomData<fn(A)>,
}

/// What async handlers ask for, to be done when they have ended.
#[derive(Default)]
pub(crate) struct Asked {
    anything: Cell<bool>,
    after: RefCell<After>,
}

impl Asked {
    fn change(&self, change: impl FnOnce(&mut After)) {
        self.anything.set(true);
        change(&mut self.after.borrow_mut());
    }

    /// Takes what the last handler has asked for, if anything.
    #[inline]
    pub(crate) fn take(&self) -> Option<After> {
        self.anything.take().then(|| self.after.take())
    }
}

/// The task that an async handler runs, as its context sees it.
pub(crate) trait AsyncTask {
    /// Whether the asker wants no reply any more.
    fn has_withdrawn(&self) -> bool;
}

impl<'w, A> AsyncContext<'w, A> {
    /// A context of a task with this deadline, [`NEVER`](deadline::NEVER) for none.
    #[inline]
    pub(crate) fn new(
        scope: &'w Scope,
        task: &'w dyn AsyncTask,
        deadline: u64,
        asked: &'w Asked,
    ) -> Self {
        Self { scope, task, deadline, asked, actor: PhantomData }
    }

    /// Returns the worker that runs the task.
    pub fn worker(&self) -> &'w Worker {
        &self.scope.worker
    }

    /// Returns the time until the task's deadline, zero once it has passed, or `None` if the task
    /// has none. Reads the clock.
    pub fn remaining(&self) -> Option<Duration> {
        deadline::remaining(self.deadline, self.worker().clock())
    }

    /// Returns whether the result is no longer wanted, as [`Context::is_cancelled`] does. At its next
    /// await, such a handler is dropped in most cases.
    ///
    /// [`Context::is_cancelled`]: crate::Context::is_cancelled
    pub fn is_cancelled(&self) -> bool {
        self.scope.is_cancelled() || self.task.has_withdrawn()
    }

    /// Stops the actor when the handler ends: it is dropped and, if the pool's
    /// [`RestartPolicy`](crate::RestartPolicy) is `Permanent`, restarted; otherwise its worker is
    /// retired.
    pub fn stop(&mut self) {
        self.asked.change(|after| after.stop = true);
    }

    /// Ends the task without a reply when the handler ends, whatever that returns; see
    /// [`Context::give_up`](crate::Context::give_up).
    pub fn give_up(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        self.asked.change(|after| after.gave_up = Some(reason));
    }

    pub(crate) fn own_pool(&self) -> &(dyn Any + Send + Sync) {
        &*self.scope.own_pool
    }
}

impl<A> fmt::Debug for AsyncContext<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncContext")
            .field("worker", &self.worker().name())
            .finish_non_exhaustive()
    }
}
