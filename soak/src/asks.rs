//! What askers do with their replies: each is told one thing, or does not want to know.

use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use raddle::prelude::{AskError, Reply};

use crate::actor::Failure;
use crate::fate::{Mark, Told};
use crate::findings::Wrong;
use crate::message::Answer;
use crate::records::Records;
use crate::tally::Deed;

/// An ask whose answer is to come.
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
        self.records.tally.count(Deed::Waited);
        let Self { records, id, reply } = self;
        note(&records, id, reply.wait());
    }

    /// Waits so long at the most; without an answer by then it is still to come.
    pub fn wait_timeout(mut self, time: Duration) -> Option<Self> {
        match self.reply.wait_timeout(time) {
            Err(AskError::TimedOut) => {
                self.records.tally.count(Deed::TimedOut);
                Some(self)
            }
            end => {
                note(&self.records, self.id, end);
                None
            }
        }
    }

    /// Takes the answer if it is there.
    pub fn poll(mut self) -> Option<Self> {
        self.records.tally.count(Deed::Polled);
        let Some(end) = self.reply.try_recv() else { return Some(self) };
        note(&self.records, self.id, end);
        None
    }

    /// Awaits the answer.
    pub fn block_on(self) {
        self.records.tally.count(Deed::Awaited);
        let Self { records, id, reply } = self;
        let mut future = pin!(reply.into_future());
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(end) => return note(&records, id, end),
                Poll::Pending => thread::park(),
            }
        }
    }

    /// Does not want to know.
    pub fn let_go(self) {
        let Self { records, id, reply } = self;
        records.fates.mark(id, Mark::LetGo.bit());
        records.tally.count(Deed::LetGo);
        // An answer that was there is dropped here, and some panic.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(reply)));
    }

    /// All is over: the answer must be there.
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

/// Writes down what an asker was told.
fn note(records: &Records, id: u64, end: End) {
    let told = match end {
        Ok(mut answer) => {
            answer.disarm();
            if answer.id == id { Told::Ok } else { Told::Other }
        }
        Err(AskError::Failed(failure)) if failure == Failure(id) => Told::Failed,
        Err(AskError::Panicked { .. }) => Told::Panicked,
        Err(AskError::Expired) => Told::Expired,
        Err(AskError::Cancelled) => Told::Cancelled,
        Err(AskError::Shed) => Told::Shed,
        Err(AskError::Retired) => Told::Retired,
        Err(AskError::Taken) => Told::Lost,
        Err(_) => Told::Other,
    };
    records.told(id, told);
}
