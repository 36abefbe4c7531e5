//! How keys move, with their state or without.

use std::collections::BTreeMap;
use std::sync::Arc;

use raddle_core::Worker;

use super::control::Control;
use super::moves::Unkept;
use super::routing::Plan;
use crate::keys::{Batch, Gain, Handover, KeyState, Move, MovedKeys, NOBODY, PartitionId, ShortId};
use crate::mailbox::Notify;

impl Control {
    /// Notifies this thread when there are keys to [announce](Self::take_unkept).
    pub(crate) fn announce_by(&self, notify: &Notify) {
        self.moves.unkept.lock().1 = Some(notify.clone());
    }

    /// Takes what moved without its state since the last call.
    pub(crate) fn take_unkept(&self) -> Vec<Unkept> {
        std::mem::take(&mut self.moves.unkept.lock().0)
    }

    /// What a worker whose thread starts must give away and take over, if the pool's actors have keyed
    /// state.
    pub(crate) fn open_handover(&self, worker: ShortId) -> Option<Arc<Handover>> {
        self.moves.hand_overs.as_ref().map(|hand_overs| hand_overs.open(worker))
    }

    /// The worker has ended.
    pub(crate) fn close_handover(&self, worker: ShortId) {
        if let Some(hand_overs) = &self.moves.hand_overs {
            hand_overs.close(worker);
        }
    }

    /// Tells the old owners of partitions that move, or announces that these move without state.
    pub(super) fn begin_moves(&self, moves: Vec<Move>, plan: &Plan) {
        let Some(hand_overs) = &self.moves.hand_overs else {
            let moves = moves.into_iter().map(|Move { partition, from, to }| (partition, from, to));
            return self.note_unkept(moves.collect(), plan);
        };
        let mut by_owner = BTreeMap::<ShortId, Vec<_>>::new();
        for Move { partition, from, to } in moves {
            by_owner.entry(from).or_default().push((partition, to));
        }
        for (from, partitions) in by_owner {
            let handover = hand_overs.get(from);
            if handover.is_some_and(|it| it.lose(&partitions, || self.raise(from))) {
                self.wake(from);
            } else {
                self.move_without_state(from, partitions);
            }
        }
    }

    /// Gives keys, with their state if there is any, to the worker to which they move. Returns the state if
    /// that worker has ended because the pool closes: then no task needs it.
    pub(crate) fn hand_over(
        &self,
        from: ShortId,
        batch: Batch,
        state: Option<KeyState>,
    ) -> Option<KeyState> {
        let Batch { partitions, to } = batch;
        let mut is_kept = state.is_some();
        let mut refused = None;
        if let Some(keys) = self.keys.keys_of(partitions.iter().copied()).pop() {
            let hand_overs = self.moves.hand_overs.as_ref();
            let gain = Gain { keys, state };
            refused = match hand_overs.and_then(|hand_overs| hand_overs.get(to)) {
                Some(handover) => handover.gain(gain, || self.raise(to)).err(),
                None => Some(gain),
            };
        }
        // Not asked without a state: those who have none may hold the lock of changes.
        is_kept = is_kept && (refused.is_none() || self.is_closed());
        // Afterwards: the new owner takes the keys over before it runs a task of them.
        for partition in &partitions {
            self.release_key(*partition, from);
        }
        // Also if no task of them waits.
        self.wake(to);
        if !is_kept {
            let unkept = partitions.into_iter().map(|partition| (partition, from, to));
            self.note_unkept(unkept.collect(), &self.plan());
        }
        refused.filter(|_| is_kept)?.state
    }

    /// Moves the partitions of workers that have not given them away in time, without their state. Returns
    /// whether this must be called again later.
    pub(crate) fn move_overdue(&self, now: u64) -> bool {
        let Some(hand_overs) = &self.moves.hand_overs else { return false };
        let (mut again, closed) = (false, self.is_closed());
        for (worker, handover) in hand_overs.all() {
            let overdue = handover.take_overdue(now, hand_overs.limit, |partition| {
                let partition = self.keys.get(partition);
                // In a closing pool, state that no task waits for stays where it is.
                partition.is_handed_over_by(worker) && (!closed || partition.is_awaited())
            });
            self.move_without_state(worker, overdue);
            again |= handover.is_moving();
        }
        again
    }

    /// The worker's thread was lost: what it was handing over moves without its state, and what it was
    /// taking over has lost its state.
    pub(crate) fn revoke_handover(&self, worker: ShortId) {
        let hand_overs = self.moves.hand_overs.as_ref();
        let Some(handover) = hand_overs.and_then(|hand_overs| hand_overs.get(worker)) else {
            return;
        };
        let (lost, gained) = handover.revoke();
        if let Some(Batch { partitions, to }) = lost {
            let partitions = partitions.into_iter().map(|partition| (partition, to));
            self.move_without_state(worker, partitions.collect());
        }
        if let Some(keys) = gained {
            self.lost_while_gained(worker, keys);
        }
    }

    /// Announces that a worker has lost the state of keys while it took them over.
    pub(crate) fn lost_while_gained(&self, worker: ShortId, keys: MovedKeys) {
        let its = worker_of(&self.plan(), worker);
        self.push_unkept(vec![Unkept { from: its.clone(), to: its, keys }]);
    }

    /// Moves partitions of a worker, each to the given one, without their state.
    fn move_without_state(&self, from: ShortId, partitions: Vec<(PartitionId, ShortId)>) {
        let mut by_owner = BTreeMap::<(ShortId, usize), Vec<PartitionId>>::new();
        for (partition, to) in partitions {
            by_owner.entry((to, partition.table())).or_default().push(partition);
        }
        for ((to, _), partitions) in by_owner {
            self.hand_over(from, Batch { partitions, to }, None);
        }
    }

    fn note_unkept(&self, moves: Vec<(PartitionId, ShortId, ShortId)>, plan: &Plan) {
        let mut by_workers = BTreeMap::<(ShortId, ShortId), Vec<PartitionId>>::new();
        // Nobody kept state of keys that nobody served.
        for (partition, from, to) in moves.into_iter().filter(|(_, from, _)| *from != NOBODY) {
            by_workers.entry((from, to)).or_default().push(partition);
        }
        let mut unkept = Vec::new();
        for ((from, to), partitions) in by_workers {
            let (from, to) = (worker_of(plan, from), worker_of(plan, to));
            let all = self.keys.keys_of(partitions.into_iter()).into_iter();
            unkept.extend(all.map(|keys| Unkept { from: from.clone(), to: to.clone(), keys }));
        }
        self.push_unkept(unkept);
    }

    fn push_unkept(&self, unkept: Vec<Unkept>) {
        if unkept.is_empty() {
            return;
        }
        let mut known = self.moves.unkept.lock();
        known.0.extend(unkept);
        if let Some(notify) = &known.1 {
            notify.notify();
        }
    }
}

fn worker_of(plan: &Plan, worker: ShortId) -> Option<Arc<Worker>> {
    let position = plan.position_of(worker)?;
    Some(Arc::clone(&plan.roster.members()[position].worker))
}
