//! The keys that workers give away and take over together with their state.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use raddle_sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use raddle_sync::lock::ColdLock;

use super::moved::MovedKeys;
use super::partitions::ShortId;
use super::tables::PartitionId;
use crate::panics::Contained;

/// The state of some keys, between two actors.
pub type KeyState = Contained<Box<dyn Any + Send>>;

/// Keys that a worker takes over, and their state, if there is any.
pub struct Gain {
    /// Of one capability.
    pub keys: MovedKeys,
    /// `None` if it was lost.
    pub state: Option<KeyState>,
}

/// Partitions of one capability that move from one worker to another at the same time.
#[derive(Clone)]
pub struct Batch {
    /// At least one.
    pub partitions: Vec<PartitionId>,
    /// Their new owner.
    pub to: ShortId,
}

/// What a worker's thread must do next.
pub enum Work {
    /// Give the actor the state of keys.
    Gain(Gain),
    /// Take the state of keys from the actor.
    Lose(Batch),
}

/// What one worker has yet to give away and to take over. Its thread does that between two tasks.
#[derive(Default)]
pub struct Handover {
    /// Locked while keys move. Nothing of the user's is called meanwhile.
    list: ColdLock<List>,
    /// Whether the list has anything. Changed under its lock.
    any: AtomicBool,
    /// The number of gains in the list. Changed under its lock.
    gains: AtomicUsize,
}

#[derive(Default)]
struct List {
    losses: Vec<Loss>,
    gains: VecDeque<Gain>,
    /// What the actor is being asked for, or given.
    in_hand: Option<InHand>,
    /// Whether the worker's actor ends: nothing can be added any more.
    leaving: bool,
}

/// A partition that must be given away.
struct Loss {
    partition: PartitionId,
    to: ShortId,
    /// The clock's time when it was first seen to be due.
    due_since: Option<u64>,
}

enum InHand {
    /// And when its hook began, by the clock.
    Lost(Batch, u64),
    Gained(MovedKeys),
}

impl Handover {
    /// Adds partitions to be given away, all at once, each to the given worker. `false` if the worker has
    /// no actor that could have their state. Calls `raise`, under the lock, if there was nothing in the
    /// list.
    pub fn lose(&self, partitions: &[(PartitionId, ShortId)], raise: impl FnOnce()) -> bool {
        let mut list = self.list.lock();
        if !list.leaving {
            let loss =
                |(partition, to): &_| Loss { partition: *partition, to: *to, due_since: None };
            list.losses.extend(partitions.iter().map(loss));
            self.raise(raise);
        }
        !list.leaving
    }

    /// Adds keys to be taken over. Calls `raise` as [`lose`](Self::lose) does.
    ///
    /// # Errors
    /// The gain, if the worker has no actor that could take it.
    pub fn gain(&self, gain: Gain, raise: impl FnOnce()) -> Result<(), Gain> {
        let mut list = self.list.lock();
        if list.leaving {
            return Err(gain);
        }
        list.gains.push_back(gain);
        // Relaxed: the release of the partitions follows, which the worker acquires before it checks.
        self.gains.store(list.gains.len(), Relaxed);
        self.raise(raise);
        Ok(())
    }

    fn raise(&self, raise: impl FnOnce()) {
        if !self.any.load(Relaxed) {
            self.any.store(true, Relaxed);
            raise();
        }
    }

    /// Whether the worker must take over keys before it runs any keyed task. Wait-free.
    pub fn has_gains(&self) -> bool {
        self.gains.load(Relaxed) > 0
    }

    /// Whether there is [work](Self::next) to do now.
    pub fn is_due(&self, due: impl Fn(PartitionId) -> bool) -> bool {
        self.any.load(Relaxed) && {
            let list = self.list.lock();
            // An empty list is due, too: then `next` lowers what was raised.
            !list.gains.is_empty()
                || list.losses.is_empty()
                || list.losses.iter().any(|loss| due(loss.partition))
        }
    }

