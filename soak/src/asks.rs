//! What askers do with their asks: each receives exactly one answer, or abandons its ask.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use raddle::AskError;

use crate::fate::{AskEnd, Mark};
use crate::findings::Wrong;
use crate::futures::{block_on, poll_once};
use crate::message::{Ask, Failure, Message, Reply};
use crate::records::Records;
use crate::tally::Occurrence;
use crate::unknown::Unknown;

/// An ask that is waiting for its answer.
pub struct Asked {
    of: Task,
    ask: Ask,
}

/// The task of an ask.
struct Task {
    records: Arc<Records>,
    id: u64,
    /// If it may still wait for room.
    unknown: Option<Unknown>,
}

type End = Result<Reply, AskError<Message>>;

impl Asked {
    /// An ask whose task was admitted.
    pub fn new(records: &Arc<Records>, id: u64, ask: Ask) -> Self {
        Self { of: Task { records: Arc::clone(records), id, unknown: None }, ask }
    }

    /// An ask that may still wait for room, or was refused.
    pub fn open(unknown: Unknown, id: u64, ask: Ask) -> Self {
        let records = Arc::clone(unknown.records());
        Self { of: Task { records, id, unknown: Some(unknown) }, ask }
    }

    /// Waits for the answer.
    pub fn wait(self) {
        self.of.count(Occurrence::Waited);
        self.of.record(self.ask.wait());
    }

    /// Waits for at most `time`; returns itself if there is no answer by then.
    pub fn wait_timeout(mut self, time: Duration) -> Option<Self> {
        match self.ask.wait_timeout(time) {
            // That of the ask itself is its answer.
            Err(AskError::TimedOut) if !self.of.is_within_time() => {
                self.of.count(Occurrence::TimedOut);
                Some(self)
            }
            end => {
                self.of.record(end);
                None
            }
        }
    }

    /// Takes the answer if there is one; otherwise returns itself.
    pub fn poll(mut self) -> Option<Self> {
        self.of.count(Occurrence::Polled);
        let Some(end) = self.ask.try_recv() else { return Some(self) };
        self.of.record(end);
        None
    }

    /// Awaits the answer.
    pub fn block_on(self) {
        self.of.count(Occurrence::Awaited);
        let end = block_on(&self.of.records, self.ask);
        self.of.record(end);
    }

    /// Polls the answer's future once, and drops it if there is none.
    pub fn drop_future(self) {
        self.of.count(Occurrence::FutureDropped);
        match poll_once(&self.of.records, self.ask) {
            Ok(end) => self.of.record(end),
            Err(ask) => self.of.abandon(ask),
        }
    }

    /// Drops the ask.
    pub fn abandon(self) {
        self.of.abandon(self.ask);
    }

    /// Takes the answer, which must have arrived.
    pub fn settle(self) {
        let (records, id) = (Arc::clone(&self.of.records), self.of.id);
        if self.poll().is_some() {
            records.findings.report(Wrong::Unanswered, || records.describe(id));
        }
    }
}

impl Task {
    fn count(&self, occurrence: Occurrence) {
        self.records.tally.count(occurrence);
    }

    fn is_within_time(&self) -> bool {
        self.records.fates.get(self.id).is_within_time()
    }

    /// Drops what an answer would come to.
    fn abandon(self, ask: Ask) {
        match &self.unknown {
            // It is recorded as withdrawn.
            Some(_) => self.count(Occurrence::OpenDropped),
            None => {
                self.records.fates.mark(self.id, Mark::Abandoned.bit());
                self.count(Occurrence::Abandoned);
            }
        }
        // This drops an answer that has arrived, or a message, and some panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(ask)));
    }

    /// Records how the ask ended.
    fn record(self, end: End) {
        let Self { records, id, unknown } = self;
        let end = match (end, unknown) {
            (Err(AskError::Refused(error)), Some(unknown)) => {
                return unknown.refused(error.into_message());
            }
            (end, Some(unknown)) => {
                unknown.admitted();
                end
            }
            (end, None) => end,
        };
        let (end, occurrence) = match end {
            Ok(Ok(mut answer)) => {
                answer.disarm();
                (if answer.asker == id { AskEnd::Ok } else { AskEnd::Other }, None)
            }
            Ok(Err(failure)) if failure == Failure(id) => (AskEnd::Failed, None),
            Err(AskError::Panicked { .. }) => (AskEnd::Panicked, None),
            Err(AskError::Expired) => (AskEnd::Expired, Some(Occurrence::ToldExpired)),
            Err(AskError::Cancelled) => (AskEnd::Cancelled, Some(Occurrence::ToldCancelled)),
            Err(AskError::Shed) => (AskEnd::Shed, None),
            Err(AskError::Retired) => (AskEnd::Retired, None),
            Err(AskError::ShutDown) => (AskEnd::ShutDown, Some(Occurrence::ToldShutDown)),
            Err(AskError::Hung) => (AskEnd::Hung, Some(Occurrence::ToldHung)),
            Err(AskError::Unanswered) => (AskEnd::Unanswered, Some(Occurrence::ToldUnanswered)),
            Err(AskError::GaveUp { .. }) => (AskEnd::GaveUp, Some(Occurrence::ToldGaveUp)),
            Err(AskError::TimedOut) => (AskEnd::TimedOut, Some(Occurrence::ToldTimedOut)),
            Err(AskError::Taken) => (AskEnd::Lost, None),
            Ok(Err(_)) | Err(_) => (AskEnd::Other, None),
        };
        occurrence.into_iter().for_each(|occurrence| records.tally.count(occurrence));
        records.ask_ended(id, end);
    }
}
