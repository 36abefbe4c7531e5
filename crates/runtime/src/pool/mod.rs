mod builder;
mod dispatch;
mod hedging;
mod housekeeper;
mod membership;
mod reviews;
mod routing;
mod settings;
mod shared;
mod task;
mod threads;
mod watchdog;

use std::fmt;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use raddle_core::{WorkerId, WorkerSpec, nanos};
use raddle_strategies::{BalancerStats, ShadowReport, Strategy, StrategyError};
use raddle_sync::SnapshotReader;
use raddle_sync::atomic::Ordering::Relaxed;
use raddle_sync::channel::Sender;

pub use builder::PoolBuilder;
pub use hedging::{Hedge, HedgeError};
pub use settings::{OnRetired, ShedReason, Watchdog};
pub(crate) use shared::Shared;
pub use task::TaskBuilder;

use crate::panics::Contained;
use crate::reply;
use crate::timer::TimerHandle;
use crate::{
    Account, Actor, AskResult, Events, MembershipError, PoolStats, SendError, ShutdownError,
};
use builder::nonzero_nanos;
use housekeeper::Job;
use routing::{Loaded, Routing};

/// Workers of one actor type behind one strategy.
///
/// A pool is a handle: clones share the workers, any thread may use it, and when the last one is
/// dropped the pool is shut down as by [`shutdown`](Self::shutdown) without a time limit. A thread
/// that gives many tasks saves some nanoseconds on each with a [`LocalPool`] of its own.
///
/// ```
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::{Actor, Context, Drain, Pool};
///
/// struct Doubler;
///
/// impl Actor for Doubler {
///     type Msg = u64;
///     type Reply = u64;
///     type Error = std::convert::Infallible;
///
///     fn handle(&mut self, number: u64, _: &mut Context<'_>) -> Result<u64, Self::Error> {
///         Ok(2 * number)
///     }
/// }
///
/// let pool = Pool::builder("double").workers(2, WorkerSpec::general()).spawn(|_| Doubler)?;
/// assert_eq!(pool.ask(21)?.wait()?, 42);
/// let account = pool.shutdown(Drain::all())?;
/// assert_eq!(account.counts.completed, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<A: Actor>(Arc<PoolInner<A>>);

/// What keeps a pool's threads alive.
struct PoolInner<A: Actor> {
    shared: Arc<Shared<A>>,
}

/// A pool that is not kept alive.
pub(crate) struct WeakPool<A: Actor>(Weak<PoolInner<A>>);

/// A [`Pool`] for one thread: it keeps the routing at hand, so that giving a task loads nothing
/// that has not changed. Made by [`Pool::local`].
pub struct LocalPool<A: Actor> {
    pool: Pool<A>,
    routing: SnapshotReader<Routing<A>>,
}

/// How long a shutdown waits for tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain(pub(crate) Option<Duration>);

impl Drain {
    /// Every admitted task is run; but a worker whose actor panics and cannot be made anew then ends
    /// those that it still has as [`Cancelled`](raddle_core::Outcome::Cancelled), its askers being
    /// told [`Retired`](crate::AskError::Retired).
    pub fn all() -> Self {
        Self(None)
    }

    /// What was not started after this time ends as
    /// [`Cancelled`](raddle_core::Outcome::Cancelled).
    pub fn within(limit: Duration) -> Self {
        Self(Some(limit))
    }

    /// What has not been started ends as [`Cancelled`](raddle_core::Outcome::Cancelled).
    pub fn now() -> Self {
        Self(Some(Duration::ZERO))
    }
}

impl<A: Actor> Pool<A> {
    /// A pool to be described. Its actor type follows from what is spawned.
    pub fn builder(name: impl Into<String>) -> PoolBuilder<A> {
        PoolBuilder::new(name.into())
    }

    fn new(inner: PoolInner<A>) -> Self {
        Self(Arc::new(inner))
    }

    /// The pool's name.
    pub fn name(&self) -> &str {
        &self.0.shared.name
    }

    /// A handle for one thread.
    pub fn local(&self) -> LocalPool<A> {
        LocalPool { pool: self.clone(), routing: self.0.shared.routing.reader() }
    }

