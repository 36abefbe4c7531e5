use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Clock, Roster, RosterError, VirtualTime, Worker, WorkerSpec, nanos};
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::actor::{Handler, IntoReply, Reply};
use crate::context::{Context, Scope};
use crate::deadline::NEVER;
use crate::lease::SerialLease;
use crate::mailbox::Alarm;
use crate::pool::{OwnPool, Pool};
use crate::reply::Asker;

/// What a handler or hook of actor `A` needs to be called without a pool: it lends a [`Context`], and
/// sets what that says.
///
/// ```
/// use std::time::Duration;
///
/// use raddle_runtime::{Actor, Context, Handler};
///
/// /// Adds numbers until it is full or out of time.
/// struct Sum(u64);
///
/// impl Actor for Sum {}
///
/// impl Handler<u64> for Sum {
///     type Reply = Result<u64, &'static str>;
///
///     fn handle(&mut self, number: u64, cx: &mut Context<'_, Self>) -> Self::Reply {
///         if cx.remaining().is_some_and(|left| left < Duration::from_millis(1)) {
///             return Err("too late");
///         }
///         self.0 += number;
///         if self.0 > 100 {
///             cx.stop();
///         }
///         Ok(self.0)
///     }
/// }
///
/// let mut test = Context::for_test();
/// let mut sum = Sum(0);
/// assert_eq!(sum.handle(60, &mut test.context()), Ok(60));
///
/// test.set_timeout(Duration::from_millis(2));
/// test.advance(Duration::from_millis(2));
/// assert_eq!(sum.handle(60, &mut test.context()), Err("too late"));
///
/// test.clear_deadline();
/// let mut cx = test.context();
/// assert_eq!(sum.handle(60, &mut cx), Ok(120));
/// assert!(cx.is_stopping());
/// ```
pub struct TestContext<A> {
    scope: Scope,
    time: VirtualTime,
    deadline: u64,
    asker: TestAsker,
    actor: PhantomData<fn(A)>,
}

/// An asker that may go away.
struct TestAsker(Cell<bool>);

impl Asker for TestAsker {
    fn has_withdrawn(&self) -> bool {
        self.0.get()
    }

    fn start(&self) -> bool {
        true
    }

    fn has_cancelled(&self) -> bool {
        self.has_withdrawn()
    }

    /// Only hosts of async handlers ask for it.
    fn on_cancel(&self, _: &Arc<Alarm>) {}
}

/// The name of the worker of a context that was created without one.
const WORKER: &str = "test";

impl<A> Default for TestContext<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A> TestContext<A> {
    /// Creates a context of a task without a deadline, on a general worker named `test`.
    pub fn new() -> Self {
        match Self::on(WorkerSpec::new(WORKER)) {
            Ok(test) => test,
            Err(_) => unreachable!("one general worker makes a roster"),
        }
    }

    /// Creates a context of a task without a deadline, on the worker that `spec` describes.
    ///
    /// # Errors
    /// If a pool could not have the worker.
    pub fn on(spec: WorkerSpec) -> Result<Self, RosterError> {
        let (clock, time) = Clock::simulated();
        let roster = Roster::builder().worker(spec).clock(clock).build()?;
        let scope = Scope {
            worker: Arc::clone(&roster.members()[0].worker),
            cancelling: Arc::new(AtomicBool::new(false)),
            lease: Arc::new(SerialLease::default()),
            own_pool: Arc::new(()),
            alone_at: Cell::new(0),
        };
        let asker = TestAsker(Cell::new(false));
        Ok(Self { scope, time, deadline: NEVER, asker, actor: PhantomData })
    }

    /// Returns the context to call a handler or hook with. Afterwards it says whether that has
    /// [stopped](Context::is_stopping) the actor or [given up](Context::gave_up).
    ///
    /// A [checkpoint](Context::checkpoint) does nothing: no other task waits.
    pub fn context(&mut self) -> Context<'_, A> {
        Context::new(&self.scope, self.deadline, Some(&self.asker), None)
    }

    /// Returns the worker.
    pub fn worker(&self) -> &Worker {
        &self.scope.worker
    }

    /// Sets the task's deadline to `timeout` from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        // One before `NEVER`, which is no deadline.
        self.deadline = self.now().saturating_add(nanos(timeout)).min(NEVER - 1);
    }

    /// Removes the task's deadline.
    pub fn clear_deadline(&mut self) {
        self.deadline = NEVER;
    }

    /// Moves the worker's clock forward, which stands still otherwise.
    pub fn advance(&mut self, by: Duration) {
        self.time.advance(by);
    }

    /// Sets whether the asker of the task has gone, so that the task is
    /// [cancelled](Context::is_cancelled).
    pub fn set_withdrawn(&mut self, withdrawn: bool) {
        self.asker.0.set(withdrawn);
    }

    /// Sets whether the pool's shutdown has reached its time limit, so that every task is
    /// [cancelled](Context::is_cancelled).
    pub fn set_shutting_down(&mut self, shutting_down: bool) {
        self.scope.cancelling.store(shutting_down, Relaxed);
    }

    /// Sets the pool that [`Context::pool`] returns; none by default. It is kept weakly, as by a worker.
    pub fn set_pool<M, R>(&mut self, pool: &Pool<M, R>)
    where
        A: Handler<M, Reply: IntoReply<Reply = R>>,
        M: Send + 'static,
        R: Reply,
    {
        self.scope.own_pool = Arc::new(OwnPool::<M, R>::from(pool.downgrade()));
    }

    fn now(&self) -> u64 {
        self.worker().clock().now()
    }
}

impl<A> Context<'_, A> {
    /// Creates what a handler or hook of `A` needs to be called without a pool.
    pub fn for_test() -> TestContext<A> {
        TestContext::new()
    }
}

impl<A> fmt::Debug for TestContext<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestContext").field("worker", &self.worker().name()).finish_non_exhaustive()
    }
}
