//! The part of the router that no task passes: changes of the routing, for the crew.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use raddle_core::internal::WorkerInternals;
use raddle_core::{
    Capability, Clock, Health, Member, Outcome, Roster, Worker, WorkerId, WorkerSpec,
};
use raddle_strategies::{Prepared, SelectError, Shadow, ShadowReport, Strategy};
use raddle_sync::atomic::{AtomicBool, Ordering::Relaxed};
use raddle_sync::lock::ColdLock;

use super::moves::Moves;
use super::routing::Plan;
use super::table::Publish;
use crate::account::{Account, Ledger};
use crate::error::{MembershipError, SpawnError};
use crate::keys::{KeyTables, PartitionId, Reassign, ShortId};
use crate::mailbox::Wakers;
use crate::panics;

/// Not generic in the task.
///
/// Each change of the routing is prepared with nothing held, since strategies are the user's code, and
/// published under a lock if the routing is still what it was. A roster is published before keys are
/// reassigned by it, so that a caller that finds a key's new owner also finds the owner in the
/// roster.
pub(crate) struct Control {
    pub(crate) clock: Clock,
    pub(crate) keys: KeyTables,
    pub(crate) ledger: Ledger,
    /// Set when what is queued must be cancelled. The workers read it before each task.
    pub(crate) cancelling: Arc<AtomicBool>,
    pub(super) moves: Moves,
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
    pub(super) fn new(
        clock: Clock,
        table: Arc<dyn Publish>,
        stealing: Option<bool>,
        partitions: NonZeroU32,
        hand_over_within: Option<u64>,
    ) -> Self {
        Self {
            clock,
            keys: KeyTables::new(partitions, hand_over_within.is_some()),
            moves: Moves::new(hand_over_within),
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

    /// Publishes the plan that `next` makes of the present one, and returns what else it returns;
    /// publishes none after an `Err`. `None`, without effect, if the pool is closed.
    ///
    /// `next` and the user's strategies are called with nothing held, and again if the plan has
    /// changed meanwhile.
    fn change<R>(&self, mut next: impl FnMut(&Plan) -> Result<(Plan, R), R>) -> Option<R> {
        loop {
            let before = self.plan();
            let (mut after, result) = match next(&before) {
                Ok(next) => next,
                Err(result) => return (!self.is_closed()).then_some(result),
            };
            if !Arc::ptr_eq(&before.roster, &after.roster) {
                panics::contain(|| after.strategy = after.strategy.refreshed(&after.roster));
            }
            after.version = before.version + 1;
            let mut changes = self.changes.lock();
            if changes.closed {
                return None;
            }
            if self.table.plan().version == before.version {
                self.table.publish(after.clone());
                self.reassign_keys(&mut changes, &after, &joined(&before.roster, &after.roster));
                return Some(result);
            }
        }
    }

    /// Publishes the roster with new workers, which take no tasks while they are
    /// [starting](Health::Starting), and opens their inlets. Returns them.
    ///
    /// # Errors
    /// If the pool is closed, or `specs` or the roster refuses.
    pub(crate) fn grow(
        &self,
        mut specs: impl FnMut(&Roster) -> Result<Vec<WorkerSpec>, MembershipError>,
    ) -> Result<Vec<Member>, MembershipError> {
        let mut grown = |plan: &Plan| -> Result<_, MembershipError> {
            let specs = specs(&plan.roster)?;
            self.table.probe(specs.len()).map_err(SpawnError::from)?;
            let grown = plan.roster.with_workers(&specs).map_err(SpawnError::from)?;
            let added = grown.members()[grown.members().len() - specs.len()..].to_vec();
            let starting: Vec<_> =
                added.iter().map(|member| (member.worker.id(), Health::Starting)).collect();
            let grown = grown.with_changed_health(&starting).map_err(SpawnError::from)?;
            Ok((plan.with_roster(grown), Ok(added)))
        };
        self.change(|plan| grown(plan).map_err(Err)).unwrap_or(Err(MembershipError::Closed))
    }

    /// Closes the inlets of workers that were not added after all, and removes them.
    pub(crate) fn discard(&self, added: &[Member]) {
        let workers: Vec<_> = added.iter().map(|member| &member.worker).collect();
        self.close_inlets(Some(&workers)).wake();
        for Member { worker, .. } in added {
            self.remove(worker);
        }
    }

    /// Publishes the health that `changes` returns for some members of the roster, if for any.
    /// `false`, without effect, if the pool is closed.
    pub(crate) fn change_health(
        &self,
        mut changes: impl FnMut(&Roster) -> Vec<(WorkerId, Health)>,
    ) -> bool {
        let changed = self.change(|plan| {
            let changes = changes(&plan.roster);
            match plan.roster.with_changed_health(&changes) {
                Ok(roster) if !changes.is_empty() => Ok((plan.with_roster(roster), ())),
                _ => Err(()),
            }
        });
        changed.is_some()
    }

    /// Publishes the roster without a worker that has nothing in flight. `false` if it had not been
    /// added; also, without effect, if the pool is closed or the worker is not a member.
    pub(crate) fn remove(&self, worker: &Arc<Worker>) -> bool {
        let removed = self.change(|plan| {
            let mut members = plan.roster.members().iter();
            let Some(member) = members.find(|member| member.worker.id() == worker.id()) else {
                return Err(false);
            };
            let was_added = member.health != Health::Starting;
            let roster = plan.roster.without_worker(worker.id()).map_err(|_| false)?;
            let mut plan = plan.with_roster(roster);
            plan.departed += worker.stats().counts().settled();
            Ok((plan, was_added))
        });
        removed.unwrap_or(false)
    }

    /// Closes inlets, or all, and returns the tasks of callers that wait for room there.
    fn close_inlets(&self, which: Option<&[&Arc<Worker>]>) -> Wakers {
        which.into_iter().flatten().for_each(|worker| worker.close());
        self.table.close(which, &mut |worker, label, expected_duration| {
            self.take_off(worker, label.partition(), expected_duration);
        })
    }

    /// Takes a task that has not been sent off the account of the worker that it was admitted to.
    pub(super) fn take_off(
        &self,
        worker: &Worker,
        partition: Option<PartitionId>,
        expected_duration: u64,
    ) {
        worker.withdraw_work_of(expected_duration);
        worker.withdraw();
        if let Some(partition) = partition {
            self.release_key(partition, worker.id().short_id());
        }
    }

    /// Closes the inlets of those `retiring` workers that own no key any more, and keeps the others
    /// in the list. Returns whether this must be called again later, and the callers that waited for
    /// room there.
    pub(crate) fn close_unowned(&self, retiring: &mut Vec<WorkerId>) -> (bool, Wakers) {
        let mut changes = self.changes.lock();
        if changes.closed {
            // It has closed them all, and moves no keys: their state stays with actors that end.
            return (false, Wakers::default());
        }
        let plan = self.plan();
        if changes.keys_moving {
            self.reassign_all_keys(&mut changes);
        }
        if !retiring.is_empty() {
            // A caller with an older roster may have bound a key to one of them since.
            let which = Reassign::Few { joined: &[] };
            let mut moved = Vec::new();
            self.keys.reassign(&plan.roster, which, |it| moved.push(it));
            self.begin_moves(moved, &plan);
        }
        let mut wakers = Wakers::default();
        retiring.retain(|id| {
            let Some(worker) = plan.roster.worker(*id) else { return false };
            let stays = self.keys.mention(id.short_id());
            if !stays {
                wakers.append(self.close_inlets(Some(&[worker])));
            }
            stays
        });
        (changes.keys_moving || !retiring.is_empty(), wakers)
    }

    /// Takes a worker whose actor is not restarted out of service: it gets no more tasks and keys.
    pub(crate) fn expel(&self, worker: &Arc<Worker>) {
        // A closed pool has closed the worker, and moves no keys.
        self.change_health(|_| vec![(worker.id(), Health::Draining)]);
        self.close_inlets(Some(&[worker])).wake();
    }

    /// Takes no more tasks and workers. Returns whether it was open.
    pub(crate) fn close(&self) -> bool {
        let mut changes = self.changes.lock();
        let was_closed = std::mem::replace(&mut changes.closed, true);
        let wakers = self.close_inlets(None);
        drop(changes);
        wakers.wake();
        !was_closed
    }

    /// Makes the workers cancel what is queued.
    pub(crate) fn cancel_queued(&self) {
        if !self.cancelling.swap(true, Relaxed) {
            self.table.attend_all();
        }
        // Also the workers that wait for another to release a key.
        self.table.wake_all();
    }

    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancelling.load(Relaxed)
    }

    /// Replaces the strategy, unless the pool is closed. Returns its name.
    pub(crate) fn set_strategy(&self, strategy: &Arc<dyn Strategy>) -> Option<&'static str> {
        self.change(|plan| Ok((self.with_strategy(plan, strategy, None), strategy.name())))
    }

