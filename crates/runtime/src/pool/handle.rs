use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use raddle_core::{TaskProfile, WorkerId, WorkerSpec, nanos};
use raddle_strategies::{BalancerStats, ShadowReport, Strategy, StrategyError};

use super::inner::PoolInner;
use super::task::TaskBuilder;
use crate::account::{Account, PoolStats};
use crate::ask::Ask;
use crate::desk::Job;
use crate::envelope::Envelope;
use crate::error::{MembershipError, SendError, ShutdownError};
use crate::event::{Event, EventKind};
use crate::mailbox::Notify;
use crate::panics::Contained;
use crate::reply;
use crate::router::Loaded;
use crate::subscription::Events;
use crate::timer::TimerHandle;

/// Workers that run tasks with messages of type `M` and replies of type `R`, behind one strategy.
///
/// A `Pool` is a cheap handle: clones share the workers, and any thread may use them. When the last
/// clone is dropped, the pool shuts down as by [`shutdown`](Self::shutdown) without a time limit. A
/// thread that sends many tasks saves some nanoseconds on each with a [`LocalPool`](crate::LocalPool).
///
/// ```
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::{Actor, Context, Drain, Handler, Pool};
///
/// struct Doubler;
///
/// impl Actor for Doubler {}
///
/// impl Handler<u64> for Doubler {
///     type Reply = u64;
///
///     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 {
///         2 * number
///     }
/// }
///
/// let pool = Pool::builder("double").workers(2, WorkerSpec::general()).spawn(|_| Doubler)?;
/// assert_eq!(pool.ask(21).wait()?, 42);
/// let account = pool.shutdown(Drain::all())?;
/// assert_eq!(account.counts.completed, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<M, R>(pub(super) Arc<PoolInner<M, R>>);

/// A pool that is not kept alive.
pub(crate) struct WeakPool<M, R>(Weak<PoolInner<M, R>>);

/// How long a shutdown waits for tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain(pub(crate) Option<Duration>);

impl Drain {
    /// Runs every admitted task. If an actor panics and cannot be restarted, though, the tasks that
    /// its worker still has end as [`Cancelled`](raddle_core::Outcome::Cancelled), and their askers
    /// get [`Retired`](crate::AskError::Retired).
    pub fn all() -> Self {
        Self(None)
    }

    /// Ends tasks that have not started after `limit` as
    /// [`Cancelled`](raddle_core::Outcome::Cancelled).
    pub fn within(limit: Duration) -> Self {
        Self(Some(limit))
    }

    /// Ends tasks that have not started as [`Cancelled`](raddle_core::Outcome::Cancelled).
    pub fn now() -> Self {
        Self(Some(Duration::ZERO))
    }
}

impl<M: Send + 'static, R: Send + 'static> Pool<M, R> {
    /// Returns the pool's name.
    pub fn name(&self) -> &str {
        self.0.staff.crew.announcer.pool()
    }

