//! The published routing, and the only part of its changes that depends on the task: the inlets.

use std::sync::Arc;

use raddle_core::{MailboxOrder, Member, Worker};
use raddle_sync::Snapshot;

use super::label::Label;
use super::routed::Routed;
use super::routing::{Plan, Routing};
use crate::inlet::Inlet;
use crate::keys::ShortId;
use crate::mailbox::{Capacity, TooLarge, Wakers};

pub(crate) struct Table<T> {
    routing: Snapshot<Routing<T>>,
    capacity: Capacity,
    order: MailboxOrder,
}

/// A [`Table`] as [`Control`](super::Control) uses it, which no more than one thread does at a time.
pub(super) trait Publish: Send + Sync {
    fn plan(&self) -> Plan;
    /// Publishes a plan, and opens an inlet for each member that has none.
    fn publish(&self, plan: Plan);
    /// Checks that inlets for this many more workers can be allocated.
    fn probe(&self, workers: usize) -> Result<(), TooLarge>;
    /// Raises the attention of a worker's mailbox.
    fn raise(&self, worker: ShortId);
    /// Closes the inlets of these workers, or all if it is `None`. Calls `take_off` with each task that a
    /// future waited to send there; it must be removed from the worker's account.
    fn close(&self, which: Option<&[&Arc<Worker>]>, take_off: &mut TakeOff<'_>) -> Wakers;
    /// Makes a worker check for work.
    fn wake(&self, worker: ShortId);
    fn wake_all(&self);
    /// Makes every worker look at more than its normal lane, from now on.
    fn attend_all(&self);
}

/// Receives a worker, and the label and expected duration of a task.
pub(super) type TakeOff<'a> = dyn FnMut(&Worker, Label, u64) + 'a;

impl<T: Send + 'static> Table<T> {
    /// Publishes the first plan, with an open inlet for each worker.
    pub(super) fn new(
        plan: Plan,
        capacity: Capacity,
        order: MailboxOrder,
    ) -> Result<Self, TooLarge> {
        capacity.probe::<T>(plan.roster.members().len())?;
        let workers = plan.roster.members().iter().map(|member| &member.worker);
        let inlets = workers.map(|worker| Inlet::local(worker, capacity, order)).collect();
        let routing = Snapshot::new(Arc::new(Routing { plan, inlets }));
        Ok(Self { routing, capacity, order })
    }

    #[inline]
    pub(crate) fn routing(&self) -> &Snapshot<Routing<T>> {
        &self.routing
    }
}

impl<T: Routed> Publish for Table<T> {
    fn plan(&self) -> Plan {
        self.routing.load().plan.clone()
    }

    fn publish(&self, plan: Plan) {
        let before = self.routing.load();
        let members = plan.roster.members();
        let mut inlets = Arc::clone(&before.inlets);
        let are_its =
            |(member, inlet): (&Member, &Inlet<T>)| Arc::ptr_eq(inlet.worker(), &member.worker);
        if members.len() != inlets.len() || !members.iter().zip(&*inlets).all(are_its) {
            let mut known = before.inlets.iter();
            inlets = members
                .iter()
                .map(|member| {
                    // In the order of the members, so one pass finds all that are left.
                    let its = known.clone().position(|inlet| are_its((member, inlet)));
                    let its = its.and_then(|index| known.nth(index)).cloned();
                    its.unwrap_or_else(|| Inlet::local(&member.worker, self.capacity, self.order))
                })
                .collect();
        }
        self.routing.store(Arc::new(Routing { plan, inlets }));
    }

    fn probe(&self, workers: usize) -> Result<(), TooLarge> {
        self.capacity.probe::<T>(workers)
    }

    fn close(&self, which: Option<&[&Arc<Worker>]>, take_off: &mut TakeOff<'_>) -> Wakers {
        let routing = self.routing.load();
        let is_meant = |inlet: &&Inlet<T>| {
            which.is_none_or(|which| which.iter().any(|worker| Arc::ptr_eq(worker, inlet.worker())))
        };
        // Every worker before any is woken: one leaves when nothing waits at the others.
        routing.inlets.iter().filter(is_meant).for_each(|inlet| inlet.worker().close());
        let mut wakers = Wakers::default();
        for inlet in routing.inlets.iter().filter(is_meant) {
            wakers.append(inlet.close(|task| {
                let label = task.label();
                take_off(inlet.worker(), label, task.expected_duration());
                task.set_label(label.bound_to(None));
            }));
        }
        wakers
    }

    fn raise(&self, worker: ShortId) {
        let routing = self.routing.load();
        if let Some(mailbox) = routing.inlet_of(worker).and_then(Inlet::mailbox) {
            mailbox.attention().raise();
        }
    }

    fn wake(&self, worker: ShortId) {
        self.routing.load().inlet_of(worker).map(Inlet::wake);
    }

    fn wake_all(&self) {
        self.routing.load().inlets.iter().for_each(Inlet::wake);
    }

    fn attend_all(&self) {
        let routing = self.routing.load();
        let mailboxes = routing.inlets.iter().filter_map(Inlet::mailbox);
        mailboxes.for_each(|mailbox| mailbox.attention().raise());
    }
}
