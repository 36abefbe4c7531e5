//! Picks a worker for each task and puts the task into that worker's inlet.
//!
//! Knows no thread and no actor. Callers [dispatch](Router::dispatch) tasks; workers release keys,
//! relocate tasks, and end those that they do not record themselves. The crew changes the routing
//! through [`Control`], which is not generic in the task; only the [`Table`] of inlets is.

mod control;
mod dispatch;
mod keyed;
mod label;
mod routing;
mod table;

use std::sync::Arc;

use raddle_core::{Clock, Worker};
use raddle_sync::lock::ColdLock;
use raddle_sync::{Snapshot, atomic::Ordering::Relaxed};

pub(crate) use control::Control;
pub(crate) use dispatch::Placed;
pub(crate) use label::Label;
pub(crate) use routing::{Loaded, Plan, Routing};

use crate::error::{Refusal, SendError};
use crate::inlet::Inlet;
use crate::mailbox::ParkedWorkers;
use crate::panics::{self, Contained};
use crate::settings::{Policy, Settings, ShedReason};
use table::Table;

/// What the router must know about a task.
pub(crate) trait Routed: Send + 'static {
    fn label(&self) -> Label;
    fn set_label(&mut self, label: Label);
    /// In nanoseconds; 0 when unknown.
    fn expected_duration(&self) -> u64;
}

/// Receives each task that is refused.
pub(crate) type OnRefused<T> = dyn Fn(&T, &Refusal) + Send + Sync;
/// Receives each task that is shed.
pub(crate) type OnShed<T> = dyn Fn(T, ShedReason) + Send + Sync;

pub(crate) struct Callbacks<T> {
    pub(crate) on_refused: Box<OnRefused<T>>,
    pub(crate) on_shed: Box<OnShed<T>>,
}

pub(crate) struct Router<T> {
    pub(crate) clock: Clock,
    pub(crate) control: Arc<Control>,
    pub(crate) parked: Arc<ParkedWorkers>,
    /// What happens to a task that finds no room. Timers use it without its waiting.
    pub(crate) policy: Policy,
    table: Arc<Table<T>>,
    callbacks: Callbacks<T>,
    /// The tasks that a shutdown cancelled.
    unfinished: ColdLock<Vec<Contained<T>>>,
}

impl<T: Routed> Router<T> {
    /// Creates a router with an open inlet for each worker of the plan's roster.
    pub(crate) fn new(settings: &Settings, plan: Plan, callbacks: Callbacks<T>) -> Self {
        let clock = plan.roster.clock().clone();
        let table = Arc::new(Table::new(plan, settings.capacity));
        let control = Control::new(clock.clone(), Arc::clone(&table) as _, settings.stealing);
        Self {
            clock,
            control: Arc::new(control),
            parked: Arc::default(),
            policy: settings.policy,
            table,
            callbacks,
            unfinished: ColdLock::default(),
        }
    }

    #[inline]
    pub(crate) fn routing(&self) -> &Snapshot<Routing<T>> {
        self.table.routing()
    }

    /// Counts a task that was not admitted, and passes it to the pool's callback.
    #[cold]
    pub(crate) fn refused(&self, mut error: SendError<T>) -> SendError<T> {
        self.control.ledger.reject();
        let (task, refusal) = error.parts();
        panics::contain(|| (self.callbacks.on_refused)(task, refusal));
        error
    }

    /// Drops a task because the pool is overloaded. The caller has taken it off its worker's account.
    #[cold]
    pub(crate) fn shed(&self, task: T, reason: ShedReason) {
        self.control.ledger.shed();
        panics::contain(|| (self.callbacks.on_shed)(task, reason));
    }

    /// Keeps a task that a shutdown cancelled, for its message.
    #[cold]
    pub(crate) fn keep_unfinished(&self, task: T) {
        self.unfinished.lock().push(Contained::new(task));
    }

    /// Takes the tasks that a shutdown cancelled.
    pub(crate) fn take_unfinished(&self) -> Vec<Contained<T>> {
        std::mem::take(&mut *self.unfinished.lock())
    }

    #[inline]
    pub(crate) fn is_cancelling(&self) -> bool {
        self.control.cancelling.load(Relaxed)
    }

    /// The inlet of a worker, whether it has joined the roster or not.
    pub(crate) fn inlet(&self, worker: &Arc<Worker>) -> Option<Inlet<T>> {
        self.table.inlet(worker)
    }
}
