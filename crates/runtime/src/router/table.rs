//! The published routing, and the only part of its changes that depends on the task: the inlets.

use std::sync::Arc;

use raddle_core::{Member, Worker};
use raddle_sync::Snapshot;
use raddle_sync::lock::ColdLock;

use super::routing::{Plan, Routing};
use crate::inlet::Inlet;
use crate::keys::ShortId;

pub(crate) struct Table<T> {
    routing: Snapshot<Routing<T>>,
    /// The inlets of workers that have not joined the roster yet.
    opened: ColdLock<Vec<Inlet<T>>>,
    capacity: usize,
}

/// A [`Table`] as [`Control`](super::Control) uses it, which no more than one thread does at a time.
pub(super) trait Publish: Send + Sync {
    fn plan(&self) -> Plan;
    /// Publishes a plan. Its roster has the present members or, beside the present ones, some whose
    /// inlets are open, or lacks one.
    fn publish(&self, plan: Plan);
    /// Opens the inlets of workers that have not joined the roster yet.
    fn open(&self, added: &[Member]);
    /// Closes the inlets of workers that will not join the roster.
    fn abandon(&self);
    /// Closes every inlet.
    fn close(&self);
    /// Makes a worker check for work.
    fn wake(&self, worker: ShortId);
    fn wake_all(&self);
}

impl<T: Send + 'static> Table<T> {
    /// Publishes the first plan, with an open inlet for each worker.
    pub(super) fn new(plan: Plan, capacity: usize) -> Self {
        let workers = plan.roster.members().iter().map(|member| &member.worker);
        let inlets = workers.map(|worker| Inlet::local(worker, capacity)).collect();
        let routing = Snapshot::new(Arc::new(Routing { plan, inlets }));
        Self { routing, opened: ColdLock::default(), capacity }
    }

    #[inline]
    pub(crate) fn routing(&self) -> &Snapshot<Routing<T>> {
        &self.routing
    }

    /// The inlet of a worker, whether it has joined the roster or not.
    pub(super) fn inlet(&self, worker: &Arc<Worker>) -> Option<Inlet<T>> {
        let is_its = |inlet: &&Inlet<T>| Arc::ptr_eq(inlet.worker(), worker);
        let joined = self.routing.load().inlets.iter().find(is_its).cloned();
        joined.or_else(|| self.opened.lock().iter().find(is_its).cloned())
    }
}

impl<T: Send + 'static> Publish for Table<T> {
    fn plan(&self) -> Plan {
        self.routing.load().plan.clone()
    }

    fn publish(&self, plan: Plan) {
        let before = self.routing.load();
        let members = plan.roster.members();
        let mut inlets = Arc::clone(&before.inlets);
        if members.len() != inlets.len() {
            let mut opened = self.opened.lock();
            let mut known = before.inlets.iter().chain(&*opened);
            let its = |member: &Member| {
                known.find(|inlet| Arc::ptr_eq(inlet.worker(), &member.worker)).cloned()
            };
            inlets = members.iter().filter_map(its).collect();
            if members.len() > before.inlets.len() {
                opened.clear();
            }
        }
        self.routing.store(Arc::new(Routing { plan, inlets }));
    }

    fn open(&self, added: &[Member]) {
        let inlets = added.iter().map(|member| Inlet::local(&member.worker, self.capacity));
        self.opened.lock().extend(inlets);
    }

    fn abandon(&self) {
        let abandoned = std::mem::take(&mut *self.opened.lock());
        // Workers that have started have nothing in flight, and leave at once.
        abandoned.iter().for_each(Inlet::close);
    }

    fn close(&self) {
        self.routing.load().inlets.iter().for_each(Inlet::close);
        self.opened.lock().iter().for_each(Inlet::close);
    }

    fn wake(&self, worker: ShortId) {
        self.routing.load().inlet_of(worker).map(Inlet::wake);
    }

    fn wake_all(&self) {
        self.routing.load().inlets.iter().for_each(Inlet::wake);
    }
}
