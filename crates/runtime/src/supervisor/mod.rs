//! Keeps pools running, and shuts them down in order.

mod builder;
mod child;
mod error;
mod event;
mod family;
mod keeper;
mod report;
mod strategy;
mod until;

use std::any::{Any, type_name};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use raddle_sync::channel::{Receiver, RecvTimeoutError};
use raddle_sync::lock::ColdLock;
use raddle_sync::thread::{self, JoinHandle, ThreadId};

pub use builder::SupervisorBuilder;
pub use error::{ChildError, SuperviseError};
pub use event::{SupervisorEvent, SupervisorEventKind, SupervisorEvents};
pub use report::{ChildReport, ShutdownReport};
pub use strategy::SupervisionStrategy;

use crate::blocking;
use crate::log;
use crate::panics;
use crate::pool::{Drain, Pool};
use family::{Announcing, Family, Over, Phase};
use until::Until;

/// Keeps pools running: starts them, restarts them when one has failed, and shuts them down in order.
///
/// A pool has *failed* when it is closed and the supervisor did not close it: it closed itself
/// because a worker was retired under [`OnRetired::Close`](crate::OnRetired::Close), or the program
/// called [`shutdown`](Pool::shutdown). The pools that the [`SupervisionStrategy`] names are then
/// shut down, the last one first, and restarted, the first one first, as often and as fast as the
/// limit and the [`Backoff`](crate::Backoff) allow. A start that fails or panics is a failure too,
/// and is tried again. At the limit the supervisor gives up: it shuts every pool down, sends an
/// event, and ends.
///
/// Messages of tasks that a restart had to cancel are kept, however many there are: a program whose
/// messages matter [takes](Self::take_unfinished) them after each restart and sends them again.
///
/// A supervisor is one thread, which no task passes through. A pool that closes wakes it. Dropping
/// it shuts it down as by [`shutdown`](Self::shutdown) without a time limit.
///
/// ```
/// use std::time::Duration;
/// use raddle_core::WorkerSpec;
/// use raddle_runtime::{
///     Actor, Context, Drain, Handler, OnRetired, Pool, RestartLimit, RestartPolicy, Restarts,
///     SupervisionStrategy, Supervisor, SupervisorEventKind,
/// };
///
/// struct Divider;
///
/// impl Actor for Divider {}
///
/// impl Handler<u64> for Divider {
///     type Reply = u64;
///
///     fn handle(&mut self, by: u64, _: &mut Context<'_, Self>) -> u64 {
///         84 / by
///     }
/// }
///
/// let divide = || {
///     Pool::builder("divide")
///         .workers(1, WorkerSpec::general())
///         .restarts(Restarts::default().policy(RestartPolicy::Never))
///         .on_retired(OnRetired::Close)
///         .spawn(|_| Divider)
/// };
/// let supervisor = Supervisor::builder()
///     .strategy(SupervisionStrategy::RestForOne)
///     .limit(RestartLimit { restarts: 5, within: Duration::from_secs(60) })
///     .child("divide", divide)
///     .child("log", || Pool::builder("log").workers(1, WorkerSpec::general()).spawn(|_| Divider))
///     .start()?;
/// let mut events = supervisor.subscribe();
///
/// let pool = supervisor.pool::<u64, u64>("divide")?;
/// assert!(pool.ask(0).wait().is_err());
/// while events.next().map(|event| (event.child, event.kind))
///     != Some(("log".into(), SupervisorEventKind::Restarted { restarts: 1 })) {}
/// assert!(pool.tell(2).is_err(), "it has been replaced");
/// assert_eq!(supervisor.pool::<u64, u64>("divide")?.ask(2).wait()?, 42);
///
/// let report = supervisor.shutdown(Drain::within(Duration::from_secs(5)));
/// assert!(report.is_complete());
/// assert_eq!(report.child("divide")?.account.counts.panicked, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Supervisor {
    family: Arc<Family>,
    /// Locked at the end.
    thread: ColdLock<Option<JoinHandle<()>>>,
    keeper: ThreadId,
    /// Disconnected once the thread has ended.
    ended: Receiver<Infallible>,
}

