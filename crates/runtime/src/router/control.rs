use std::sync::Arc;

use raddle_core::internal::WorkerInternals;
use raddle_core::{Clock, Counts, Health, Member, Roster, Worker, WorkerId};
use raddle_strategies::{Prepared, Shadow, ShadowReport, Strategy};
use raddle_sync::atomic::Ordering::Relaxed;

use super::routing::Routing;
use super::{Changes, Routed, Router};
use crate::inlet::Inlet;
use crate::keys::{PartitionId, Reassign, ShortId};
use crate::panics;

/// The router as the crew uses it: not generic in the task, and called by no task.
///
/// Each change of the routing is one step under one lock. A roster is published before keys are
/// reassigned by it, so that a caller that finds a key's new owner also finds the owner in the
/// roster.
pub(crate) trait Control: Send + Sync {
    fn clock(&self) -> &Clock;
    fn roster(&self) -> Arc<Roster>;
    fn is_closed(&self) -> bool;

    /// Creates inlets for workers that have not joined the roster yet.
    fn open(&self, added: &[Member]);
    /// Publishes the roster with the workers that `grown` has more, whose inlets are open. `false`,
    /// without effect, if the pool is closed.
    fn join(&self, grown: &Roster) -> bool;
    /// Closes inlets that were opened for workers which do not join.
    fn abandon(&self, added: &[Member]);
    /// Publishes the workers' health that `changes` returns for the roster, unless the pool is closed.
    fn review(&self, changes: &dyn Fn(&Roster) -> Vec<(WorkerId, Health)>);
    /// Publishes a worker's health, if it is a member.
    fn set_health(&self, worker: WorkerId, health: Health);
    /// Publishes the roster without a worker that has nothing in flight. `false`, without effect,
    /// if the pool is closed or the worker is not a member.
    fn remove(&self, worker: &Arc<Worker>) -> bool;
    /// Closes the inlets of those `retiring` workers that own no key any more, and keeps the others
    /// in the list. Returns whether this must be called again later.
    fn close_unowned(&self, retiring: &mut Vec<WorkerId>) -> bool;
    /// Takes a worker whose actor is not restarted out of service: it gets no more tasks and keys.
    fn expel(&self, worker: &Arc<Worker>);
    /// Takes no more tasks and workers. Returns whether it was open.
    fn close(&self) -> bool;
    /// Makes the workers cancel what is queued.
    fn cancel_queued(&self);
    fn is_cancelling(&self) -> bool;

    /// Replaces the strategy, and scores another beside it if asked to. Returns its name.
    fn set_strategy(&self, strategy: Arc<dyn Strategy>) -> &'static str;
    fn set_shadow(&self, shadow: Option<Arc<dyn Strategy>>) -> &'static str;
    fn shadow_report(&self) -> Option<ShadowReport>;
    /// Prepares the strategy again, by the latest statistics.
    fn refresh(&self);

    /// Moves the free tasks of a worker to other workers with room.
    fn move_free_tasks(&self, worker: ShortId);
    /// Takes over the running task of a worker whose thread was given up.
    fn adopt_running(&self, worker: &Worker, partition: Option<PartitionId>);
}

