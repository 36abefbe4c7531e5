//! The part of the router that no task passes: changes of the routing, for the crew.

use std::sync::Arc;

use raddle_core::internal::WorkerInternals;
use raddle_core::{Capability, Clock, Health, Member, Roster, Worker, WorkerId};
use raddle_strategies::{Prepared, SelectError, Shadow, ShadowReport, Strategy};
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};
use raddle_sync::lock::ColdLock;

use super::routing::Plan;
use super::table::Publish;
use crate::account::{Account, Ledger};
use crate::keys::{KeyTables, PartitionId, Reassign, ShortId};
use crate::panics;

/// Not generic in the task.
///
/// Each change of the routing is one step under one lock. A roster is published before keys are
/// reassigned by it, so that a caller that finds a key's new owner also finds the owner in the
/// roster.
pub(crate) struct Control {
    pub(crate) clock: Clock,
    pub(crate) keys: KeyTables,
    pub(crate) ledger: Ledger,
    /// Set when what is queued must be cancelled. The workers read it before each task.
    pub(crate) cancelling: Arc<AtomicBool>,
    table: Arc<dyn Publish>,
    /// Whether idle workers steal; `None` to follow the strategy.
    stealing: Option<bool>,
    /// Locked by changes of the routing.
    changes: ColdLock<Changes>,
}

#[derive(Default)]
struct Changes {
    /// Whether the pool takes no more tasks and workers.
    closed: bool,
    /// Whether some keys are still to be reassigned.
    keys_moving: bool,
}

impl Control {
    pub(super) fn new(clock: Clock, table: Arc<dyn Publish>, stealing: Option<bool>) -> Self {
        Self {
            clock,
            keys: KeyTables::new(),
            ledger: Ledger::default(),
            cancelling: Arc::default(),
            table,
            stealing,
            changes: ColdLock::default(),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        self.table.plan()
    }

    pub(crate) fn roster(&self) -> Arc<Roster> {
        self.plan().roster
    }

    pub(crate) fn account(&self) -> Account {
        let Plan { roster, departed, .. } = self.plan();
        self.ledger.account(&roster, &departed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.changes.lock().closed
    }

    /// Creates inlets for workers that have not joined the roster yet.
    pub(crate) fn open(&self, added: &[Member]) {
        self.table.open(added);
    }

    /// Publishes the roster with the workers that `grown` has more, whose inlets are open. `false`,
    /// without effect, if the pool is closed.
    pub(crate) fn join(&self, grown: &Roster) -> bool {
        let mut changes = self.changes.lock();
        if !changes.closed {
            let plan = self.plan();
            let roster = plan.roster.with_new_members_of(grown);
            self.replace_roster(&mut changes, plan, roster);
        }
        !changes.closed
    }

    /// Closes the inlets that were opened for workers which do not join.
    pub(crate) fn abandon(&self) {
        self.table.abandon();
    }

    /// Publishes the workers' health that `review` returns for the roster, unless the pool is closed.
    pub(crate) fn review(&self, review: impl FnOnce(&Roster) -> Vec<(WorkerId, Health)>) {
        let mut changes = self.changes.lock();
        if !changes.closed {
            for (worker, health) in review(&self.roster()) {
                self.replace_health(&mut changes, worker, health);
            }
        }
    }

    /// Publishes a worker's health, if it is a member.
    pub(crate) fn set_health(&self, worker: WorkerId, health: Health) {
        self.replace_health(&mut self.changes.lock(), worker, health);
    }

    /// Publishes the roster without a worker that has nothing in flight. `false`, without effect, if
    /// the pool is closed or the worker is not a member.
    pub(crate) fn remove(&self, worker: &Arc<Worker>) -> bool {
        let mut changes = self.changes.lock();
        let mut plan = self.plan();
        // Not by id: the id of a worker that never joined is given to another one.
        let is_it = |member: &Member| Arc::ptr_eq(&member.worker, worker);
        if changes.closed || !plan.roster.members().iter().any(is_it) {
            return false;
        }
        let Ok(roster) = plan.roster.without_worker(worker.id()) else { return false };
        plan.departed += worker.stats().counts().settled();
        self.replace_roster(&mut changes, plan, roster);
        true
    }

    /// Closes the inlets of those `retiring` workers that own no key any more, and keeps the others
    /// in the list. Returns whether this must be called again later.
    pub(crate) fn close_unowned(&self, retiring: &mut Vec<WorkerId>) -> bool {
        let mut changes = self.changes.lock();
        let plan = self.plan();
        if changes.keys_moving {
            self.reassign_all_keys(&mut changes);
        }
        if !retiring.is_empty() {
            // A caller with an older roster may have bound a key to one of them since.
            let which = Reassign::Few { joined: plan.roster.members().len() };
            self.keys.reassign(&plan.roster, which);
        }
        retiring.retain(|id| {
            let Some(worker) = plan.roster.worker(*id) else { return false };
            let stays = self.keys.mention(id.short_id());
            if !stays {
                worker.close();
                self.table.wake(id.short_id());
            }
            stays
        });
        changes.keys_moving || !retiring.is_empty()
    }

    /// Takes a worker whose actor is not restarted out of service: it gets no more tasks and keys.
    pub(crate) fn expel(&self, worker: &Worker) {
        let mut changes = self.changes.lock();
        // A closed pool has closed the worker, and moves no keys.
        if !changes.closed {
            self.replace_health(&mut changes, worker.id(), Health::Draining);
        }
        worker.close();
    }

    /// Takes no more tasks and workers. Returns whether it was open.
    pub(crate) fn close(&self) -> bool {
        let mut changes = self.changes.lock();
        let was_closed = std::mem::replace(&mut changes.closed, true);
        self.table.close();
        !was_closed
    }

    /// Makes the workers cancel what is queued.
    pub(crate) fn cancel_queued(&self) {
        self.cancelling.store(true, Relaxed);
        // Also the workers that wait for another to release a key.
        self.table.wake_all();
    }

    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancelling.load(Relaxed)
    }

    /// Replaces the strategy. Returns its name.
    pub(crate) fn set_strategy(&self, strategy: Arc<dyn Strategy>) -> &'static str {
        let mut changes = self.changes.lock();
        let name = self.replace_strategy(strategy, None);
        self.reassign_all_keys(&mut changes);
        name
    }

