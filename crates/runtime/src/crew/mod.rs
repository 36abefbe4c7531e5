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
use std::sync::{Arc, Weak};
use std::time::Duration;

use raddle_core::{Member, SerialRecorder, Worker, WorkerId, WorkerSpec, nanos};
use raddle_strategies::EjectionError;
use raddle_sync::channel::Sender;
use raddle_sync::lock::ColdLock;

use announcer::Announcer;
use membership::{Assignment, Membership, Reviews};
pub(crate) use resizing::check_names;
use threads::Threads;

use crate::blocking;
use crate::deadlock::{Waiter, Workforce};
use crate::desk::{Desk, Job};
use crate::error::SpawnError;
use crate::event::EventKind;
use crate::keys::ShortId;
use crate::lease::SerialLease;
use crate::mailbox::Notify;
use crate::panics;
use crate::restart::RetireReason;
use crate::router::{Control, Unkept};
use crate::settings::{OnRetired, Settings};
use crate::watch::{Ending, Watch};
use crate::worker::{Overseer, Start};

/// The hosts of a pool's workers, whose actor and tasks the crew does not know.
pub(crate) trait Hosts: Send + Sync {
    /// Creates the host of a worker, and returns what the worker's thread runs.
    fn create(&self, start: Start, overseer: Arc<dyn Overseer>) -> Box<dyn FnOnce() + Send>;
    /// Moves the free tasks of a worker to other workers with room.
    fn move_free_tasks(&self, worker: ShortId);
    /// Whether the reply of any task is owed by this worker, or by any.
    fn owe(&self, worker: Option<ShortId>) -> bool;
    /// Cancels what waits at any worker, and tells the askers of running tasks that the pool was
    /// shut down.
    fn cancel_tasks(&self);
}

pub(crate) struct Crew {
    pub(crate) settings: Arc<Settings>,
    pub(crate) announcer: Announcer,
    pub(crate) threads: Arc<Threads>,
    router: Arc<Control>,
    hosts: Box<dyn Hosts>,
    /// What the housekeeper does when it is due. Closed with the pool.
    desk: Arc<Desk>,
    /// The end of the pool.
    pub(crate) ended: Arc<Ending>,
    /// Notified when the pool takes no more tasks.
    closing: ColdLock<Vec<Notify>>,
    /// Locked by changes of membership, for as long as they read or write it: no code of the user's
    /// is called meanwhile, so no routing is published.
    membership: ColdLock<Membership>,
}

/// How long workers have to end once a shutdown's time limit is over.
const CANCELLING: Duration = Duration::from_millis(100);
/// How often tasks are cancelled from then on, in nanoseconds.
const CANCELLING_AGAIN: u64 = 5_000_000;

impl Crew {
    /// Creates a crew without threads for the workers of the router's roster.
    pub(crate) fn new(
        name: &str,
        settings: Arc<Settings>,
        router: Arc<Control>,
        hosts: Box<dyn Hosts>,
        desk: Arc<Desk>,
        template: WorkerSpec,
    ) -> Result<Self, EjectionError> {
        let roster = router.roster();
        router.announce_by(desk.notify());
        let reviews = settings.ejection.map(|ejection| Reviews::new(ejection, &roster));
        Ok(Self {
            announcer: Announcer::new(name),
            threads: Arc::new(Threads::new(settings.stack_size)),
            settings,
            router,
            hosts,
            desk,
            ended: Arc::default(),
            closing: ColdLock::default(),
            membership: ColdLock::new(Membership::new(template, reviews.transpose()?)),
        })
    }

    /// Starts the threads of the roster's workers and waits until their actors have started.
    pub(crate) fn start_first(self: &Arc<Self>) -> Result<(), SpawnError> {
        let roster = self.router.roster();
        let (assignments, starts) = self.start(roster.members())?;
        let mut members = roster.members().iter();
        blocking::waiting(|| members.try_for_each(|_| starts.recv().unwrap_or(Ok(()))))?;
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
        let lease = Arc::new(SerialLease::with_slots(self.settings.slots));
        let name = self.thread_name(worker.id().0);
        let added = started.is_some().then(|| worker.name());
        let (crew, its, held) = (Arc::clone(self), Arc::clone(worker), Arc::clone(&lease));
        let waiter = Arc::new(Waiter::new(self.announcer.pool(), worker.name()));
        let start = Start {
            worker: Arc::clone(worker),
            recorder,
            lease: Arc::clone(&lease),
            waiter: Arc::clone(&waiter),
            started,
        };
        let host = self.hosts.create(start, Arc::clone(self) as Arc<dyn Overseer>);
        let body = move || {
            let ended = panic::catch_unwind(AssertUnwindSafe(host));
            crew.thread_ends(&its, &held);
            // The last thread may be the last to hold what the user gave to the pool.
            panics::contain(blocking::leave);
            panics::contain(|| drop(crew));
            ended.unwrap_or_else(|payload| panic::resume_unwind(payload));
        };
        let thread = self.threads.spawn(name, added, body)?;
        Ok(Assignment { worker: Arc::clone(worker), lease, waiter, thread, quarantined: false })
    }