    /// Scores another strategy beside the present one, or none, unless the pool is closed. Returns
    /// the present one's name.
    pub(crate) fn set_shadow(&self, shadow: Option<&Arc<dyn Strategy>>) -> Option<&'static str> {
        self.change(|plan| {
            let live =
                plan.shadow.as_ref().map_or(plan.strategy.strategy(), |shadow| shadow.live());
            let plan = match shadow {
                None => self.with_strategy(plan, live, None),
                Some(shadow) => {
                    let shadow = Arc::new(Shadow::new(Arc::clone(live), Arc::clone(shadow)));
                    let both = Arc::clone(&shadow) as Arc<dyn Strategy>;
                    self.with_strategy(plan, &both, Some(shadow))
                }
            };
            let name = plan.strategy.name();
            Ok((plan, name))
        })
    }

    fn with_strategy(
        &self,
        plan: &Plan,
        strategy: &Arc<dyn Strategy>,
        shadow: Option<Arc<Shadow>>,
    ) -> Plan {
        let strategy = Prepared::new(Arc::clone(strategy), &plan.roster);
        let stealing = self.stealing.unwrap_or_else(|| strategy.lets_steal());
        Plan { strategy, shadow, stealing, ..plan.clone() }
    }

    pub(crate) fn shadow_report(&self) -> Option<ShadowReport> {
        self.plan().shadow.map(|shadow| shadow.report())
    }

    /// Prepares the strategy again, by the latest statistics.
    pub(crate) fn refresh(&self) {
        self.change(|plan| {
            let mut next = plan.clone();
            panics::contain(|| next.strategy = next.strategy.refreshed(&next.roster));
            if next.strategy.is_specific() { Ok((next, ())) } else { Err(()) }
        });
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

    /// Ends a task that was taken from a worker's inlet and will not run, or that is owed no longer, by
    /// this ledger: the worker's own statistics belong to its thread.
    pub(super) fn end(
        &self,
        worker: &Worker,
        partition: Option<PartitionId>,
        expected_duration: u64,
        outcome: Outcome,
    ) {
        // Before it is withdrawn there: the pool's count in flight is never too low.
        self.ledger.adopt();
        self.ledger.end(outcome);
        self.take_off(worker, partition, expected_duration);
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

    fn reassign_all_keys(&self, changes: &mut Changes) {
        self.reassign_keys(changes, &self.plan(), &[]);
    }

    /// Reassigns the keys by a plan, in whose roster these workers are new.
    fn reassign_keys(&self, changes: &mut Changes, plan: &Plan, joined: &[ShortId]) {
        let which = match plan.strategy.routes_keys() {
            true => Reassign::Few { joined },
            false => Reassign::All,
        };
        let mut moved = Vec::new();
        changes.keys_moving = !self.keys.reassign(&plan.roster, which, |it| moved.push(it));
        self.begin_moves(moved, plan);
    }

    /// Makes a worker check for keys that it loses or gains.
    pub(super) fn raise(&self, worker: ShortId) {
        self.table.raise(worker);
    }

    pub(super) fn wake(&self, worker: ShortId) {
        self.table.wake(worker);
    }
}

/// The workers that take tasks now and did not exist or had not started before.
fn joined(before: &Roster, after: &Roster) -> Vec<ShortId> {
    let started = before.members().iter().filter(|member| member.health != Health::Starting);
    let started: HashSet<_> = started.map(|member| member.worker.id()).collect();
    let joined = after.members().iter().filter(|member| member.health.takes_tasks());
    let joined = joined.map(|member| member.worker.id()).filter(|id| !started.contains(id));
    joined.map(WorkerId::short_id).collect()
}
