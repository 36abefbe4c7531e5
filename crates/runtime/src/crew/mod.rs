//! A pool's workers as its members and threads: who they are, how well they are, and what follows
//! when one hangs, fails or leaves.
//!
//! Not generic in the actor or the task: the crew changes the routing through
//! [`Control`](crate::router::Control), creates hosts through [`Hosts`], and learns from them
//! through [`Overseer`](crate::worker::Overseer).

mod announcer;
mod membership;
mod resizing;
mod reviews;
mod threads;
mod watchdog;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use raddle_core::{SerialRecorder, Worker, WorkerSpec};
use raddle_strategies::EjectionError;
use raddle_sync::channel::Sender;
use raddle_sync::lock::ColdLock;

use announcer::Announcer;
use membership::{Assignment, Membership, Reviews};
pub(crate) use resizing::check_names;
use threads::Threads;

use crate::error::SpawnError;
use crate::event::EventKind;
use crate::keys::ShortId;
use crate::mailbox::Notify;
use crate::restart::RetireReason;
use crate::router::Control;
use crate::settings::{OnRetired, Settings};
use crate::worker::{Overseer, SerialLease, Start};

/// The hosts of a pool's workers, whose actor and tasks the crew does not know.
pub(crate) trait Hosts: Send + Sync {
    /// Creates the host of a worker, and returns what the worker's thread runs.
    fn create(&self, start: Start, overseer: Arc<dyn Overseer>) -> Box<dyn FnOnce() + Send>;
    /// Moves the free tasks of a worker to other workers with room.
    fn move_free_tasks(&self, worker: ShortId);
}

pub(crate) struct Crew {
    pub(crate) settings: Arc<Settings>,
    pub(crate) announcer: Announcer,
    pub(crate) threads: Threads,
    router: Arc<Control>,
    hosts: Box<dyn Hosts>,
    /// Wakes the housekeeper.
    housekeeper: Notify,
    /// Notified when the pool takes no more tasks.
    closing: ColdLock<Vec<Notify>>,
    /// Locked by changes of membership.
    membership: ColdLock<Membership>,
    /// Locked while workers are added.
    growing: ColdLock<()>,
}

/// How long workers have to cancel what is queued once a shutdown's time limit is over.
const CANCELLING: Duration = Duration::from_millis(100);

impl Crew {
    /// Creates a crew without threads for the workers of the router's roster.
    pub(crate) fn new(
        name: &str,
        settings: Arc<Settings>,
        router: Arc<Control>,
        hosts: Box<dyn Hosts>,
        housekeeper: Notify,
        template: WorkerSpec,
    ) -> Result<Self, EjectionError> {
        let roster = router.roster();
        let reviews = settings.ejection.map(|ejection| Reviews::new(ejection, &roster));
        Ok(Self {
            settings,
            announcer: Announcer::new(name),
            threads: Threads::default(),
            router,
            hosts,
            housekeeper,
            closing: ColdLock::default(),
            membership: ColdLock::new(Membership::new(template, reviews.transpose()?)),
            growing: ColdLock::default(),
        })
    }

    /// Starts the threads of the roster's workers and waits until their actors have started.
    pub(crate) fn start_first(self: &Arc<Self>) -> Result<(), SpawnError> {
        let assignments = self.start(self.router.roster().members())?;
        self.membership.lock().assignments = assignments;
        Ok(())
    }

    /// Spawns a thread for a worker. `started` is notified when its first actor has started.
    fn spawn_thread(
        self: &Arc<Self>,
        worker: &Arc<Worker>,
        recorder: SerialRecorder,
        started: Option<Sender<Result<(), SpawnError>>>,
    ) -> std::io::Result<Assignment> {
        let lease = Arc::new(SerialLease::new());
        let name = format!("raddle-{}-{}", self.announcer.pool(), worker.name());
        let added = started.is_some().then(|| worker.name());
        let (crew, its, held) = (Arc::clone(self), Arc::clone(worker), Arc::clone(&lease));
        let start =
            Start { worker: Arc::clone(worker), recorder, lease: Arc::clone(&lease), started };
        let host = self.hosts.create(start, Arc::clone(self) as Arc<dyn Overseer>);
        let body = move || {
            let ended = panic::catch_unwind(AssertUnwindSafe(host));
            crew.thread_ends(&its, &held);
            ended.unwrap_or_else(|payload| panic::resume_unwind(payload));
        };
        let thread = self.threads.spawn(name, added, body)?;
        Ok(Assignment { worker: Arc::clone(worker), lease, thread, quarantined: false })
    }

