use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use raddle_core::Worker;

use super::runtime::TestRuntime;
use crate::actor::{Handler, IntoActor, IntoReply, Reply};
use crate::error::SpawnError;
use crate::pool::{Pool, PoolBuilder};

/// A pool on the thread of the test, under a virtual clock; see [`TestRuntime`]. It derefs to its
/// [`Pool`], which is used as always. Those of a thread share the clock.
///
/// ```
/// use std::time::Duration;
///
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::test::{self, TestPool};
/// use raddle_runtime::{Actor, Context, Drain, EventKind, Handler, Pool, Watchdog};
///
/// struct Sleeper;
///
/// impl Actor for Sleeper {}
///
/// impl Handler<Duration> for Sleeper {
///     type Reply = ();
///
///     fn handle(&mut self, duration: Duration, _: &mut Context<'_, Self>) {
///         test::sleep(duration);
///     }
/// }
///
/// let sleepers = Pool::builder("sleep")
///     .workers(1, WorkerSpec::general())
///     .watchdog(Watchdog::after(Duration::from_secs(60)));
/// let pool = TestPool::spawn(sleepers, |_| Sleeper)?;
/// let mut events = pool.subscribe();
/// pool.tell(Duration::from_secs(3600))?; // hangs
/// pool.advance(Duration::from_secs(61));
/// assert_eq!(events.try_recv().map(|event| event.kind), Some(EventKind::Quarantined));
/// pool.ask(Duration::ZERO).wait()?; // by another thread
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TestPool<M, R> {
    /// Dropped before the runtime.
    pool: Pool<M, R>,
    runtime: TestRuntime,
}

impl<M: Send + 'static, R: Reply> TestPool<M, R> {
    /// Spawns a pool, as [`PoolBuilder::spawn`] does, in the thread's [`TestRuntime`].
    ///
    /// # Errors
    /// As [`PoolBuilder::spawn`], and if the builder has a clock.
    pub fn spawn<A>(
        builder: PoolBuilder<M, R>,
        make: impl Fn(&Worker) -> A + Send + Sync + 'static,
    ) -> Result<Self, SpawnError>
    where
        A: IntoActor<Actor: Handler<M, Reply: IntoReply<Reply = R>>>,
    {
        let runtime = TestRuntime::enter();
        Ok(Self { pool: builder.spawn(make)?, runtime })
    }
}

impl<M, R> TestPool<M, R> {
    /// Calls `spawn` in the thread's [`TestRuntime`]: for async handlers, and for functions of an
    /// application that spawn a pool.
    ///
    /// # Errors
    /// That of `spawn`.
    pub fn start<E>(spawn: impl FnOnce() -> Result<Pool<M, R>, E>) -> Result<Self, E> {
        let runtime = TestRuntime::enter();
        Ok(Self { pool: spawn()?, runtime })
    }

    /// Returns the pool's runtime.
    pub fn runtime(&self) -> &TestRuntime {
        &self.runtime
    }

    /// As [`TestRuntime::step`].
    pub fn step(&self) -> bool {
        self.runtime.step()
    }

    /// As [`TestRuntime::run_until_idle`].
    ///
    /// # Panics
    /// After ten million steps.
    pub fn run_until_idle(&self) -> u64 {
        self.runtime.run_until_idle()
    }

    /// As [`TestRuntime::advance`].
    ///
    /// # Panics
    /// After ten million steps at one time.
    pub fn advance(&self, by: Duration) {
        self.runtime.advance(by);
    }
}

impl<M, R> Deref for TestPool<M, R> {
    type Target = Pool<M, R>;

    fn deref(&self) -> &Pool<M, R> {
        &self.pool
    }
}

impl<M, R> fmt::Debug for TestPool<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestPool").field(&self.pool).finish()
    }
}