    /// A task to be described further: capability, deadline.
    #[inline]
    pub fn task(&self, msg: A::Msg) -> TaskBuilder<'_, A> {
        let shared = &*self.0.shared;
        TaskBuilder::new(shared, Loaded::Now(shared.routing.load()), msg)
    }

    /// Gives a message and wants no answer: `task(msg).tell()`.
    ///
    /// # Errors
    /// Hands the message back when it was not admitted.
    #[inline]
    pub fn tell(&self, msg: A::Msg) -> Result<(), SendError<A::Msg>> {
        let shared = &*self.0.shared;
        shared.give(&shared.routing.load(), msg, None)
    }

    /// Gives a message and returns the answer to come: `task(msg).ask()`.
    ///
    /// # Errors
    /// Hands the message back when it was not admitted.
    #[inline]
    pub fn ask(&self, msg: A::Msg) -> AskResult<A> {
        let shared = &*self.0.shared;
        let (sender, reply) = reply::slot(false);
        shared.give(&shared.routing.load(), msg, Some(sender))?;
        Ok(reply)
    }

    /// Gives a message after this time, unless it is cancelled before: `task(msg).tell_after`.
    pub fn tell_after(&self, delay: Duration, msg: A::Msg) -> TimerHandle {
        self.task(msg).tell_after(delay)
    }

    /// Gives a message that `make` makes, first after the period and then each time it has passed
    /// again, until the timer is cancelled. Without drift; times that were missed are skipped. As
    /// [`tell_after`](TaskBuilder::tell_after) it never waits for room. `make` is called on the pool's own
    /// thread, which is also its watchdog's: it is to be short.
    pub fn tell_every(
        &self,
        period: Duration,
        make: impl Fn() -> A::Msg + Send + Sync + 'static,
    ) -> TimerHandle {
        let shared = &*self.0.shared;
        let make = Contained::new(make);
        let tell = move |shared: &Arc<Shared<A>>| {
            let task = TaskBuilder::new(shared, Loaded::Now(shared.routing.load()), make());
            // What is refused was counted and told.
            let _ = task.send_by(&shared.settings.overflow.without_waiting(), None);
        };
        let due = shared.clock.now().saturating_add(nanos(period));
        shared.desk.schedule(due, Some(nonzero_nanos(period)), Job::Again(Arc::new(tell)))
    }

    /// Replaces the strategy, under traffic. What was learnt is the workers' and stays. Waits for
    /// the strategy to work out what it keeps; no dispatch waits. A shadow strategy is taken away.
    ///
    /// # Errors
    /// If a parameter of the strategy is outside its bounds.
    pub fn set_strategy(&self, strategy: impl Strategy + 'static) -> Result<(), StrategyError> {
        self.0.shared.set_strategy(Arc::new(strategy))
    }

    /// Lets another strategy be scored on the live traffic, without routing any of it: beside each
    /// pick of the strategy, it picks too. Costs a selection a task.
    ///
    /// # Errors
    /// If a parameter of the strategy is outside its bounds.
    pub fn set_shadow(&self, strategy: impl Strategy + 'static) -> Result<(), StrategyError> {
        strategy.validate()?;
        self.0.shared.set_shadow(Some(Arc::new(strategy)));
        Ok(())
    }

    /// Takes the shadow strategy away.
    pub fn clear_shadow(&self) {
        self.0.shared.set_shadow(None);
    }

    /// How the shadow strategy has scored so far; `None` without one.
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.0.shared.shadow_report()
    }

    /// Adds a worker, which is given tasks as soon as its actor has started. Waits for that; no
    /// dispatch waits.
    ///
    /// # Errors
    /// When its name is taken, a thread could not be had, its actor could not be made, or the pool
    /// is shut down. The pool is then as it was.
    pub fn add_worker(&self, spec: WorkerSpec) -> Result<WorkerId, MembershipError> {
        Ok(self.0.shared.add_workers(&[spec])?[0])
    }

    /// Lets a worker take no more tasks; it runs those it has and then is gone, which an
    /// [event](Self::subscribe) tells. Does not wait for that.
    ///
    /// # Errors
    /// When it is unknown, is draining already, or is the last one that takes tasks.
    pub fn retire_worker(&self, id: WorkerId) -> Result<(), MembershipError> {
        self.0.shared.retire_worker(id)
    }

    /// Makes the pool have so many workers that take tasks: adds workers like the first one it was
    /// built with, or retires the youngest. Waits while workers are being added.
    ///
    /// # Errors
    /// As [`add_worker`](Self::add_worker), and when it is to have none.
    pub fn resize(&self, workers: usize) -> Result<(), MembershipError> {
        self.0.shared.resize(workers)
    }

    /// Subscribes to what happens to the pool and its workers from now on.
    pub fn subscribe(&self) -> Events {
        self.0.shared.subscribers.subscribe()
    }

    /// What became of every task so far. Consistent at a quiet moment.
    pub fn account(&self) -> Account {
        self.0.shared.account()
    }

    /// The pool, its strategy and its workers at this moment. Allocates.
    pub fn stats(&self) -> PoolStats {
        let shared = &self.0.shared;
        let routing = shared.routing.load();
        PoolStats {
            name: self.name().to_owned(),
            account: self.account(),
            lost_threads: shared.threads.lost(),
            hedges: shared.hedges.sent(),
            balancer: BalancerStats::new(&*routing.strategy, &routing.roster),
        }
    }

    /// Takes no more tasks, lets those admitted end, and joins every thread. From then on, and on
    /// every handle, tasks are refused as [`SendError::Closed`], and timers do not fire. May be
    /// called again. The messages of tasks that were cancelled at the time limit are kept for
    /// [`take_unfinished`](Self::take_unfinished).
    ///
    /// # Errors
    /// When a handler or a hook has not returned by the drain's time limit and a tenth of a second,
    /// or a thread that was given up as hung has not. At once when called by a handler of the pool
    /// itself, which cannot wait for its own end.
    pub fn shutdown(&self, drain: Drain) -> Result<Account, ShutdownError> {
        let shared = &*self.0.shared;
        shared.close();
        let ended = match shared.threads.contain_current() {
            true => Err(shared.threads.running()),
            false => shared.end(drain.0),
        };
        let lost_threads = shared.threads.lost();
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

    /// The messages of tasks that a shutdown cancelled, in no order, once.
    pub fn take_unfinished(&self) -> Vec<A::Msg> {
        let mut unfinished =
            self.0.shared.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *unfinished).into_iter().map(Contained::into_inner).collect()
    }

    /// The workers whose threads have not ended, and how many threads were given up as hung and
    /// have not returned.
    pub(crate) fn threads(&self) -> (Vec<String>, usize) {
        let threads = &self.0.shared.threads;
        (threads.running(), threads.lost())
    }

    /// Whether it takes no more tasks.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.shared.membership().closed
    }

    /// Gives a token to `closed` when it takes no more tasks.
    pub(crate) fn on_close(&self, closed: Sender<()>) {
        self.0.shared.closing.add(closed);
    }

    pub(crate) fn downgrade(&self) -> WeakPool<A> {
        WeakPool(Arc::downgrade(&self.0))
    }
}