    /// The name of one of the pool's threads.
    fn thread_name(&self, suffix: impl std::fmt::Display) -> String {
        let name = self.settings.thread_name.as_deref().unwrap_or(self.announcer.pool());
        threads::thread_name(name, suffix)
    }

    /// Spawns the thread that runs no worker.
    pub(crate) fn spawn_housekeeper(
        &self,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), SpawnError> {
        let name = self.thread_name("keeper");
        let spawned = self.threads.spawn_housekeeper(name.clone(), body);
        spawned.map_err(|source| SpawnError::Thread { name, source })
    }

    /// The calling thread, which ran this worker with this lease, is about to end.
    fn thread_ends(&self, worker: &Worker, lease: &SerialLease) {
        if lease.is_revoked() {
            // Before the event, so that a subscriber finds one lost thread less.
            self.threads.returned(|| self.announcer.of_worker(worker, EventKind::Returned));
            self.end_events();
        } else {
            self.threads.ended(worker.name());
        }
        self.desk.notify().notify();
    }

    /// Ends the subscriptions if no more events can come.
    pub(crate) fn end_events(&self) {
        if self.is_closed() && self.threads.are_over() {
            self.announcer.close();
        }
    }

    /// Watches for the end of a worker.
    pub(crate) fn watch_worker(&self, id: WorkerId) -> Watch {
        let mut membership = self.membership.lock();
        // A worker that starts has no assignment yet, and a closed pool keeps its roster. Under the lock,
        // which a worker that departs takes after it has left the roster.
        let is_assigned = membership.assignments.iter().any(|it| it.worker.id() == id);
        if !is_assigned && (self.router.is_closed() || self.router.roster().worker(id).is_none()) {
            return Arc::new(Ending::ended()).watch();
        }
        match membership.watched.iter().find(|(watched, _)| *watched == id) {
            Some((_, ending)) => ending.watch(),
            None => {
                let ending = Arc::<Ending>::default();
                membership.watched.push((id, Arc::clone(&ending)));
                ending.watch()
            }
        }
    }

    /// What the housekeeper does for the crew at the clock's `now`. Returns when to do so again, and
    /// whether the pool is closed and every worker's thread has ended.
    pub(crate) fn tend(self: &Arc<Self>, now: u64) -> (u64, bool) {
        let watch = self.watch(now);
        let cancel = self.router.is_cancelling().then(|| {
            // Again and again: a caller may be between its reservation and its send.
            self.hosts.cancel_tasks();
            now.saturating_add(CANCELLING_AGAIN)
        });
        let closed = self.router.is_closed();
        let review = if closed { None } else { self.review(now) };
        let retire = self.close_retiring().then(|| now.saturating_add(RETIRING));
        let moving = self.router.move_overdue(now).then(|| now.saturating_add(RETIRING));
        let again = [watch, cancel, review, retire, moving].into_iter().flatten().min();
        let ended = closed && self.threads.are_ended();
        self.announce_moves();
        (again.unwrap_or(u64::MAX), ended)
    }

    /// Announces the keys that have moved without their state.
    fn announce_moves(&self) {
        for Unkept { from, to, keys } in self.router.take_unkept() {
            let to = to.map(|to| to.name().to_owned());
            let kind = EventKind::KeysMoved { keys, to };
            match from {
                Some(worker) => self.announcer.of_worker(&worker, kind),
                None => self.announcer.of_pool(kind),
            }
        }
    }

    /// Takes no more tasks and workers.
    pub(crate) fn close(&self) -> bool {
        let was_open = self.router.close();
        self.membership.lock().retiring.clear();
        self.desk.close();
        self.desk.notify().notify();
        let closing = self.closing.lock().clone();
        closing.iter().for_each(Notify::notify);
        was_open
    }

    /// Notifies `supervisor` when the pool takes no more tasks, or now if it takes none already.
    pub(crate) fn on_close(&self, supervisor: Notify) {
        self.closing.lock().push(supervisor.clone());
        // After that: a pool that is closed meanwhile finds the supervisor, or is seen here.
        if self.is_closed() {
            supervisor.notify();
        }
    }

    /// The members, for the test kit.
    #[cfg(feature = "test")]
    pub(crate) fn roster(&self) -> Arc<raddle_core::Roster> {
        self.router.roster()
    }

    /// What became of every task, for the test kit.
    #[cfg(feature = "test")]
    pub(crate) fn account(&self) -> crate::Account {
        self.router.account()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.router.is_closed()
    }

    /// Waits until every worker of the closed pool has ended, and joins the threads. When the limit
    /// is over, tasks are [cancelled](Self::cancel_tasks).
    ///
    /// # Errors
    /// The threads that had not ended a moment after that.
    pub(crate) fn end(&self, limit: Option<Duration>) -> Result<(), Vec<String>> {
        self.threads.wait(limit).or_else(|_| {
            self.cancel_tasks();
            self.threads.wait(Some(CANCELLING))
        })?;
        self.desk.notify().notify();
        self.threads.join();
        Ok(())
    }