    /// Takes what to do next: first all gains, then the partitions that are `due`, those of one capability
    /// that go to one worker together. Calls `lower`, under the lock, if nothing is left. What is taken is
    /// in hand until it is [finished](Self::finish).
    pub fn next(
        &self,
        now: u64,
        due: impl Fn(PartitionId) -> bool,
        lower: impl FnOnce(),
    ) -> Option<Work> {
        let mut list = self.list.lock();
        if let Some(gain) = list.gains.pop_front() {
            list.in_hand = Some(InHand::Gained(gain.keys.clone()));
            return Some(Work::Gain(gain));
        }
        let first = list.losses.iter().find(|loss| due(loss.partition));
        if let Some((to, table)) = first.map(|loss| (loss.to, loss.partition.table())) {
            let goes = |loss: &mut Loss| {
                loss.to == to && loss.partition.table() == table && due(loss.partition)
            };
            let partitions = list.losses.extract_if(.., goes).map(|loss| loss.partition).collect();
            let batch = Batch { partitions, to };
            list.in_hand = Some(InHand::Lost(batch.clone(), now));
            return Some(Work::Lose(batch));
        }
        if list.losses.is_empty() && self.any.swap(false, Relaxed) {
            lower();
        }
        None
    }

    /// Ends what is in hand. `false` if it was given up meanwhile.
    pub fn finish(&self) -> bool {
        let mut list = self.list.lock();
        // Only now: the thread that replaces a lost one must not run a task of keys that were in hand.
        self.gains.store(list.gains.len(), Relaxed);
        list.in_hand.take().is_some()
    }

    /// Takes what was in hand of a thread that was lost: what must be released without its state, and the
    /// keys whose state was lost.
    pub fn revoke(&self) -> (Option<Batch>, Option<MovedKeys>) {
        let mut list = self.list.lock();
        self.gains.store(list.gains.len(), Relaxed);
        match list.in_hand.take() {
            None => (None, None),
            Some(InHand::Lost(batch, _)) => (Some(batch), None),
            Some(InHand::Gained(keys)) => (None, Some(keys)),
        }
    }

    /// Takes the partitions that have been due, or in hand, for longer than `limit` at the clock's `now`.
    pub fn take_overdue(
        &self,
        now: u64,
        limit: u64,
        due: impl Fn(PartitionId) -> bool,
    ) -> Vec<(PartitionId, ShortId)> {
        if !self.any.load(Relaxed) {
            return Vec::new();
        }
        let mut list = self.list.lock();
        let is_over = |since: u64| now.saturating_sub(since) > limit;
        let overdue =
            |loss: &mut Loss| due(loss.partition) && is_over(*loss.due_since.get_or_insert(now));
        let overdue = list.losses.extract_if(.., overdue).map(|loss| (loss.partition, loss.to));
        let mut overdue: Vec<_> = overdue.collect();
        let is_stuck =
            |hand: &mut InHand| matches!(hand, InHand::Lost(_, since) if is_over(*since));
        if let Some(InHand::Lost(batch, _)) = list.in_hand.take_if(is_stuck) {
            overdue.extend(batch.partitions.iter().map(|partition| (*partition, batch.to)));
        }
        overdue
    }

    /// Lets nothing be added any more. Takes the partitions that are not `due`.
    pub fn leave(&self, due: impl Fn(PartitionId) -> bool) -> Vec<PartitionId> {
        let mut list = self.list.lock();
        list.leaving = true;
        let stays = |loss: &mut Loss| !due(loss.partition);
        list.losses.extract_if(.., stays).map(|loss| loss.partition).collect()
    }

    /// Whether anything is left to give away.
    pub fn is_moving(&self) -> bool {
        let list = self.list.lock();
        !list.losses.is_empty() || matches!(list.in_hand, Some(InHand::Lost(..)))
    }
}

/// The [`Handover`]s of a pool's workers.
pub(crate) struct HandOvers {
    /// How long a partition that is due waits for its old owner, in nanoseconds.
    pub(crate) limit: u64,
    /// Locked when a worker's thread starts or a worker ends, and while keys move.
    workers: ColdLock<HashMap<ShortId, Arc<Handover>>>,
}

impl HandOvers {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, workers: ColdLock::default() }
    }

    /// That of a worker whose thread starts, which may take the place of another.
    pub(crate) fn open(&self, worker: ShortId) -> Arc<Handover> {
        let handover = Arc::clone(self.workers.lock().entry(worker).or_default());
        handover.list.lock().leaving = false;
        handover
    }

    pub(crate) fn get(&self, worker: ShortId) -> Option<Arc<Handover>> {
        self.workers.lock().get(&worker).cloned()
    }

    pub(crate) fn all(&self) -> Vec<(ShortId, Arc<Handover>)> {
        let workers = self.workers.lock();
        workers.iter().map(|(worker, handover)| (*worker, Arc::clone(handover))).collect()
    }

    /// Forgets a worker that has ended.
    pub(crate) fn close(&self, worker: ShortId) {
        self.workers.lock().remove(&worker);
    }
}
