//! What askers do with their replies: each receives exactly one answer, or abandons its reply.

use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use raddle::prelude::{AskError, Reply};

use crate::actor::Failure;
use crate::fate::{AskEnd, Mark};
use crate::findings::Wrong;
use crate::message::Answer;
use crate::records::Records;
use crate::tally::Occurrence;

/// An ask that is waiting for its answer.
#[derive(Debug)]
pub struct Asked {
    records: Arc<Records>,
    id: u64,
    reply: Reply<Answer, Failure>,
}

type End = Result<Answer, AskError<Failure>>;

impl Asked {
    pub fn new(records: &Arc<Records>, id: u64, reply: Reply<Answer, Failure>) -> Self {
        Self { records: Arc::clone(records), id, reply }
    }

    /// Waits for the answer.
    pub fn wait(self) {
        self.records.tally.count(Occurrence::Waited);
        let Self { records, id, reply } = self;
        record(&records, id, reply.wait());
    }

    /// Waits for at most `time`; returns itself if there is no answer by then.
    pub fn wait_timeout(mut self, time: Duration) -> Option<Self> {
        match self.reply.wait_timeout(time) {
            Err(AskError::TimedOut) => {
                self.records.tally.count(Occurrence::TimedOut);
                Some(self)
            }
            end => {
                record(&self.records, self.id, end);
                None
            }
        }
    }

    /// Takes the answer if there is one; otherwise returns itself.
    pub fn poll(mut self) -> Option<Self> {
        self.records.tally.count(Occurrence::Polled);
        let Some(end) = self.reply.try_recv() else { return Some(self) };
        record(&self.records, self.id, end);
        None
    }

    /// Awaits the answer.
    pub fn block_on(self) {
        self.records.tally.count(Occurrence::Awaited);
        let Self { records, id, reply } = self;
        let mut future = pin!(reply.into_future());
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(end) => return record(&records, id, end),
                Poll::Pending => thread::park(),
            }
        }
    }

    /// Drops the reply.
    pub fn abandon(self) {
        let Self { records, id, reply } = self;
        records.fates.mark(id, Mark::Abandoned.bit());
        records.tally.count(Occurrence::Abandoned);
        // This drops an answer that has arrived, and some panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(reply)));
    }

    /// Takes the answer, which must have arrived.
    pub fn settle(self) {
        let (records, id) = (Arc::clone(&self.records), self.id);
        if self.poll().is_some() {
            records.findings.report(Wrong::Unanswered, || records.describe(id));
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Records how an ask ended.
fn record(records: &Records, id: u64, end: End) {
    let end = match end {
        Ok(mut answer) => {
            answer.disarm();
            if answer.id == id { AskEnd::Ok } else { AskEnd::Other }
        }
        Err(AskError::Failed(failure)) if failure == Failure(id) => AskEnd::Failed,
        Err(AskError::Panicked { .. }) => AskEnd::Panicked,
        Err(AskError::Expired) => AskEnd::Expired,
        Err(AskError::Cancelled) => AskEnd::Cancelled,
        Err(AskError::Shed) => AskEnd::Shed,
        Err(AskError::Retired) => AskEnd::Retired,
        Err(AskError::Taken) => AskEnd::Lost,
        Err(_) => AskEnd::Other,
    };
    records.ask_ended(id, end);
}
