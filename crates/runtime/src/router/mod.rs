//! Picks a worker for each task and puts the task into that worker's inlet.
//!
//! Generic in the task; knows no thread and no actor. Callers [dispatch](Router::dispatch); workers
//! release keys, relocate tasks and end those of the account that they do not record themselves;
//! the crew changes the [routing](Routing) through [`Control`].

mod control;
mod dispatch;
mod keyed;
mod label;
mod routing;

use std::sync::{Arc, MutexGuard, PoisonError};

use raddle_core::{Clock, Worker};
use raddle_sync::Snapshot;
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};

pub(crate) use control::Control;
pub(crate) use dispatch::Placed;
pub(crate) use label::Label;
pub(crate) use routing::{Loaded, Routing};

use crate::account::{Account, Ledger};
use crate::inlet::Inlet;
use crate::keys::{KeyTables, PartitionId, ShortId};
use crate::mailbox::{self, ParkedWorkers};
use crate::panics::{self, Contained};
use crate::settings::{Policy, Settings, ShedReason};

/// What the router must know about a task.
pub(crate) trait Routed: Send + 'static {
    fn label(&self) -> Label;
    fn set_label(&mut self, label: Label);
    /// In nanoseconds; 0 when unknown.
    fn expected_duration(&self) -> u64;
}

/// Receives each task that is shed.
type OnShed<T> = dyn Fn(T, ShedReason) + Send + Sync;

pub(crate) struct Router<T> {
    pub(crate) clock: Clock,
    pub(crate) routing: Snapshot<Routing<T>>,
    pub(crate) keys: KeyTables,
    pub(crate) ledger: Ledger,
    pub(crate) parked: Arc<ParkedWorkers>,
    /// What happens to a task that finds no room, unless the task says otherwise.
    pub(crate) policy: Policy,
    /// Set when what is queued must be cancelled. The workers read it before each task.
    pub(crate) cancelling: Arc<AtomicBool>,
    /// The tasks that a shutdown cancelled.
    #[allow(clippy::disallowed_types, reason = "locked by tasks that are cancelled at the end")]
    unfinished: std::sync::Mutex<Vec<Contained<T>>>,
    on_shed: Box<OnShed<T>>,
    capacity: usize,
    /// Whether idle workers steal; `None` to follow the strategy.
    stealing: Option<bool>,
    #[allow(clippy::disallowed_types, reason = "locked by changes of the routing, not by tasks")]
    changes: std::sync::Mutex<Changes<T>>,
}

/// What a change of the routing needs, and no task.
struct Changes<T> {
    /// Whether the pool takes no more tasks and workers.
    closed: bool,
    /// Whether some keys are still to be reassigned.
    keys_moving: bool,
    /// The inlets of workers that have not joined the roster yet.
    opened: Vec<Inlet<T>>,
}

impl<T: Routed> Router<T> {
    /// Creates a router whose workers have no inlets yet: they are opened and joined by `roster`.
    pub(crate) fn new(
        settings: &Settings,
        routing: Routing<T>,
        on_shed: impl Fn(T, ShedReason) + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: routing.roster.clock().clone(),
            routing: Snapshot::new(Arc::new(routing)),
            keys: KeyTables::new(),
            ledger: Ledger::default(),
            parked: Arc::default(),
            policy: settings.policy,
            cancelling: Arc::new(AtomicBool::new(false)),
            unfinished: Vec::new().into(),
            on_shed: Box::new(on_shed),
            capacity: settings.capacity,
            stealing: settings.stealing,
            changes: Changes { closed: false, keys_moving: false, opened: Vec::new() }.into(),
        }
    }

    /// Drops a task because the pool is overloaded. The caller has taken it off its worker's account.
    #[cold]
    pub(crate) fn shed(&self, task: T, reason: ShedReason) {
        self.ledger.shed();
        panics::contain(|| (self.on_shed)(task, reason));
    }

    /// Keeps a task that a shutdown cancelled, for its message.
    #[cold]
    pub(crate) fn keep_unfinished(&self, task: T) {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).push(Contained::new(task));
    }

    /// Takes the tasks that a shutdown cancelled.
    pub(crate) fn take_unfinished(&self) -> Vec<Contained<T>> {
        std::mem::take(&mut *self.unfinished.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Releases a task of a key that was bound to `worker` and has ended, or was not sent.
    pub(crate) fn release_key(&self, partition: PartitionId, worker: ShortId) {
        let Some(next) = self.keys.get(partition).release(worker) else { return };
        let routing = self.routing.load();
        if let Some(position) = routing.position_of(next) {
            routing.inlets[position].wake();
        }
    }

    pub(crate) fn account(&self) -> Account {
        let routing = self.routing.load();
        self.ledger.account(&routing.roster, &routing.departed)
    }

    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancelling.load(Relaxed)
    }

    /// The inlet of a worker, whether it has joined the roster or not.
    pub(crate) fn inlet(&self, worker: &Arc<Worker>) -> Option<Inlet<T>> {
        let is_its = |inlet: &&Inlet<T>| Arc::ptr_eq(inlet.worker(), worker);
        let joined = self.routing.load().inlets.iter().find(is_its).cloned();
        joined.or_else(|| self.changes().opened.iter().find(is_its).cloned())
    }

    fn open_inlet(&self, worker: &Arc<Worker>) -> Inlet<T> {
        Inlet::Local(mailbox::bounded(Arc::clone(worker), self.capacity))
    }

    #[allow(clippy::disallowed_types, reason = "locked by changes of the routing, not by tasks")]
    fn changes(&self) -> MutexGuard<'_, Changes<T>> {
        // A panic while it is held comes before any change.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
