use std::sync::Arc;

use raddle::Worker;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::fate::{Fate, Kind, Mark, Step};
use crate::findings::Wrong;
use crate::keys::Key;
use crate::planted;
use crate::records::Records;
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// The message of a task. It records what happens to it, and some panic when dropped without being
/// [disarmed](Self::disarm).
#[derive(Debug)]
pub struct Message {
    records: Arc<Records>,
    pub id: u64,
    /// 0 for the original, 1 for the clone of a hedged task.
    pub copy: u8,
    pub kind: Kind,
    pub key: Option<Key>,
    /// Whether its handler hangs until the end of the round.
    pub hangs_long: bool,
    /// Whether it was sent to fill a mailbox. Its handler hangs while mailboxes fill; others run, so
    /// that no producer waits for a reply then.
    pub fills: bool,
    /// Whether its drop panics.
    armed: AtomicBool,
}

impl Message {
    /// Numbers a task and creates its message.
    pub fn new(records: &Arc<Records>, fate: Fate, key: Option<Key>) -> Self {
        let id = records.fates.enter(fate);
        Self {
            records: Arc::clone(records),
            id,
            copy: 0,
            kind: fate.kind(),
            key,
            hangs_long: false,
            fills: false,
            armed: AtomicBool::new(false),
        }
    }

    /// Makes it panic when dropped without having been run.
    pub fn arm(&self) {
        self.armed.store(true, Relaxed);
    }

    /// Makes dropping it harmless.
    pub fn disarm(&self) {
        self.armed.store(false, Relaxed);
    }

    /// Checks that it is the refused task's message, and records that it was handed back.
    pub fn returned(self, id: u64) {
        self.disarm();
        let records = &self.records;
        if self.id != id || self.copy != 0 {
            let describe = || format!("{id} was handed back as {}", self.id);
            records.findings.report(Wrong::Refusal, describe);
        }
        if !records.saboteur.strikes_once(Sabotage::Refusal) {
            records.mark_once(id, Mark::Returned.bit(), Wrong::Refusal);
        }
    }

    /// Records that a worker runs it.
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
        if self.copy == 1 && records.saboteur.strikes(Sabotage::KeepCopy) {
            return;
        }
        let bit = Step::Dropped.bit(self.copy);
        records.mark_once(self.id, bit, Wrong::DroppedTwice);
        if records.saboteur.strikes(Sabotage::DropTwice) {
            records.mark_once(self.id, bit, Wrong::DroppedTwice);
        }
        records.call_back(Occurrence::CalledFromDrop, 2_000);
        if self.armed.load(Relaxed) && !std::thread::panicking() {
            records.tally.count(Occurrence::MessageBlewUp);
            planted::blow_up("dropping a message");
        }
    }
}

/// A handler's answer. Like a [`Message`], it records its drop, and some panic when dropped.
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
        self.records.call_back(Occurrence::CalledFromDrop, 2_000);
        if self.explosive && !std::thread::panicking() {
            self.records.tally.count(Occurrence::AnswerBlewUp);
            planted::blow_up("dropping an answer");
        }
    }
}