/// How long the supervisor's thread may take to end once the time limit is over.
const ENDING: Duration = Duration::from_millis(100);

impl Supervisor {
    /// Returns the child's current pool. Call it again when a task was refused as
    /// [`Closed`](crate::Refusal::Closed): a handle of a replaced pool refers to the old one, and does
    /// not keep it from ending. Takes a lock.
    ///
    /// # Errors
    /// If there is no such child, its pool has other types, it is restarting, or the supervisor has
    /// ended.
    pub fn pool<M, R>(&self, child: &str) -> Result<Pool<M, R>, ChildError>
    where
        M: Send + 'static,
        R: Send + 'static,
    {
        let pool = self.family.serving(self.family.position(child)?);
        // After that: a pool that was shut down with the supervisor is not one that restarts.
        self.family.check_running().map_err(|Over| ChildError::Ended)?;
        let restarting = || ChildError::Restarting(child.to_owned());
        let pool: &dyn Any = &*pool.ok_or_else(restarting)?;
        let pool = pool.downcast_ref::<Pool<M, R>>().ok_or_else(|| ChildError::OtherPool {
            child: child.to_owned(),
            requested: type_name::<Pool<M, R>>(),
        })?;
        if pool.is_closed() {
            self.family.notify.notify();
            return Err(restarting());
        }
        Ok(pool.clone())
    }

    /// Subscribes to the events of the children from now on.
    pub fn subscribe(&self) -> SupervisorEvents {
        self.family.subscribers.subscribe()
    }

    /// Takes the messages of a child's tasks that were admitted and that a restart cancelled, and of
    /// delayed tasks that its closed pools had not sent, in no particular order. Those not taken are in the report of the [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    /// If there is no such child, or its messages have another type; they are kept then.
    pub fn take_unfinished<M: 'static>(&self, child: &str) -> Result<Vec<M>, ChildError> {
        let index = self.family.position(child)?;
        report::take(child, self.family.state.lock().children[index].unfinished())
    }

    /// Stops restarting, shuts every pool down, the last one first, and joins the supervisor's thread.
    /// The drain's time limit is for all of them together: the time that a pool does not use is left
    /// for those before it. Each pool with a handler that hangs, and a start that hangs, adds at most
    /// a tenth of a second. Workers that were still running when their pool was replaced are
    /// reported, and not waited for again.
    ///
    /// May be called again: it then waits for what was still running in the current pools, and
    /// reports the messages that have come since.
    pub fn shutdown(&self, drain: Drain) -> ShutdownReport {
        let announcing = self.family.announcing();
        self.family.enter(Phase::ShutDown);
        self.end(Until::after(drain.0), announcing)
    }

    fn end(&self, until: Until, announcing: Announcing<'_>) -> ShutdownReport {
        self.family.notify.notify();
        self.family.stop_all(until);
        drop(announcing);
        self.join(until);
        self.family.report()
    }

    /// Waits for the supervisor's thread, unless that is the caller's: a start may shut down its own
    /// supervisor.
    fn join(&self, until: Until) {
        if thread::current().id() == self.keeper {
            return;
        }
        let limit = until.left().map_or(Duration::MAX, |left| left.max(ENDING));
        if blocking::waiting(|| self.ended.recv_timeout(limit)) == Err(RecvTimeoutError::Timeout) {
            return;
        }
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("a supervisor's thread panicked outside of the user's code");
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let announcing = self.family.announcing();
        match self.family.enter(Phase::ShutDown) {
            Phase::Running => {
                let report = self.end(Until::after(None), announcing);
                panics::contain(|| drop(report));
            }
            // It is shutting down its pools, within a limit.
            Phase::GaveUp => self.join(Until::after(None)),
            // It has waited for long enough.
            Phase::ShutDown => {}
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").finish_non_exhaustive()
    }
}
