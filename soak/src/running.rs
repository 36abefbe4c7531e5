use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use raddle::Replier;

use crate::fate::Step;
use crate::findings::Wrong;
use crate::kind::Kind;
use crate::life::Life;
use crate::message::{Answer, Failure, Message, Reply};
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// A task that a handler runs, or whose reply it owes. Dropped before its end, its handler was dropped
/// while it waited.
pub struct Running {
    pub message: Message,
    life: Arc<Life>,
    since: Instant,
    ended: bool,
}

/// How far the clocks of harness and pool may differ.
const TOLERANCE: Duration = Duration::from_millis(1);

impl Running {
    /// Begins a task whose actor has this life.
    pub fn begin(message: Message, life: &Arc<Life>) -> Self {
        Self { message, life: Arc::clone(life), since: Instant::now(), ended: false }
    }

    /// Returns the answer of a handler that ends.
    pub fn answer(&self) -> Reply {
        match self.message.kind {
            kind if kind.completes() => Ok(Answer::new(&self.message, fastrand::u32(..500) == 0)),
            _ => Err(Failure(self.message.asker)),
        }
    }

    /// Notes that the handler ends. Returns whether another task of its key has begun since, and which
    /// one, if it runs.
    pub fn end(&mut self) -> Result<(), Option<u64>> {
        self.ended = true;
        let Message { key, id, records, .. } = &self.message;
        key.map_or(Ok(()), |key| records.keys.leave(key, *id))
    }

    /// Sends the reply that the handler has deferred.
    pub fn reply(mut self, replier: Replier<Reply>) {
        // The next task of the key waits for the reply, unless this one has ended otherwise.
        if let Err(other) = self.end()
            && !replier.is_cancelled()
        {
            self.suspect(Wrong::Overlap, other);
        }
        let saboteur = &self.message.records.saboteur;
        match self.message.kind {
            Kind::GiveUp => replier.give_up("planted"),
            Kind::Lose => drop(replier),
            _ if saboteur.strikes(Sabotage::Reply) => drop(replier),
            _ => replier.reply(self.answer()),
        }
        if !self.message.records.may_cancel() {
            self.mark(Step::InTime);
        }
    }

    /// Leaves the reply to this task of another pool.
    pub fn pass_on(&self, other: u64) {
        self.mark(Step::PassedOn);
        self.message.records.passed_on(self.message.id, other);
    }

    /// Marks the task of the message.
    pub fn mark(&self, step: Step) {
        self.message.records.fates.mark(self.message.id, step.bit(self.message.copy));
    }

    /// Describes what is wrong with its key.
    pub fn describe(&self, other: Option<u64>) -> String {
        let Message { key, id, records, .. } = &self.message;
        format!("key {:?}, next to {other:?}: {}", key.map(|key| key.index), records.describe(*id))
    }

    fn suspect(&self, wrong: Wrong, other: Option<u64>) {
        self.message.records.suspicions.add(&self.life, wrong, self.describe(other));
    }

    /// Records that the handler was dropped while it waited.
    fn cut(&mut self) {
        if let Err(other) = self.end() {
            self.suspect(Wrong::Overlap, other);
        }
        let Message { id, fate, records, .. } = &self.message;
        records.tally.count(Occurrence::Cut);
        if !records.saboteur.is(Sabotage::Cut) {
            self.mark(Step::Cut);
        }
        let has_reason = fate.has_deadline() || fate.is_cancellable() || records.may_cancel();
        if !has_reason {
            let early = records.saboteur.strikes_once(Sabotage::Early);
            let after = if early { Duration::ZERO } else { self.since.elapsed() };
            if after + TOLERANCE < records.plan.limit {
                let describe = || format!("after {after:?}: {}", records.describe(*id));
                records.findings.report(Wrong::CutEarly, describe);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended && !thread::panicking() {
            self.cut();
        }
    }
}
