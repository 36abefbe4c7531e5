//! Picks a worker for each task and puts the task into that worker's inlet.
//!
//! Knows no thread and no actor. Callers [dispatch](Router::dispatch) tasks; workers release keys,
//! relocate tasks, and end those that they do not record themselves. The crew changes the routing
//! through [`Control`], which is not generic in the task; only the [`Table`] of inlets is.

mod control;
mod dispatch;
mod hand_over;
mod keyed;
mod label;
mod moves;
mod pinned;
mod routed;
mod routing;
mod sizes;
mod table;

use std::sync::Arc;

use raddle_core::{Clock, Outcome, nanos};
use raddle_sync::lock::ColdLock;
use raddle_sync::{Snapshot, atomic::Ordering::Relaxed};

pub(crate) use control::Control;
pub(crate) use dispatch::{Placed, Sent};
pub(crate) use label::Label;
pub(crate) use moves::Unkept;
pub(crate) use routed::Routed;
pub(crate) use routing::{Loaded, Plan, Routing};

use crate::error::{Refusal, SendError};
use crate::inlet::Inlet;
use crate::keys::PartitionId;
use crate::mailbox::{ParkedWorkers, TooLarge};
use crate::panics::{self, Contained};
use crate::reply::NoReply;
use crate::settings::{Policy, Settings, ShedReason};
use sizes::Sizes;
use table::Table;

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
    pub(crate) sizes: Sizes,
    table: Arc<Table<T>>,
    callbacks: Callbacks<T>,
    /// The tasks that a shutdown cancelled.
    unfinished: ColdLock<Vec<Contained<T>>>,
}

impl<T: Routed> Router<T> {
    /// Creates a router with an open inlet for each worker of the plan's roster.
    pub(crate) fn new(
        settings: &Settings,
        plan: Plan,
        callbacks: Callbacks<T>,
    ) -> Result<Self, TooLarge> {
        let clock = plan.roster.clock().clone();
        let table = Arc::new(Table::new(plan, settings.capacity, settings.order)?);
        let sizes = Sizes::new(settings.order);
        let (keys, stealing) = (sizes.partitions(), settings.stealing);
        let hand_over_within = settings.hand_over_within.map(nanos);
        let control =
            Control::new(clock.clone(), Arc::clone(&table) as _, stealing, keys, hand_over_within);
        Ok(Self {
            clock,
            control: Arc::new(control),
            parked: Arc::default(),
            policy: settings.policy,
            sizes,
            table,
            callbacks,
            unfinished: ColdLock::default(),
        })
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

    /// Cancels what waits at any worker, whatever its thread does: each task ends as cancelled, its
    /// asker is told, and it is kept for its message, unless it had expired or was withdrawn. Also lets
    /// the workers cancel what they take. Tasks whose replies are owed end as cancelled, too.
    pub(crate) fn cancel_queued(&self) {
        self.control.cancel_queued();
        for mailbox in self.routing().load().inlets.iter().filter_map(Inlet::mailbox) {
            while let Some(mut task) = mailbox.take_any() {
                let ended = task.has_ended_itself(self.clock.now());
                let (is_kept, why) = (ended.is_none(), ended.unwrap_or(NoReply::Cancelled));
                let (key, expected) = (task.label().partition(), task.expected_duration());
                self.control.end(mailbox.worker(), key, expected, why.outcome());
                let tell_asker = task.take_asker(why);
                if is_kept {
                    self.keep_unfinished(task);
                } else {
                    panics::contain(|| drop(task));
                }
                tell_asker();
            }
            let owed = mailbox.cancel_owed();
            for task in &owed {
                let (key, expected) =
                    (task.key.map(PartitionId), task.completion.expected_duration);
                self.control.end(mailbox.worker(), key, expected, Outcome::Cancelled);
            }
            if !owed.is_empty() {
                mailbox.wake();
            }
        }
    }

    /// Takes the tasks that a shutdown cancelled.
    pub(crate) fn take_unfinished(&self) -> Vec<Contained<T>> {
        std::mem::take(&mut *self.unfinished.lock())
    }

    #[inline]
    pub(crate) fn is_cancelling(&self) -> bool {
        self.control.cancelling.load(Relaxed)
    }
}