impl<A: Actor> WeakPool<A> {
    pub(crate) fn upgrade(&self) -> Option<Pool<A>> {
        self.0.upgrade().map(Pool)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl<A: Actor> LocalPool<A> {
    /// The pool.
    pub fn pool(&self) -> &Pool<A> {
        &self.pool
    }

    /// As [`Pool::task`].
    #[inline]
    pub fn task(&mut self, msg: A::Msg) -> TaskBuilder<'_, A> {
        TaskBuilder::new(&self.pool.0.shared, Loaded::Kept(self.routing.load()), msg)
    }

    /// As [`Pool::tell`].
    ///
    /// # Errors
    /// Hands the message back when it was not admitted.
    #[inline]
    pub fn tell(&mut self, msg: A::Msg) -> Result<(), SendError<A::Msg>> {
        self.pool.0.shared.give(self.routing.load(), msg, None)
    }

    /// As [`Pool::ask`].
    ///
    /// # Errors
    /// Hands the message back when it was not admitted.
    #[inline]
    pub fn ask(&mut self, msg: A::Msg) -> AskResult<A> {
        let (sender, reply) = reply::slot(false);
        self.pool.0.shared.give(self.routing.load(), msg, Some(sender))?;
        Ok(reply)
    }
}

/// How long workers have, once the time limit is over, to cancel what is queued.
const CANCELLING: Duration = Duration::from_millis(100);

impl<A: Actor> Shared<A> {
    /// Waits until every worker of the closed pool has ended, and joins the threads. What is
    /// queued is cancelled when the limit is over.
    ///
    /// # Errors
    /// The workers that had not ended a moment after that.
    fn end(&self, limit: Option<Duration>) -> Result<(), Vec<String>> {
        self.threads.wait(limit).or_else(|_| {
            self.cancelling.store(true, Relaxed);
            // Also those that wait for another to let go of a key.
            self.routing.load().mailboxes.iter().for_each(|mailbox| mailbox.wake());
            self.threads.wait(Some(CANCELLING))
        })?;
        self.desk.look();
        self.threads.join();
        Ok(())
    }
}

impl<A: Actor> Drop for PoolInner<A> {
    fn drop(&mut self) {
        let shared = &*self.shared;
        shared.close();
        // A handler that drops the last handle cannot wait for its own end, and a thread that
        // was still running at a shutdown's limit has been waited for enough.
        if !shared.threads.contain_current() && !shared.is_cancelling() {
            // Without a limit all of them end.
            let _ = shared.end(None);
        }
    }
}

impl<A: Actor> Clone for Pool<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Clone for LocalPool<A> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), routing: self.routing.clone() }
    }
}

impl<A: Actor> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<A: Actor> fmt::Debug for LocalPool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool").field("pool", &self.pool).finish_non_exhaustive()
    }
}