    /// Scores another strategy beside the present one, or none. Returns the strategy's name.
    pub(crate) fn set_shadow(&self, shadow: Option<Arc<dyn Strategy>>) -> &'static str {
        let _changes = self.changes.lock();
        let plan = self.plan();
        let live = plan.shadow.as_ref().map_or(plan.strategy.strategy(), |shadow| shadow.live());
        let live = Arc::clone(live);
        match shadow {
            None => self.replace_strategy(live, None),
            Some(shadow) => {
                let shadow = Arc::new(Shadow::new(live, shadow));
                self.replace_strategy(Arc::clone(&shadow) as Arc<dyn Strategy>, Some(shadow))
            }
        }
    }

    pub(crate) fn shadow_report(&self) -> Option<ShadowReport> {
        self.plan().shadow.map(|shadow| shadow.report())
    }

    /// Prepares the strategy again, by the latest statistics.
    pub(crate) fn refresh(&self) {
        // No change of the routing waits for the strategy.
        let mut next = self.plan();
        panics::contain(|| next.strategy = next.strategy.refreshed(&next.roster));
        if !next.strategy.is_specific() {
            return;
        }
        let _changes = self.changes.lock();
        let plan = self.plan();
        // A roster or strategy that was published meanwhile comes prepared.
        if Arc::ptr_eq(&plan.roster, &next.roster)
            && Arc::ptr_eq(plan.strategy.strategy(), next.strategy.strategy())
        {
            self.table.publish(next);
        }
    }

    /// Takes over the running task of a worker whose thread was given up.
    pub(crate) fn adopt_running(&self, worker: &Worker, partition: Option<PartitionId>) {
        // Before it is withdrawn there: the pool's count in flight is never too low.
        self.ledger.adopt();
        worker.withdraw();
        if let Some(partition) = partition {
            // The order is given up with the task: the next one of the key may run.
            self.release_key(partition, worker.id().short_id());
        }
    }

    /// Releases a task of a key that was bound to `worker` and has ended, or was not sent.
    pub(crate) fn release_key(&self, partition: PartitionId, worker: ShortId) {
        let Some(next) = self.keys.get(partition).release(worker) else { return };
        self.table.wake(next);
    }

    /// Reassigns the keys of closed workers, as far as these have no tasks of them. `false` if the
    /// pool is closed.
    #[cold]
    pub(super) fn move_keys(&self) -> bool {
        let mut changes = self.changes.lock();
        if !changes.closed {
            self.reassign_all_keys(&mut changes);
        }
        !changes.closed
    }

    /// Creates the key table of a capability, at its first task, and returns the key's partition.
    #[cold]
    pub(super) fn create_key_table(
        &self,
        capability: Option<Capability>,
        hash: u64,
    ) -> Result<PartitionId, SelectError> {
        // Under the lock of changes, so that the table misses none of them.
        let _changes = self.changes.lock();
        let roster = self.roster();
        self.keys.create(capability, &roster);
        self.keys.find(capability, hash).ok_or(SelectError::for_nobody(capability, &roster))
    }

    fn replace_roster(&self, changes: &mut Changes, mut plan: Plan, roster: Roster) {
        let known = plan.roster.members().len();
        plan.roster = Arc::new(roster);
        panics::contain(|| plan.strategy = plan.strategy.refreshed(&plan.roster));
        self.table.publish(plan.clone());
        self.reassign_keys(changes, &plan, known);
    }

    fn replace_health(&self, changes: &mut Changes, worker: WorkerId, health: Health) {
        let plan = self.plan();
        if let Ok(roster) = plan.roster.with_health(worker, health) {
            self.replace_roster(changes, plan, roster);
        }
    }

    fn replace_strategy(
        &self,
        strategy: Arc<dyn Strategy>,
        shadow: Option<Arc<Shadow>>,
    ) -> &'static str {
        let plan = self.plan();
        let strategy = Prepared::new(strategy, &plan.roster);
        let stealing = self.stealing.unwrap_or_else(|| strategy.lets_steal());
        let name = strategy.name();
        self.table.publish(Plan { strategy, shadow, stealing, ..plan });
        name
    }

    fn reassign_all_keys(&self, changes: &mut Changes) {
        let plan = self.plan();
        self.reassign_keys(changes, &plan, plan.roster.members().len());
    }

    /// Reassigns the keys by a plan whose members from position `joined` on are new.
    fn reassign_keys(&self, changes: &mut Changes, plan: &Plan, joined: usize) {
        let which = match plan.strategy.routes_keys() {
            true => Reassign::Few { joined },
            false => Reassign::All,
        };
        changes.keys_moving = !self.keys.reassign(&plan.roster, which);
    }
}
