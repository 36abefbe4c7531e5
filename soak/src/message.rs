use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use raddle::{Overflow, Worker, WorkerId};

use crate::fate::{Fate, Mark, Step, Way};
use crate::findings::Wrong;
use crate::keys::Key;
use crate::kind::Kind;
use crate::planted;
use crate::records::{FORWARDED, Records};
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// The message of a task. It records what happens to it, and some panic when dropped without being
/// [disarmed](Self::disarm).
#[derive(Debug)]
pub struct Message {
    pub records: Arc<Records>,
    pub id: u64,
    /// 0 for the original, 1 for the clone of a hedged task.
    pub copy: u8,
    /// As it was sent.
    pub fate: Fate,
    pub kind: Kind,
    /// The task whose asker gets the answer: another one, if this one was forwarded.
    pub asker: u64,
    pub key: Option<Key>,
    /// The worker that alone may run it.
    pub worker: Option<WorkerId>,
    /// Whether its handler hangs until the end of the round.
    pub hangs_long: bool,
    /// Whether it was sent to fill a mailbox. Its handler hangs while mailboxes fill; others run, so
    /// that no producer waits for a reply then.
    pub fills: bool,
    /// The tasks of its clones, if it is not sent itself.
    pub template_of: Option<Arc<Mutex<Vec<u64>>>>,
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
            fate,
            kind: fate.kind(),
            asker: id,
            key,
            worker: None,
            hangs_long: false,
            fills: false,
            template_of: None,
            armed: AtomicBool::new(false),
        }
    }

    /// Creates the message by which a handler of this one lets another pool reply in its place.
    pub fn forwarded(&self, has_deadline: bool) -> Self {
        let later = self.kind == Kind::Lose || fastrand::u8(..4) == 0;
        // It is cancelled when nobody wants the reply any more.
        let fate = Fate::new(self.kind, Way::Forwarded, FORWARDED).cancellable().later(later);
        let fate = if has_deadline { fate.with_deadline() } else { fate };
        let mut message = Self::new(&self.records, fate.under(Overflow::Block), None);
        message.asker = self.asker;
        message
    }

    /// Returns `true` if it was sent by a handler of the round's pool to another pool.
    pub fn is_forwarded(&self) -> bool {
        self.fate.way() == Way::Forwarded
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
        if self.worker.is_some_and(|own| own != worker.id()) {
            records.findings.report(Wrong::OtherWorker, || records.describe(self.id));
        }
        let bit = Step::Run.bit(self.copy);
        records.mark_once(self.id, bit, Wrong::RunTwice);
        if records.saboteur.strikes(Sabotage::RunTwice) {
            records.mark_once(self.id, bit, Wrong::RunTwice);
        }
    }
}

impl Clone for Message {
    fn clone(&self) -> Self {
        if let Some(tasks) = &self.template_of {
            let message = Self::new(&self.records, self.fate, None);
            tasks.lock().unwrap_or_else(PoisonError::into_inner).push(message.id);
            return message;
        }
        self.records.mark_once(self.id, Step::Made.bit(1), Wrong::TwoEnds);
        Self {
            records: Arc::clone(&self.records),
            copy: 1,
            kind: self.kind.of_clone(),
            template_of: None,
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
    id: u64,
    copy: u8,
    /// The task whose asker gets it.
    pub asker: u64,
    explosive: bool,
}

impl Answer {
    /// Creates the answer of a handler of this message.
    pub fn new(message: &Message, explosive: bool) -> Self {
        let Message { records, id, copy, asker, .. } = message;
        records.mark_once(*id, Step::AnswerMade.bit(*copy), Wrong::RunTwice);
        Self { records: Arc::clone(records), id: *id, copy: *copy, asker: *asker, explosive }
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

/// What an asker receives.
pub type Reply = Result<Answer, Failure>;
/// A pool of faulty actors.
pub type Pool = raddle::Pool<Message, Reply>;
/// An ask of such a pool.
pub type Ask = raddle::Ask<Message, Reply>;

/// The error of a handler that fails as planned, with the number of its asker's task.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure(pub u64);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} failed as planned", self.0)
    }
}
