//! Waits of a handler or hook inside raddle: for room, a reply or a drain. They are not the handler's own
//! time, so the watchdog and the statistics leave them out.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle_core::Worker;
use raddle_core::internal::WorkerInternals;
use raddle_sync::time;

use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::deadlock::{INTERVAL, Search, Target, Waiter};
use crate::lease::{SerialLease, Stay};

raddle_sync::thread_local! {
    /// The worker that this thread runs. Read only when a wait begins.
    static HERE: RefCell<Option<Rc<Here>>> = const { RefCell::new(None) };
}

raddle_sync::thread_local! {
    /// Whether this thread runs a worker: without a destructor, so that reading it is one load.
    static ON_WORKER: Cell<bool> = const { Cell::new(false) };
}

raddle_sync::thread_local! {
    /// The replies that this thread's async handler awaits from raddle, and the like.
    static AWAITED: RefCell<Option<Arc<AtomicUsize>>> = const { RefCell::new(None) };
}

/// What the waits of a worker's thread must know.
pub(crate) struct Here {
    pub(crate) worker: Arc<Worker>,
    pub(crate) lease: Arc<SerialLease>,
    pub(crate) waiter: Arc<Waiter>,
    /// Announces a deadlock of these workers.
    pub(crate) announce: Box<dyn Fn(Vec<String>)>,
}

/// Notes that the calling thread runs this worker from now on.
pub(crate) fn enter(here: Here) {
    HERE.with(|it| *it.borrow_mut() = Some(Rc::new(here)));
    ON_WORKER.with(|it| it.set(true));
}

/// Notes that the calling thread runs no worker any more. May drop what the user gave to the pool.
pub(crate) fn leave() {
    ON_WORKER.with(|it| it.set(false));
    let here = HERE.with(|it| it.borrow_mut().take());
    drop(here);
}

/// Returns whether the calling thread runs a worker.
#[inline(always)]
pub(crate) fn is_on_worker() -> bool {
    ON_WORKER.with(Cell::get)
}

fn here() -> Option<Rc<Here>> {
    HERE.try_with(|here| here.borrow().clone()).ok().flatten()
}

/// Runs a wait, which may be that of a worker's thread.
pub(crate) fn waiting<R>(wait: impl FnOnce() -> R) -> R {
    let _suspended = here().and_then(Suspended::begin);
    wait()
}

/// Waits for the reply of the task at `target`, by `wait` for at most a time each: that returns `None` if
/// the reply has not come. Without `until` there is no limit.
///
/// # Errors
/// Why there is none.
pub(crate) fn wait_for_reply<R>(
    target: &Target,
    until: Option<Instant>,
    mut wait: impl FnMut(Duration) -> Option<R>,
) -> Result<R, InVain> {
    let here = here();
    let search = |here: &Rc<Here>| Search::begin(Arc::clone(&here.waiter), target, until);
    let mut search = here.as_ref().map(search);
    loop {
        let left = until.map(|until| until.saturating_duration_since(time::now()));
        if let Some(reply) = wait(left.map_or(INTERVAL, |left| left.min(INTERVAL))) {
            return Ok(reply);
        }
        if left.is_some_and(|left| left <= INTERVAL) {
            return Err(InVain::TimedOut);
        }
        if let Some(workers) = search.as_mut().and_then(Search::check) {
            drop(search.take());
            here.iter().for_each(|here| (here.announce)(workers.clone()));
            return Err(InVain::Deadlock(workers));
        }
    }
}

/// A future of raddle's that an async handler awaits: the handler then does not hang, however long it
/// waits. Held by the future from a poll in vain until the next one.
#[derive(Debug)]
pub(crate) struct Awaiting(Arc<AtomicUsize>);

impl Awaiting {
    /// `None` unless an async handler polls the future, on its worker's thread.
    pub(crate) fn begin() -> Option<Self> {
        let awaited = AWAITED.try_with(|it| it.borrow().clone()).ok().flatten()?;
        awaited.fetch_add(1, Relaxed);
        Some(Self(awaited))
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        // Relaxed, like all of it: a future that another thread drops was moved there.
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Whether an async handler awaits something of raddle's.
#[derive(Debug, Default)]
pub(crate) struct Awaited(Arc<AtomicUsize>);

impl Awaited {
    /// Notes that the calling thread polls this handler from now on.
    pub(crate) fn enter(&self) {
        AWAITED.with(|it| *it.borrow_mut() = Some(Arc::clone(&self.0)));
    }

    pub(crate) fn any(&self) -> bool {
        self.0.load(Relaxed) > 0
    }

    /// Forgets what the handler awaited, which has ended: it may have leaked a future.
    pub(crate) fn forget(&mut self) {
        if self.any() {
            *self = Self::default();
            self.enter();
        }
    }
}

/// Why a wait for a reply has ended without one.
pub(crate) enum InVain {
    TimedOut,
    /// These workers wait for each other.
    Deadlock(Vec<String>),
}

/// A handler or hook that waits.
struct Suspended {
    here: Rc<Here>,
    stay: Stay,
    since: u64,
}

impl Suspended {
    fn begin(here: Rc<Here>) -> Option<Self> {
        let stay = here.lease.suspend()?;
        let since = here.worker.clock().now();
        here.worker.begin_wait();
        Some(Self { here, stay, since })
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        let Here { worker, lease, .. } = &*self.here;
        let waited = worker.clock().now().saturating_sub(self.since);
        worker.end_wait(waited);
        lease.resume(self.stay, waited);
    }
}
