mod builder;
mod housekeeper;
mod routing;
mod shared;
mod task;
mod threads;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use raddle_core::sync::SnapshotReader;
use raddle_core::sync::channel::Sender;
use raddle_strategies::{BalancerStats, Strategy};

pub use builder::PoolBuilder;
pub use task::Task;

use crate::{Account, Actor, AskResult, PoolStats, SendError, ShutdownError};
use routing::{Loaded, Routing};
use shared::Shared;
use threads::Threads;

/// Workers of one actor type behind one strategy.
///
/// A pool is a handle: clones share the workers, any thread may use it, and when the last one is
/// dropped the pool is shut down as by [`shutdown`](Self::shutdown) without a time limit. A thread
/// that gives many tasks saves some nanoseconds on each with a [`Handle`] of its own.
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
    threads: Threads,
    /// Ends the housekeeper.
    stop: Sender<()>,
}

/// A pool that is not kept alive.
pub(crate) struct WeakPool<A: Actor>(Weak<PoolInner<A>>);

/// A [`Pool`] for one thread: it keeps the routing at hand, so that giving a task loads nothing
/// that has not changed. Made by [`Pool::handle`].
pub struct Handle<A: Actor> {
    pool: Pool<A>,
    routing: SnapshotReader<Routing<A>>,
}

/// How long a shutdown waits for tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain(Option<Duration>);

impl Drain {
    /// Every admitted task is run.
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
    pub fn handle(&self) -> Handle<A> {
        Handle { pool: self.clone(), routing: self.0.shared.routing.reader() }
    }

    /// A task to be described further: capability, deadline.
    #[inline]
    pub fn task(&self, msg: A::Msg) -> Task<'_, A> {
        let shared = &*self.0.shared;
        Task::new(shared, Loaded::Now(shared.routing.load()), msg)
    }

    /// Gives a message and wants no answer: `task(msg).tell()`.
    ///
    /// # Errors
    /// Hands the message back when it was not admitted.
    #[inline]
    pub fn tell(&self, msg: A::Msg) -> Result<(), SendError<A::Msg>> {
        self.task(msg).tell()
    }

    /// Gives a message and returns the answer to come: `task(msg).ask()`.
    ///
    /// # Errors
    /// Hands the message back when it was not admitted.
    #[inline]
    pub fn ask(&self, msg: A::Msg) -> AskResult<A> {
        self.task(msg).ask()
    }

    /// Replaces the strategy, under traffic. What was learnt is the workers' and stays. Waits for
    /// the strategy to work out what it keeps; no dispatch waits.
    pub fn set_strategy(&self, strategy: impl Strategy + 'static) {
        let shared = &self.0.shared;
        let routing = shared.routing.load();
        let next = Routing {
            roster: Arc::clone(&routing.roster),
            mailboxes: Arc::clone(&routing.mailboxes),
            strategy: Arc::new(strategy),
        };
        next.strategy.refresh(&next.roster);
        shared.routing.store(Arc::new(next));
    }

    /// What became of every task so far. Consistent at a quiet moment.
    pub fn account(&self) -> Account {
        self.0.shared.account()
    }

    /// The pool, its strategy and its workers at this moment. Allocates.
    pub fn stats(&self) -> PoolStats {
        let routing = self.0.shared.routing.load();
        PoolStats {
            name: self.name().to_owned(),
            account: self.account(),
            balancer: BalancerStats::new(&*routing.strategy, &routing.roster),
        }
    }

    /// Takes no more tasks, lets those admitted end, and joins every thread. From then on, and on
    /// every handle, tasks are refused as [`SendError::Closed`]. May be called again.
    ///
    /// # Errors
    /// When a handler has not returned by the drain's time limit and a tenth of a second. At once
    /// when called by a handler of the pool itself, which cannot wait for its own end.
    pub fn shutdown(&self, drain: Drain) -> Result<Account, ShutdownError> {
        let inner = &*self.0;
        inner.close();
        if !inner.threads.contain_current() && inner.threads.end(drain.0) {
            return Ok(self.account());
        }
        let routing = inner.shared.routing.load();
        let running = routing.roster.workers().iter().map(|member| &member.worker);
        let workers = running
            .filter(|worker| worker.stats().in_flight() > 0)
            .map(|worker| worker.name().to_owned())
            .collect();
        Err(ShutdownError { workers, account: self.account() })
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

impl<A: Actor> Handle<A> {
    /// The pool.
    pub fn pool(&self) -> &Pool<A> {
        &self.pool
    }

    /// As [`Pool::task`].
    #[inline]
    pub fn task(&mut self, msg: A::Msg) -> Task<'_, A> {
        Task::new(&self.pool.0.shared, Loaded::Kept(self.routing.load()), msg)
    }

    /// As [`Pool::tell`].
    ///
    /// # Errors
    /// Hands the message back when it was not admitted.
    #[inline]
    pub fn tell(&mut self, msg: A::Msg) -> Result<(), SendError<A::Msg>> {
        self.task(msg).tell()
    }

    /// As [`Pool::ask`].
    ///
    /// # Errors
    /// Hands the message back when it was not admitted.
    #[inline]
    pub fn ask(&mut self, msg: A::Msg) -> AskResult<A> {
        self.task(msg).ask()
    }
}

impl<A: Actor> PoolInner<A> {
    fn close(&self) {
        self.shared.close();
        let _ = self.stop.try_send(());
    }
}

impl<A: Actor> Drop for PoolInner<A> {
    fn drop(&mut self) {
        self.close();
        // A handler that drops the last handle cannot wait for its own end, and a thread that
        // was still running at a shutdown's limit has been waited for enough.
        if !self.threads.contain_current() && !self.threads.are_cancelling() {
            self.threads.end(None);
        }
    }
}

impl<A: Actor> Clone for Pool<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), routing: self.routing.clone() }
    }
}

impl<A: Actor> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<A: Actor> fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("pool", &self.pool).finish_non_exhaustive()
    }
}
