use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use raddle_core::Worker;
use raddle_core::internal::WorkerInternals;
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::deadline;
use crate::lease::SerialLease;
use crate::reply::{Asker, Owed};

/// What a handler or a hook of actor `A` may know about the task it runs and its worker.
pub struct Context<'w, A> {
    scope: &'w Scope,
    deadline: u64,
    asker: Option<&'w dyn Asker>,
    /// Runs other tasks at a checkpoint; `None` in hooks, and at a checkpoint.
    station: Option<&'w mut (dyn Checkpoint<A> + 'static)>,
    /// Boxed, so that a task that asks for nothing pays for one word.
    after: Option<Box<After>>,
}

/// What a handler has asked for, to be done when it has returned.
#[derive(Debug, Default)]
pub(crate) struct After {
    /// The actor stops.
    pub(crate) stop: bool,
    /// The task has no reply, for this reason.
    pub(crate) gave_up: Option<String>,
}

/// What runs the tasks of a worker with an actor `A`, as its handlers see it.
pub(crate) trait Checkpoint<A> {
    /// Runs the tasks that are due before the running one goes on. Returns whether the actor must stop
    /// when that has ended.
    fn run_due(&mut self, actor: &mut A, scope: &Scope) -> bool;
}

/// What the contexts of a worker's thread have in common.
pub(crate) struct Scope {
    pub(crate) worker: Arc<Worker>,
    /// The router's: set when what is queued must be cancelled.
    pub(crate) cancelling: Arc<AtomicBool>,
    pub(crate) lease: Arc<SerialLease>,
    /// The worker's pool, whose types this layer does not know.
    pub(crate) own_pool: Arc<dyn Any + Send + Sync>,
    /// The worker's [mark](WorkerInternals::admission_mark) when it last had no task but the running
    /// one. While the mark is that, it still has none: ends do not change the mark.
    pub(crate) alone_at: Cell<u64>,
}

impl Scope {
    /// Whether the results of all tasks that the thread runs are no longer wanted: the pool's shutdown
    /// has reached its time limit, or another thread runs the worker.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelling.load(Relaxed) || self.lease.is_revoked()
    }
}

