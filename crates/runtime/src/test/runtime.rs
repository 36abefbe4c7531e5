use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use raddle_core::{Clock, VirtualTime};
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};
use raddle_sync::fibers::{self, Fibers, Schedule, Time};

thread_local! {
    static ENTERED: RefCell<Weak<Shared>> = const { RefCell::new(Weak::new()) };
}

/// Runs every pool that is spawned on the calling thread while this lives, on that thread, under a
/// virtual clock.
///
/// The threads of such a pool take turns on the thread of the test. They run when the test
/// [steps](Self::step) them, when it [moves the clock](Self::advance), and while it waits inside raddle:
/// for a reply, for room, for a shutdown, for an event. Everything else is the pool that ships. Time
/// passes for it only by the virtual clock, which stands still until the test moves it, or waits with
/// nothing else to do: then the clock moves to the next time at which something is due. So timers,
/// deadlines, periods, restarts, reviews, hedges and the watchdog fire at their exact times, at once.
///
/// A handler that blocks outside of raddle blocks the test. Use [`sleep`](super::sleep()) for one that
/// takes long or hangs. Thread-local variables are shared by all workers, and tests run in order: a test that repeats
/// random choices of strategies calls `fastrand::seed` first.
///
/// ```
/// use std::time::Duration;
///
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::test::TestRuntime;
/// use raddle_runtime::{Actor, Context, Handler, Pool, SpawnError};
///
/// struct Counter(u64);
///
/// impl Actor for Counter {}
///
/// impl Handler<u64> for Counter {
///     type Reply = u64;
///
///     fn handle(&mut self, by: u64, _: &mut Context<'_, Self>) -> u64 {
///         self.0 += by;
///         self.0
///     }
/// }
///
/// /// Code of an application, which knows nothing of tests.
/// fn counters() -> Result<Pool<u64, u64>, SpawnError> {
///     Pool::builder("count").workers(1, WorkerSpec::general()).spawn(|_| Counter(0))
/// }
///
/// let runtime = TestRuntime::enter();
/// let pool = counters()?;
/// pool.tell_every(Duration::from_secs(3600), || 1)?;
/// runtime.advance(Duration::from_secs(10 * 3600));
/// assert_eq!(pool.ask(0).wait()?, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TestRuntime(Rc<Shared>);

struct Shared {
    fibers: Fibers,
    clock: Clock,
}

struct Virtual {
    clock: Clock,
    time: VirtualTime,
}

impl Time for Virtual {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn set(&self, now: u64) {
        self.time.set(now);
    }
}

/// The clock of the thread's test runtime, if there is one.
pub(crate) fn virtual_clock() -> Option<Clock> {
    ENTERED.with_borrow(|entered| entered.upgrade().map(|shared| shared.clock.clone()))
}

impl TestRuntime {
    /// Enters the thread's test runtime, which begins if there is none, and ends when the last handle is
    /// dropped. Drop the pools before it.
    pub fn enter() -> Self {
        if let Some(shared) = ENTERED.with_borrow(Weak::upgrade) {
            return Self(shared);
        }
        let (clock, time) = Clock::simulated();
        let Some(fibers) = Fibers::enter(Box::new(Virtual { clock: clock.clone(), time })) else {
            unreachable!("nothing else enters fibers")
        };
        let shared = Rc::new(Shared { fibers, clock });
        ENTERED.set(Rc::downgrade(&shared));
        Self(shared)
    }

    /// Lets a schedule decide, for a run that is explored.
    pub(super) fn explore(&self, schedule: Box<dyn Schedule>, patience: Duration) {
        self.0.fibers.set_schedule(schedule);
        self.0.fibers.set_patience(patience);
    }

    /// Ends what sleeps, for good.
    pub(super) fn end_sleeps(&self) {
        self.0.fibers.end_sleeps();
    }

    /// Lets one thread of a pool go on until it waits or a handler is about to run; each in its turn.
    /// Returns whether any could.
    pub fn step(&self) -> bool {
        self.0.fibers.step()
    }

    /// Lets the threads go on until none can before time passes. Returns the number of steps.
    ///
    /// # Panics
    /// After ten million steps: there is no end to them, such as with an actor that always sends itself
    /// the next message.
    pub fn run_until_idle(&self) -> u64 {
        self.0.fibers.run_until_idle()
    }

    /// Moves the clock forward, and lets threads run at each time at which something is due.
    ///
    /// # Panics
    /// As [`run_until_idle`](Self::run_until_idle).
    pub fn advance(&self, by: Duration) {
        self.0.fibers.advance(by);
    }

    /// Returns the virtual clock, whose time starts at 1 ns.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Waits for a future, as an executor would.
    ///
    /// # Panics
    /// If nothing will ever wake the future: no pool has anything to do any more within a day of the
    /// virtual clock.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }

    /// Describes the threads of the pools that have not ended, one per line: for messages of tests.
    pub fn threads(&self) -> String {
        self.0.fibers.describe()
    }
}

/// Waits for a future as [`TestRuntime::block_on`] does, in a test, or in a caller of a
/// [`Run`](super::Run).
///
/// # Panics
/// If nothing will ever wake the future, or there is no [`TestRuntime`].
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let poll = || match woken.0.swap(false, Relaxed).then(|| future.as_mut().poll(&mut cx))? {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    };
    fibers::wait(None, poll).unwrap_or_else(|| panic!("nothing wakes the future any more"))
}

/// Whether a future was woken since it was last polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // Relaxed: only one thread runs.
        self.0.store(true, Relaxed);
    }
}

impl fmt::Debug for TestRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRuntime").field("now", &self.clock().now()).finish_non_exhaustive()
    }
}
