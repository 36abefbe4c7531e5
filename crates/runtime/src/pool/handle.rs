use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use raddle_core::{WorkerId, WorkerSpec};
use raddle_strategies::{BalancerStats, ShadowReport, Strategy, StrategyError};
use raddle_sync::thread::Builder;

use super::inner::PoolInner;
use super::task::TaskBuilder;
use super::tell::Tell;
use super::timers::TimerHandle;
use crate::account::{Account, PoolStats};
use crate::ask::Ask;
use crate::awaited::Awaited;
use crate::error::{MembershipError, SendError, ShutdownError};
use crate::event::{Event, EventKind};
use crate::mailbox::Notify;
#[cfg(doc)]
use crate::mailbox::Overflow;
use crate::router::Loaded;
use crate::settings::check_strategy;
use crate::subscription::Events;
use crate::watch::Watch;

/// Workers that run tasks with messages of type `M` and replies of type `R`, behind one strategy.
///
/// A `Pool` is a cheap handle: clones share the workers, and any thread may use them. When the last
/// clone is dropped, the pool closes, and its threads end once they have run what was admitted; a
/// [`WeakPool`](crate::WeakPool) does not count. Dropping a handle never blocks, so a program that must not end
/// before its tasks calls [`shutdown`](Self::shutdown), or awaits
/// [`shutdown_async`](Self::shutdown_async) or [`closed`](Self::closed). A thread that sends many tasks saves some nanoseconds on each with a [`LocalPool`](crate::LocalPool).
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

    /// Sends a message without requesting a reply: `task(msg).tell()`. Blocks for room in a full mailbox,
    /// if the [overflow policy](Overflow) says so; a future uses [`tell_async`](Self::tell_async).
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    #[inline]
    pub fn tell(&self, msg: M) -> Result<(), SendError<M>> {
        let router = &self.0.router;
        router.tell_plain(&router.routing().load(), msg, &router.policy)
    }

    /// As [`tell`](Self::tell), but never waits: `task(msg).try_tell()`.
    ///
    /// # Errors
    /// Returns the message if the task was not admitted, as [`Full`](crate::Refusal::Full) where `tell`
    /// would wait for room.
    #[inline]
    pub fn try_tell(&self, msg: M) -> Result<(), SendError<M>> {
        let router = &self.0.router;
        let policy = router.policy.without_waiting();
        router.tell_plain(&router.routing().load(), msg, &policy)
    }

    /// As [`tell`](Self::tell), but where that would block, the returned future waits:
    /// `task(msg).tell_async()`.
    #[inline]
    pub fn tell_async(&self, msg: M) -> Tell<M> {
        self.task(msg).tell_async()
    }

    /// Sends a message and returns its reply to come: `task(msg).ask()`. Never blocks.
    #[inline]
    pub fn ask(&self, msg: M) -> Ask<M, R> {
        self.0.ask_plain(&self.0.router.routing().load(), msg)
    }

    /// As [`ask`](Self::ask), but the task never waits for room: `task(msg).try_ask()`.
    pub fn try_ask(&self, msg: M) -> Ask<M, R> {
        self.task(msg).try_ask()
    }

    /// As [`ask`](Self::ask), with a limit for everything up to the reply:
    /// [`task(msg).ask_within(timeout)`](TaskBuilder::ask_within).
    pub fn ask_within(&self, timeout: Duration, msg: M) -> Ask<M, R> {
        self.task(msg).ask_within(timeout)
    }

    /// Starts describing a periodic task: `make` creates the message of each. It is sent by
    /// [`tell_every`](TaskBuilder::tell_every).
    pub fn periodic<F>(&self, make: F) -> TaskBuilder<'_, M, R, F>
    where
        F: Fn() -> M + Send + Sync + 'static,
    {
        TaskBuilder::new(&self.0, Loaded::Now(self.0.router.routing().load()), make)
    }

    /// Sends a message after `delay`, unless the timer is cancelled first:
    /// [`task(msg).tell_after(delay)`](TaskBuilder::tell_after).
    ///
    /// # Errors
    /// Returns the message if the pool is closed.
    pub fn tell_after(&self, delay: Duration, msg: M) -> Result<TimerHandle<M>, SendError<M>> {
        self.task(msg).tell_after(delay)
    }

    /// Sends a message from `make` after each `period`, until the timer is cancelled:
    /// [`periodic(make).tell_every(period)`](TaskBuilder::tell_every).
    ///
    /// # Errors
    /// Returns the closure if the period is shorter than 100 microseconds or the pool is closed.
    pub fn tell_every<F>(&self, period: Duration, make: F) -> Result<TimerHandle<M>, SendError<F>>
    where
        F: Fn() -> M + Send + Sync + 'static,
    {
        self.periodic(make).tell_every(period)
    }

    /// Replaces the strategy, under traffic, and removes a shadow strategy. The workers keep what was
    /// learned about them. Waits for the strategy to prepare; no caller of the pool does.
    ///
    /// # Errors
    /// If a parameter of the strategy is out of bounds, or the pool's tracking is off and the strategy
    /// [needs it](Strategy::needs_tracking).
    pub fn set_strategy(&self, strategy: impl Strategy + 'static) -> Result<(), StrategyError> {
        self.check_strategy(&strategy)?;
        let strategy: Arc<dyn Strategy> = Arc::new(strategy);
        self.announce_strategy(self.0.router.control.set_strategy(&strategy));
        Ok(())
    }

    /// Scores another strategy on the live traffic without routing any of it: it picks a worker
    /// beside each pick of the pool's strategy. Costs one more selection per task.
    ///
    /// # Errors
    /// If a parameter of the strategy is out of bounds, or the pool's tracking is off and the strategy
    /// [needs it](Strategy::needs_tracking).
    pub fn set_shadow(&self, strategy: impl Strategy + 'static) -> Result<(), StrategyError> {
        self.check_strategy(&strategy)?;
        let strategy: Arc<dyn Strategy> = Arc::new(strategy);
        self.announce_strategy(self.0.router.control.set_shadow(Some(&strategy)));
        Ok(())
    }

    /// Removes the shadow strategy.
    pub fn clear_shadow(&self) {
        self.announce_strategy(self.0.router.control.set_shadow(None));
    }

    fn check_strategy(&self, strategy: &dyn Strategy) -> Result<(), StrategyError> {
        let control = &self.0.router.control;
        check_strategy(strategy, control.roster().tracking(), control.keys.hands_over())
    }

    fn announce_strategy(&self, changed: Option<&'static str>) {
        if let Some(strategy) = changed {
            self.0.staff.crew.announcer.of_pool(EventKind::StrategyChanged { strategy });
        }
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
        Ok(self.0.staff.crew.add_workers(|_| vec![spec.clone()])?[0])
    }

    /// Lets a worker take no more tasks. It runs those it has and then leaves, which is an
    /// [event](Self::subscribe). Does not wait for that.
    ///
    /// # Errors
    /// If the worker is unknown, already draining, or the last active one. A worker that is
    /// quarantined, ejected or restarting can be retired as long as any other is left that has
    /// started.
    pub fn retire_worker(&self, id: WorkerId) -> Result<(), MembershipError> {
        self.0.staff.crew.retire_worker(id)
    }

    /// Changes the number of workers that are not draining: adds workers like the first one that the
    /// pool was built with, or retires some: first those whose actor has not started, then those that
    /// are quarantined, ejected or restarting, then the newest. Blocks while workers are added, which
    /// get the lowest free numbers as part of their names.
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

    /// Watches for the end of the pool: it takes no more tasks, and every worker's thread has ended, apart
    /// from those that were given up as hung.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use raddle_core::WorkerSpec;
    /// # use raddle_runtime::{Actor, Context, Drain, Handler, Pool};
    /// # struct Doubler;
    /// # impl Actor for Doubler {}
    /// # impl Handler<u64> for Doubler {
    /// #     type Reply = u64;
    /// #     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 { 2 * number }
    /// # }
    /// let pool = Pool::builder("double").workers(2, WorkerSpec::general()).spawn(|_| Doubler)?;
    /// let watch = pool.watch();
    /// assert!(!watch.wait_timeout(Duration::ZERO)); // or `watch.await`
    /// drop(pool);
    /// assert!(watch.wait_timeout(Duration::from_secs(5)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch(&self) -> Watch {
        self.0.staff.crew.ended.watch()
    }

    /// Watches for the end of a worker: it has left the pool, or the pool has ended. That has come already
    /// if no worker has this id (any more).
    pub fn watch_worker(&self, id: WorkerId) -> Watch {
        self.0.staff.crew.watch_worker(id)
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
    /// be called again, and while another call waits. Workers that have ended their own tasks steal from
    /// the others, where [stealing](crate::PoolBuilder::stealing) is on.
    ///
    /// At the drain's time limit, every task that has not started ends as
    /// [`Cancelled`](raddle_core::Outcome::Cancelled), whichever worker has it; its asker is told,
    /// and its message is kept for [`take_unfinished`](Self::take_unfinished), as are those of delayed
    /// tasks that were not sent. A task whose deadline has passed ends as expired instead; its message,
    /// and that of a task whose reply nobody waits for any more, are dropped. The asker of a task that is
    /// running gets [`AskError::ShutDown`](crate::AskError::ShutDown), and its reply is discarded. The
    /// handler itself cannot be interrupted, but sees [`is_cancelled`](crate::Context::is_cancelled).
    ///
    /// # Errors
    /// If a handler, a hook or the closure of a periodic task has not returned by the time limit and a
    /// tenth of a second, or a thread that was given up as hung has not. Returns the error at once if a
    /// thread of the pool itself calls this, since that cannot wait for its own end; the drain takes effect
    /// all the same.
    pub fn shutdown(&self, drain: Drain) -> Result<Account, ShutdownError> {
        let crew = &self.0.staff.crew;
        crew.close();
        let called_within = crew.threads.contain_current();
        let ended = if called_within {
            match drain.0 {
                None => {}
                Some(Duration::ZERO) => crew.cancel_tasks(),
                Some(limit) => crew.cancel_tasks_after(limit),
            }
            Err(crew.threads.running())
        } else {
            crew.end(drain.0)
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
        Err(ShutdownError { called_within, workers, lost_threads, account })
    }

    /// As [`shutdown`](Self::shutdown), for a future: takes effect at once, and never blocks. The future is
    /// ready when the threads have ended, or the limit has passed; dropping it changes nothing.
    ///
    /// Starts a thread that waits; blocks like `shutdown` if there is none.
    ///
    /// # Errors
    /// As `shutdown`.
    pub fn shutdown_async(
        &self,
        drain: Drain,
    ) -> impl Future<Output = Result<Account, ShutdownError>> + Send + 'static {
        self.0.staff.crew.close();
        let (sender, receiver) = oneshot::channel();
        let waits = || {
            let pool = self.clone();
            let waiting = Builder::new().name(format!("{}-end", self.name()));
            waiting.spawn(move || drop(sender.send(pool.shutdown(drain)))).is_ok()
        };
        let called_within = self.0.staff.crew.threads.contain_current();
        let (now, mut later) = match !called_within && waits() {
            true => (None, Some(Awaited::new(receiver))),
            false => (Some(self.shutdown(drain)), None),
        };
        let pool = self.clone();
        async move {
            if let Some(now) = now {
                return now;
            }
            let ended = poll_fn(|cx| later.as_mut().map_or(Poll::Pending, |later| later.poll(cx)));
            match ended.await {
                Ok(ended) => ended,
                Err(_) => pool.shutdown(Drain::now()),
            }
        }
    }

    /// Returns a future that is ready when the pool has ended: [`watch`](Self::watch), by the name that
    /// those who await it look for. It keeps no pool alive: awaited after the last handle was dropped, it waits
    /// for the drain.
    ///
    /// ```
    /// # use raddle_core::WorkerSpec;
    /// # use raddle_runtime::{Actor, Context, Handler, Pool};
    /// # struct Doubler;
    /// # impl Actor for Doubler {}
    /// # impl Handler<u64> for Doubler {
    /// #     type Reply = u64;
    /// #     fn handle(&mut self, number: u64, _: &mut Context<'_, Self>) -> u64 { 2 * number }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let pool = Pool::builder("double").workers(2, WorkerSpec::general()).spawn(|_| Doubler)?;
    /// pool.tell(1)?;
    /// let closed = pool.closed();
    /// drop(pool);
    /// closed.await; // the task has run
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Watch {
        self.watch()
    }

    /// Takes the messages of tasks that a shutdown cancelled, and of
    /// [delayed](TaskBuilder::tell_after) tasks that were not sent before the pool closed, in no
    /// particular order.
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