impl<T: Routed> Control for Router<T> {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.routing.load().roster)
    }

    fn is_closed(&self) -> bool {
        self.changes().closed
    }

    fn open(&self, added: &[Member]) {
        let inlets = added.iter().map(|member| self.open_inlet(&member.worker));
        self.changes().opened.extend(inlets);
    }

    fn join(&self, grown: &Roster) -> bool {
        let mut changes = self.changes();
        if changes.closed {
            return false;
        }
        let routing = self.routing.load();
        let roster = routing.roster.with_new_members_of(grown);
        let known = routing.inlets.len();
        let mut inlets = routing.inlets.to_vec();
        for member in &roster.members()[known..] {
            let is_its = |inlet: &Inlet<T>| Arc::ptr_eq(inlet.worker(), &member.worker);
            let opened = changes.opened.iter().position(is_its);
            inlets.extend(opened.map(|index| changes.opened.swap_remove(index)));
        }
        self.replace(&mut changes, roster, inlets.into());
        true
    }

    fn abandon(&self, added: &[Member]) {
        let is_added = |inlet: &mut Inlet<T>| {
            added.iter().any(|member| Arc::ptr_eq(inlet.worker(), &member.worker))
        };
        let abandoned: Vec<_> = self.changes().opened.extract_if(.., is_added).collect();
        // Workers that have started have nothing in flight, and leave at once.
        abandoned.iter().for_each(Inlet::close);
    }

    fn review(&self, healths: &dyn Fn(&Roster) -> Vec<(WorkerId, Health)>) {
        let mut changes = self.changes();
        if changes.closed {
            return;
        }
        for (worker, health) in healths(&self.routing.load().roster) {
            self.replace_health(&mut changes, worker, health);
        }
    }

    fn set_health(&self, worker: WorkerId, health: Health) {
        let mut changes = self.changes();
        self.replace_health(&mut changes, worker, health);
    }

    fn remove(&self, worker: &Arc<Worker>) -> bool {
        let mut changes = self.changes();
        if changes.closed {
            return false;
        }
        let routing = self.routing.load();
        // Not by id: the id of a worker that never joined is given to another one.
        let is_it = |member: &Member| Arc::ptr_eq(&member.worker, worker);
        let Some(position) = routing.roster.members().iter().position(is_it) else { return false };
        let Ok(roster) = routing.roster.without_worker(worker.id()) else { return false };
        let others = routing.inlets.iter().enumerate().filter(|(at, _)| *at != position);
        let inlets = others.map(|(_, inlet)| inlet.clone()).collect();
        let mut departed = routing.departed;
        departed += worker.stats().counts().settled();
        self.replace_with(&mut changes, roster, inlets, departed);
        true
    }

    fn close_unowned(&self, retiring: &mut Vec<WorkerId>) -> bool {
        let mut changes = self.changes();
        let routing = self.routing.load();
        if changes.keys_moving {
            self.reassign_keys(&mut changes, &routing, routing.roster.members().len());
        }
        if !retiring.is_empty() {
            // A caller with an older roster may have bound a key to one of them since.
            let which = Reassign::Few { joined: routing.roster.members().len() };
            self.keys.reassign(&routing.roster, which);
        }
        retiring.retain(|id| {
            let Some(position) = routing.position_of(id.short_id()) else { return false };
            let stays = self.keys.mention(id.short_id());
            if !stays {
                routing.inlets[position].close();
            }
            stays
        });
        changes.keys_moving || !retiring.is_empty()
    }

    fn expel(&self, worker: &Arc<Worker>) {
        let mut changes = self.changes();
        // A closed pool has closed the worker, and moves no keys.
        if !changes.closed {
            self.replace_health(&mut changes, worker.id(), Health::Draining);
        }
        worker.close();
    }

    fn close(&self) -> bool {
        let mut changes = self.changes();
        let was_closed = std::mem::replace(&mut changes.closed, true);
        for inlet in self.routing.load().inlets.iter().chain(&changes.opened) {
            inlet.close();
        }
        !was_closed
    }

    fn cancel_queued(&self) {
        self.cancelling.store(true, Relaxed);
        // Also the workers that wait for another to release a key.
        self.routing.load().inlets.iter().for_each(Inlet::wake);
    }

    fn is_cancelling(&self) -> bool {
        Router::is_cancelling(self)
    }

    fn set_strategy(&self, strategy: Arc<dyn Strategy>) -> &'static str {
        let mut changes = self.changes();
        let name = self.replace_strategy(strategy, None);
        let routing = self.routing.load();
        self.reassign_keys(&mut changes, &routing, routing.roster.members().len());
        name
    }

    fn set_shadow(&self, shadow: Option<Arc<dyn Strategy>>) -> &'static str {
        let _changes = self.changes();
        let routing = self.routing.load();
        let live = match &routing.shadow {
            Some(shadow) => Arc::clone(shadow.live()),
            None => Arc::clone(routing.strategy.strategy()),
        };
        match shadow {
            None => self.replace_strategy(live, None),
            Some(shadow) => {
                let shadow = Arc::new(Shadow::new(live, shadow));
                self.replace_strategy(Arc::clone(&shadow) as Arc<dyn Strategy>, Some(shadow))
            }
        }
    }

    fn shadow_report(&self) -> Option<ShadowReport> {
        self.routing.load().shadow.as_ref().map(|shadow| shadow.report())
    }

    fn refresh(&self) {
        // No change of the routing waits for the strategy.
        let mut next = self.routing.load().clone();
        panics::contain(|| next.strategy = next.strategy.refreshed(&next.roster));
        if !next.strategy.is_specific() {
            return;
        }
        let _changes = self.changes();
        let routing = self.routing.load();
        // A roster or strategy that was published meanwhile comes prepared.
        if Arc::ptr_eq(&routing.roster, &next.roster)
            && Arc::ptr_eq(routing.strategy.strategy(), next.strategy.strategy())
        {
            self.routing.store(Arc::new(next));
        }
    }

    fn move_free_tasks(&self, worker: ShortId) {
        let routing = self.routing.load();
        let Some(position) = routing.position_of(worker) else { return };
        let Some(mailbox) = routing.inlets[position].local() else { return };
        // No more than are there now: some may come back.
        for _ in 0..mailbox.len() {
            let Some(task) = mailbox.steal() else { return };
            if let Err(task) = self.relocate(mailbox.worker(), task) {
                // No other worker has room: the task stays here, and runs first.
                mailbox.defer(task);
                mailbox.wake();
                return;
            }
        }
    }

    fn adopt_running(&self, worker: &Worker, partition: Option<PartitionId>) {
        // Before it is withdrawn there: the pool's count in flight is never too low.
        self.ledger.adopt();
        worker.withdraw();
        if let Some(partition) = partition {
            // The order is given up with the task: the next one of the key may run.
            self.release_key(partition, worker.id().short_id());
        }
    }
}