    /// Starts describing a task: its capability, key, priority, timeout and so on.
    #[inline]
    pub fn task(&self, msg: M) -> TaskBuilder<'_, M, R> {
        TaskBuilder::new(&self.0, Loaded::Now(self.0.router.routing().load()), msg)
    }

    /// Sends a message without requesting a reply: `task(msg).tell()`.
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    #[inline]
    pub fn tell(&self, msg: M) -> Result<(), SendError<M>> {
        let router = &self.0.router;
        match router.send_plain(&router.routing().load(), msg, None) {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a message and returns its reply to come: `task(msg).ask()`.
    #[inline]
    pub fn ask(&self, msg: M) -> Ask<M, R> {
        let router = &self.0.router;
        let (sender, receiver) = reply::slot(false);
        match router.send_plain(&router.routing().load(), msg, Some(sender)) {
            Ok(_) => Ask::admitted(receiver),
            Err(error) => Ask::refused(error),
        }
    }

    /// Sends a message after `delay`, unless the timer is cancelled first:
    /// [`task(msg).tell_after(delay)`](TaskBuilder::tell_after).
    pub fn tell_after(&self, delay: Duration, msg: M) -> TimerHandle {
        self.task(msg).tell_after(delay)
    }

    /// Sends a message from `make` after each `period`, until the timer is cancelled. The timer does
    /// not drift, and skips times that it missed. Like [`tell_after`](TaskBuilder::tell_after), it
    /// never waits for room. `make` runs on the pool's own thread, which is also its watchdog's, so
    /// it should be short.
    pub fn tell_every(
        &self,
        period: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> TimerHandle {
        let PoolInner { router, staff } = &*self.0;
        let due = router.clock.now().saturating_add(nanos(period));
        let period = NonZeroU64::new(nanos(period)).unwrap_or(NonZeroU64::MIN);
        let (router, make) = (Arc::clone(router), Contained::new(make));
        let tell = move || {
            let profile = TaskProfile::default().submitted_at(router.clock.now());
            let envelope = Envelope::new(make(), None, &profile, crate::deadline::NEVER);
            let policy = router.policy.without_waiting();
            // A refusal was counted and passed to `on_rejected`.
            let _ = router.send(&router.routing().load(), None, &profile, envelope, &policy);
        };
        staff.desk.schedule(due, Some(period), Job::Periodic(Arc::new(tell)))
    }

    /// Replaces the strategy, under traffic, and removes a shadow strategy. The workers keep what was
    /// learned about them. Waits for the strategy to prepare; no caller of the pool does.
    ///
    /// # Errors
    /// If a parameter of the strategy is out of bounds.
    pub fn set_strategy(&self, strategy: impl Strategy + 'static) -> Result<(), StrategyError> {
        strategy.validate()?;
        self.announce_strategy(self.0.router.control.set_strategy(Arc::new(strategy)));
        Ok(())
    }

    /// Scores another strategy on the live traffic without routing any of it: it picks a worker
    /// beside each pick of the pool's strategy. Costs one more selection per task.
    ///
    /// # Errors
    /// If a parameter of the strategy is out of bounds.
    pub fn set_shadow(&self, strategy: impl Strategy + 'static) -> Result<(), StrategyError> {
        strategy.validate()?;
        self.announce_strategy(self.0.router.control.set_shadow(Some(Arc::new(strategy))));
        Ok(())
    }

    /// Removes the shadow strategy.
    pub fn clear_shadow(&self) {
        self.announce_strategy(self.0.router.control.set_shadow(None));
    }

    fn announce_strategy(&self, strategy: &'static str) {
        self.0.staff.crew.announcer.of_pool(EventKind::StrategyChanged { strategy });
    }

    /// Returns the scores of the shadow strategy so far; `None` without one.
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.0.router.control.shadow_report()
    }

    /// Adds a worker, which gets tasks as soon as its actor has started. Blocks until then; no caller
    /// of the pool does.
    ///
    /// # Errors
    /// If the worker's name is taken, no thread could be created, its actor could not start, or the
    /// pool is shut down. The pool is then unchanged.
    pub fn add_worker(&self, spec: WorkerSpec) -> Result<WorkerId, MembershipError> {
        Ok(self.0.staff.crew.add_workers(&[spec])?[0])
    }

    /// Lets a worker take no more tasks. It runs those it has and then leaves, which is an
    /// [event](Self::subscribe). Does not wait for that.
    ///
    /// # Errors
    /// If the worker is unknown, already draining, or the last one that takes tasks.
    pub fn retire_worker(&self, id: WorkerId) -> Result<(), MembershipError> {
        self.0.staff.crew.retire_worker(id)
    }

    /// Changes the number of workers that take tasks: adds workers like the first one that the pool
    /// was built with, or retires the newest. Blocks while workers are added.
    ///
    /// # Errors
    /// As [`add_worker`](Self::add_worker), and if `workers` is 0.
    pub fn resize(&self, workers: usize) -> Result<(), MembershipError> {
        self.0.staff.crew.resize(workers)
    }

    /// Subscribes to the events of the pool and its workers from now on.
    pub fn subscribe(&self) -> Events<Event> {
        self.0.staff.crew.announcer.subscribe()
    }

    /// Returns what became of every task so far; consistent at a quiescent moment.
    pub fn account(&self) -> Account {
        self.0.router.control.account()
    }

    /// Returns the state of the pool, its strategy and its workers. Allocates.
    pub fn stats(&self) -> PoolStats {
        let PoolInner { router, staff } = &*self.0;
        let plan = router.control.plan();
        PoolStats {
            name: self.name().to_owned(),
            account: self.account(),
            lost_threads: staff.crew.threads.lost(),
            hedges: staff.hedges.sent(),
            balancer: BalancerStats::new(&*plan.strategy, &plan.roster),
        }
    }

    /// Takes no more tasks, lets the admitted ones end, and joins every thread. From then on, tasks
    /// are refused as [`Closed`](crate::Refusal::Closed) on every handle, and timers do not fire. May
    /// be called again. The messages of tasks that were cancelled at the time limit are kept for
    /// [`take_unfinished`](Self::take_unfinished).
    ///
    /// # Errors
    /// If a handler or a hook has not returned by the drain's time limit and a tenth of a second, or
    /// a thread that was given up as hung has not. Returns the error at once if a handler of the
    /// pool itself calls this, since it cannot wait for its own end.
    pub fn shutdown(&self, drain: Drain) -> Result<Account, ShutdownError> {
        let crew = &self.0.staff.crew;
        crew.close();
        let ended = match crew.threads.contain_current() {
            true => Err(crew.threads.running()),
            false => crew.end(drain.0),
        };
        let lost_threads = crew.threads.lost();
        let account = self.account();
        let workers = match ended {
            Ok(()) if lost_threads == 0 => {
                return Ok(Account { counts: account.counts.settled(), ..account });
            }
            Ok(()) => Vec::new(),
            Err(workers) => workers,
        };
        Err(ShutdownError { workers, lost_threads, account })
    }

    /// Takes the messages of tasks that a shutdown cancelled, in no particular order.
    pub fn take_unfinished(&self) -> Vec<M> {
        let tasks = self.0.router.take_unfinished().into_iter();
        tasks.map(|task| task.into_inner().msg).collect()
    }

    /// The workers whose threads have not ended, and the number of threads that were given up as hung
    /// and have not returned.
    pub(crate) fn threads(&self) -> (Vec<String>, usize) {
        let threads = &self.0.staff.crew.threads;
        (threads.running(), threads.lost())
    }

    /// Whether the pool takes no more tasks.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.staff.crew.is_closed()
    }

    /// Notifies `supervisor` when the pool takes no more tasks.
    pub(crate) fn on_close(&self, supervisor: Notify) {
        self.0.staff.crew.on_close(supervisor);
    }

    pub(crate) fn downgrade(&self) -> WeakPool<M, R> {
        WeakPool(Arc::downgrade(&self.0))
    }
}

impl<M, R> WeakPool<M, R> {
    pub(crate) fn upgrade(&self) -> Option<Pool<M, R>> {
        self.0.upgrade().map(Pool)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl<M, R> Clone for Pool<M, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M, R> fmt::Debug for Pool<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.staff.crew.announcer.pool();
        f.debug_struct("Pool").field("name", &name).finish_non_exhaustive()
    }
}
