use std::sync::Arc;

use raddle::core::Worker;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::fate::{Fate, Kind, Step};
use crate::findings::Wrong;
use crate::keys::Key;
use crate::planted;
use crate::records::Records;
use crate::sabotage::Sabotage;
use crate::tally::Deed;

/// What the pools of a soak are given: it tells the records what becomes of it, and some panic
/// when they are dropped without having been [disarmed](Self::disarm).
#[derive(Debug)]
pub struct Message {
    records: Arc<Records>,
    pub id: u64,
    /// 0 for the original, 1 for the clone of a hedged one.
    pub copy: u8,
    pub kind: Kind,
    pub key: Option<Key>,
    /// Whether it hangs until the end of the round.
    pub hangs_long: bool,
    /// Whether its drop panics.
    armed: AtomicBool,
}

impl Message {
    /// Numbers a task and makes its message.
    pub fn new(records: &Arc<Records>, fate: Fate, key: Option<Key>) -> Self {
        let id = records.fates.enter(fate);
        Self {
            records: Arc::clone(records),
            id,
            copy: 0,
            kind: fate.kind(),
            key,
            hangs_long: false,
            armed: AtomicBool::new(false),
        }
    }

    /// Lets it panic when it is dropped by somebody who has not run it.
    pub fn arm(&self) {
        self.armed.store(true, Relaxed);
    }

    /// Makes dropping it harmless.
    pub fn disarm(&self) {
        self.armed.store(false, Relaxed);
    }

    /// Notes that a worker runs it.
    pub fn run_at(&self, worker: &Worker) {
        let records = &self.records;
        records.fates.run_at(self.id, worker.id().short_id());
        let bit = Step::Run.bit(self.copy);
        records.mark_once(self.id, bit, Wrong::RunTwice);
        if records.saboteur.strikes(Sabotage::RunTwice) {
            records.mark_once(self.id, bit, Wrong::RunTwice);
        }
    }
}

impl Clone for Message {
    fn clone(&self) -> Self {
        self.records.mark_once(self.id, Step::Made.bit(1), Wrong::TwoEnds);
        Self {
            records: Arc::clone(&self.records),
            copy: 1,
            kind: self.kind.of_clone(),
            armed: AtomicBool::new(self.armed.load(Relaxed)),
            ..*self
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let records = &self.records;
        let bit = Step::Dropped.bit(self.copy);
        records.mark_once(self.id, bit, Wrong::DroppedTwice);
        if records.saboteur.strikes(Sabotage::DropTwice) {
            records.mark_once(self.id, bit, Wrong::DroppedTwice);
        }
        if self.armed.load(Relaxed) && !std::thread::panicking() {
            records.tally.count(Deed::MessageBlewUp);
            planted::blow_up("a message that was dropped");
        }
    }
}

/// A handler's answer; as [`Message`], it tells of its drop, and some panic.
#[derive(Debug)]
pub struct Answer {
    records: Arc<Records>,
    pub id: u64,
    copy: u8,
    explosive: bool,
}

impl Answer {
    pub fn new(records: &Arc<Records>, id: u64, copy: u8, explosive: bool) -> Self {
        records.mark_once(id, Step::AnswerMade.bit(copy), Wrong::RunTwice);
        Self { records: Arc::clone(records), id, copy, explosive }
    }

    /// Makes dropping it harmless.
    pub fn disarm(&mut self) {
        self.explosive = false;
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let bit = Step::AnswerDropped.bit(self.copy);
        self.records.mark_once(self.id, bit, Wrong::AnswerNotDroppedOnce);
        if self.explosive && !std::thread::panicking() {
            self.records.tally.count(Deed::AnswerBlewUp);
            planted::blow_up("an answer that was dropped");
        }
    }
}