    /// The calling thread, which ran this worker with this lease, is about to end.
    fn thread_ends(&self, worker: &Worker, lease: &SerialLease) {
        if lease.is_revoked() {
            // Before the event, so that a subscriber finds one lost thread less.
            self.threads.returned();
            self.announcer.of_worker(worker, EventKind::Returned);
        } else {
            self.threads.ended(worker.name());
        }
        self.housekeeper.notify();
    }

    /// What the housekeeper does for the crew at the clock's `now`. Returns when to do so again, and
    /// whether the pool is closed and every worker's thread has ended.
    pub(crate) fn tend(self: &Arc<Self>, now: u64) -> (u64, bool) {
        let watch = self.watch(now);
        let closed = self.router.is_closed();
        let review = if closed { None } else { self.review(now) };
        let retire = self.close_retiring().then(|| now.saturating_add(RETIRING));
        let again = [watch, review, retire].into_iter().flatten().min().unwrap_or(u64::MAX);
        (again, closed && self.threads.are_ended())
    }

    /// Takes no more tasks and workers.
    pub(crate) fn close(&self) -> bool {
        let was_open = self.router.close();
        self.membership.lock().retiring.clear();
        self.housekeeper.notify();
        let closing = self.closing.lock().clone();
        closing.iter().for_each(Notify::notify);
        was_open
    }

    /// Notifies `supervisor` when the pool takes no more tasks.
    pub(crate) fn on_close(&self, supervisor: Notify) {
        self.closing.lock().push(supervisor);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.router.is_closed()
    }

    /// Waits until every worker of the closed pool has ended, and joins the threads. When the limit
    /// is over, what is queued is cancelled.
    ///
    /// # Errors
    /// The workers that had not ended a moment after that.
    pub(crate) fn end(&self, limit: Option<Duration>) -> Result<(), Vec<String>> {
        self.threads.wait(limit).or_else(|_| {
            self.router.cancel_queued();
            self.threads.wait(Some(CANCELLING))
        })?;
        self.housekeeper.notify();
        self.threads.join();
        Ok(())
    }

    /// Closes the pool and waits for its end, unless the caller is one of its threads or a shutdown
    /// has already waited for as long as it may.
    pub(crate) fn end_with_last_handle(&self) {
        self.close();
        if !self.threads.contain_current() && !self.router.is_cancelling() {
            // Without a limit, all of them end.
            let _ = self.end(None);
        }
    }
}

/// How often retiring workers are checked while keys keep them, in nanoseconds.
const RETIRING: u64 = 5_000_000;

impl Overseer for Crew {
    fn announce(&self, worker: &Worker, kind: EventKind) {
        self.announcer.of_worker(worker, kind);
    }

    fn expel(&self, worker: &Arc<Worker>) {
        let id = worker.id();
        // Held to the end: the watchdog must not overwrite the health in between.
        let mut membership = self.membership.lock();
        membership.retiring.retain(|retiring| *retiring != id);
        self.router.expel(worker);
    }

    fn depart(&self, worker: &Arc<Worker>, reason: RetireReason) {
        let mut membership = self.membership.lock();
        membership.assignments.retain(|assignment| !Arc::ptr_eq(&assignment.worker, worker));
        let departed = self.router.remove(worker);
        drop(membership);
        if departed {
            self.announcer.of_worker(worker, EventKind::Retired { reason });
        }
        // A worker that had to leave anyway was not retired by its restarts.
        let by_restarts =
            !matches!(reason, RetireReason::Requested | RetireReason::ClosedWithoutActor);
        if by_restarts && self.settings.on_retired == OnRetired::Close && self.close() {
            self.announcer.of_pool(EventKind::Failed);
        }
    }
}