impl<'w, A> Context<'w, A> {
    /// A context of a task with this deadline, [`NEVER`](deadline::NEVER) for none.
    #[inline]
    pub(crate) fn new(
        scope: &'w Scope,
        deadline: u64,
        asker: Option<&'w dyn Asker>,
        station: Option<&'w mut (dyn Checkpoint<A> + 'static)>,
    ) -> Self {
        Self { scope, deadline, asker, station, after: None }
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
        self.scope.is_cancelled() || self.asker.is_some_and(Asker::has_withdrawn)
    }

    /// Stops the actor when the handler returns: it is dropped and, if the pool's
    /// [`RestartPolicy`](crate::RestartPolicy) is `Permanent`, restarted; otherwise its worker is
    /// retired. Has no effect in [`on_panic`](crate::Actor::on_panic) and
    /// [`on_stop`](crate::Actor::on_stop), which precede the end of the actor anyway.
    pub fn stop(&mut self) {
        self.after.get_or_insert_default().stop = true;
    }

    /// Ends the task without a reply when the handler returns, whatever that returns: it is dropped. The
    /// task counts as [`Cancelled`](raddle_core::Outcome::Cancelled), its asker gets
    /// [`AskError::GaveUp`](crate::AskError::GaveUp) with the reason, and nothing counts against the
    /// worker: neither a failure nor a latency. For a handler that cannot do what is asked through no
    /// fault of its worker, or that is [cancelled](Self::is_cancelled). Called again, it replaces the
    /// reason. Has no effect in a hook, and none if the handler panics. Allocates.
    ///
    /// ```
    /// use raddle_core::WorkerSpec;
    /// use raddle_runtime::{Actor, AskError, Context, Handler, Pool};
    ///
    /// struct Lookup;
    ///
    /// impl Actor for Lookup {}
    ///
    /// impl Handler<u64> for Lookup {
    ///     type Reply = String;
    ///
    ///     fn handle(&mut self, number: u64, cx: &mut Context<'_, Self>) -> String {
    ///         if number == 13 {
    ///             cx.give_up("the archive is offline");
    ///             return String::new();
    ///         }
    ///         number.to_string()
    ///     }
    /// }
    ///
    /// let pool = Pool::builder("lookup").workers(1, WorkerSpec::general()).spawn(|_| Lookup)?;
    /// assert_eq!(pool.ask(12).wait()?, "12");
    /// match pool.ask(13).wait() {
    ///     Err(AskError::GaveUp { reason }) => assert_eq!(reason, "the archive is offline"),
    ///     other => panic!("{other:?}"),
    /// }
    /// assert_eq!(pool.account().counts.cancelled, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cold]
    pub fn give_up(&mut self, reason: impl Into<String>) {
        self.after.get_or_insert_default().gave_up = Some(reason.into());
    }

    /// Lets tasks run inside this handler that have waited at its worker for longer than the pool's
    /// [`quantum`](crate::PoolBuilder::quantum): control messages, tasks of high priority, and those of
    /// normal priority that are short. For a long handler to call now and then.
    ///
    /// A task is *short* if its [expected duration](crate::TaskBuilder::expected_duration) is below the
    /// quantum. If it has none, the mean service time of the capability that it names decides. A task
    /// with a key never runs here.
    ///
    /// Each such task has its own deadline, outcome, reply and statistics, and its time counts neither
    /// for the watchdog's limit nor for the service time of this one. `actor` should be the `self` of
    /// the handler: the tasks run on it, so **it may have changed afterwards**. Hold no lock and no
    /// half-finished change of it meanwhile.
    ///
    /// If such a task panics, it ends as panicked, and this handler goes on. When that returns or
    /// panics, the actor is dropped and restarted, as after any panic. The same holds for
    /// [`stop`](Self::stop). From then on no more tasks run here.
    ///
    /// Does nothing in a hook, or in a task that runs at a checkpoint. Runs tasks for a quantum at
    /// most, plus the last one's time, and then not again before this handler has had as much time.
    ///
    /// One relaxed load while no other task waits at the worker. While one does, this also reads the
    /// clock, and once a quantum the mailbox: it takes a lock for each task that it passes over.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use raddle_core::WorkerSpec;
    /// use raddle_runtime::{Actor, Context, Handler, Pool};
    ///
    /// #[derive(Default)]
    /// struct Index(Vec<u64>);
    ///
    /// enum Order {
    ///     Rebuild,
    ///     Count,
    /// }
    ///
    /// impl Actor for Index {}
    ///
    /// impl Handler<Order> for Index {
    ///     type Reply = u64;
    ///
    ///     fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) -> u64 {
    ///         if let Order::Rebuild = order {
    ///             for part in 0..1_000 {
    ///                 self.0.push(part);
    ///                 cx.checkpoint(self);
    ///             }
    ///         }
    ///         self.0.len() as u64
    ///     }
    /// }
    ///
    /// let pool = Pool::builder("index")
    ///     .workers(1, WorkerSpec::general())
    ///     .quantum(Duration::from_micros(200))
    ///     .spawn(|_| Index::default())?;
    /// let rebuilt = pool.ask(Order::Rebuild);
    /// // Does not wait for the whole index, should that take longer than the quantum.
    /// let count = pool.task(Order::Count).expected_duration(Duration::from_micros(1)).ask();
    /// assert!(count.wait()? <= 1_000);
    /// assert_eq!(rebuilt.wait()?, 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn checkpoint(&mut self, actor: &mut A) {
        if self.scope.worker.admission_mark() != self.scope.alone_at.get() {
            self.run_due(actor);
        }
    }

    #[cold]
    fn run_due(&mut self, actor: &mut A) {
        if !self.is_stopping()
            && let Some(station) = &mut self.station
            && station.run_due(actor, self.scope)
        {
            self.stop();
        }
    }

    /// The running task's reply, to be deferred.
    pub(crate) fn owed<R>(&self, is_failure: fn(&R) -> bool) -> Owed<R> {
        let Scope { worker, cancelling, .. } = self.scope;
        Owed::new(Arc::clone(worker), Arc::clone(cancelling), self.deadline, is_failure)
    }

    pub(crate) fn own_pool(&self) -> &(dyn Any + Send + Sync) {
        &*self.scope.own_pool
    }

    /// Returns whether the actor [stops](Self::stop) when the handler returns.
    #[inline]
    pub fn is_stopping(&self) -> bool {
        self.after.as_ref().is_some_and(|after| after.stop)
    }

    /// Returns the reason for which the handler has [given up](Self::give_up) so far, if it has.
    pub fn gave_up(&self) -> Option<&str> {
        self.after.as_ref()?.gave_up.as_deref()
    }

    /// What the handler has asked for, if anything.
    #[inline]
    pub(crate) fn into_after(self) -> Option<Box<After>> {
        self.after
    }
}

impl<A> fmt::Debug for Context<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("worker", &self.worker().name()).finish_non_exhaustive()
    }
}