    /// The closed pool's workers have ended. Only the housekeeper calls it.
    pub(crate) fn finish(&self) {
        if self.threads.lost() > 0 {
            // No thread waits for those that were given up, and their tasks' askers must not.
            self.cancel_tasks();
        }
        self.end_events();
        self.ended.end();
    }

    /// [Cancels](Self::cancel_tasks) tasks after `limit`, on the housekeeper's thread.
    pub(crate) fn cancel_tasks_after(self: &Arc<Self>, limit: Duration) {
        let due = self.router.clock.now().saturating_add(nanos(limit));
        let job: Arc<dyn Job> = Arc::new(CancelTasks(Arc::downgrade(self)));
        self.desk.schedule(due, None, &job);
    }

    /// Cancels what waits at any worker, and tells the askers of running tasks that the pool was
    /// shut down.
    pub(crate) fn cancel_tasks(&self) {
        self.hosts.cancel_tasks();
        self.desk.notify().notify();
    }

    /// Publishes the health of the workers by what is known of them now. Those that have not started
    /// or drain stay so.
    fn publish_health(&self) {
        self.router.change_health(|roster| {
            let membership = self.membership.lock();
            let members = roster.members().iter().filter(|member| member.health.takes_tasks());
            let changes = members.filter_map(|Member { worker, health }| {
                let now = membership.health(worker);
                (now != *health).then(|| (worker.id(), now))
            });
            changes.collect()
        });
    }

    fn set_restarting(&self, worker: &Arc<Worker>, restarting: bool) {
        let mut membership = self.membership.lock();
        let known = membership.restarting.len();
        membership.restarting.retain(|other| !Arc::ptr_eq(other, worker));
        if restarting {
            membership.restarting.push(Arc::clone(worker));
        }
        let changed = membership.restarting.len() != known;
        drop(membership);
        if changed {
            self.publish_health();
        }
    }
}

/// The time limit of a shutdown that nobody waits for.
struct CancelTasks(Weak<Crew>);

impl Job for CancelTasks {
    fn run(&self) {
        if let Some(crew) = self.0.upgrade() {
            crew.cancel_tasks();
        }
    }

    fn abandon(&self) {}

    fn outlives_closing(&self) -> bool {
        true
    }
}

/// How often retiring workers are checked while keys keep them, in nanoseconds.
const RETIRING: u64 = 5_000_000;

impl Workforce for Crew {
    fn waiters(&self, at: Option<WorkerId>) -> Option<Vec<Arc<Waiter>>> {
        let membership = self.membership.lock();
        let is_meant = |assignment: &&Assignment| at.is_none_or(|at| assignment.worker.id() == at);
        let meant = membership.assignments.iter().filter(is_meant);
        let waiters: Vec<_> = meant.map(|assignment| Arc::clone(&assignment.waiter)).collect();
        // A lost thread may still run the task, and a reply that is owed comes from elsewhere.
        let may_come = self.threads.lost() > 0 || self.hosts.owe(at.map(WorkerId::short_id));
        (!waiters.is_empty() && !may_come).then_some(waiters)
    }
}

impl Overseer for Crew {
    fn announce(&self, worker: &Worker, kind: EventKind) {
        self.announcer.of_worker(worker, kind);
    }

    fn set_aside(&self, worker: &Arc<Worker>) {
        self.set_restarting(worker, true);
    }

    fn reinstate(&self, worker: &Arc<Worker>) {
        self.set_restarting(worker, false);
    }

    fn expel(&self, worker: &Arc<Worker>) {
        let id = worker.id();
        self.membership.lock().retiring.retain(|retiring| *retiring != id);
        self.router.expel(worker);
    }

    fn depart(&self, worker: &Arc<Worker>, reason: RetireReason) {
        // Before its assignment is: whoever adds that later finds no such member.
        let departed = self.router.remove(worker);
        let mut membership = self.membership.lock();
        membership.assignments.retain(|assignment| !Arc::ptr_eq(&assignment.worker, worker));
        membership.restarting.retain(|other| !Arc::ptr_eq(other, worker));
        let is_its = |(id, _): &mut (WorkerId, Arc<Ending>)| *id == worker.id();
        let ended: Vec<_> = membership.watched.extract_if(.., is_its).collect();
        drop(membership);
        if departed {
            self.announcer.of_worker(worker, EventKind::Retired { reason });
        }
        ended.iter().for_each(|(_, ending)| ending.end());
        // A worker that had to leave anyway was not retired by its restarts.
        let by_restarts =
            !matches!(reason, RetireReason::Requested | RetireReason::ClosedWithoutActor);
        if by_restarts && self.settings.on_retired == OnRetired::Close && self.close() {
            self.announcer.of_pool(EventKind::Failed);
        }
    }
}