impl<T: Routed> Router<T> {
    /// Reassigns the keys of closed workers, as far as these have no tasks of them. `false` if the
    /// pool is closed.
    #[cold]
    pub(super) fn move_keys(&self) -> bool {
        let mut changes = self.changes();
        if changes.closed {
            return false;
        }
        let routing = self.routing.load();
        self.reassign_keys(&mut changes, &routing, routing.roster.members().len());
        true
    }

    fn replace(&self, changes: &mut Changes<T>, roster: Roster, inlets: Arc<[Inlet<T>]>) {
        let departed = self.routing.load().departed;
        self.replace_with(changes, roster, inlets, departed);
    }

    fn replace_with(
        &self,
        changes: &mut Changes<T>,
        roster: Roster,
        inlets: Arc<[Inlet<T>]>,
        departed: Counts,
    ) {
        let before = self.routing.load();
        let roster = Arc::new(roster);
        let mut routing = Routing { roster, inlets, departed, ..before.clone() };
        panics::contain(|| routing.strategy = routing.strategy.refreshed(&routing.roster));
        let routing = Arc::new(routing);
        let known = before.roster.members().len();
        self.routing.store(Arc::clone(&routing));
        self.reassign_keys(changes, &routing, known);
    }

    fn replace_health(&self, changes: &mut Changes<T>, worker: WorkerId, health: Health) {
        let routing = self.routing.load();
        if let Ok(roster) = routing.roster.with_health(worker, health) {
            self.replace(changes, roster, Arc::clone(&routing.inlets));
        }
    }

    fn replace_strategy(
        &self,
        strategy: Arc<dyn Strategy>,
        shadow: Option<Arc<Shadow>>,
    ) -> &'static str {
        let routing = self.routing.load();
        let strategy = Prepared::new(strategy, &routing.roster);
        let stealing = self.stealing.unwrap_or_else(|| strategy.lets_steal());
        let name = strategy.name();
        self.routing.store(Arc::new(Routing { strategy, shadow, stealing, ..routing.clone() }));
        name
    }

    /// Reassigns the keys by a routing whose members from position `joined` on are new.
    fn reassign_keys(&self, changes: &mut Changes<T>, routing: &Routing<T>, joined: usize) {
        let which = match routing.strategy.routes_keys() {
            true => Reassign::Few { joined },
            false => Reassign::All,
        };
        changes.keys_moving = !self.keys.reassign(&routing.roster, which);
    }
}
