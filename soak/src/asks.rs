//! What askers do with their asks: each receives exactly one answer, or abandons its ask.

use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use raddle::AskError;

use crate::actor::{Ask, Failure, Reply};
use crate::fate::{AskEnd, Mark};
use crate::findings::Wrong;
use crate::message::Message;
use crate::records::Records;
use crate::tally::Occurrence;

/// An ask that is waiting for its answer.
#[derive(Debug)]
pub struct Asked {
    records: Arc<Records>,
    id: u64,
    ask: Ask,
}

type End = Result<Reply, AskError<Message>>;

impl Asked {
    pub fn new(records: &Arc<Records>, id: u64, ask: Ask) -> Self {
        Self { records: Arc::clone(records), id, ask }
    }

    /// Waits for the answer.
    pub fn wait(self) {
        self.records.tally.count(Occurrence::Waited);
        let Self { records, id, ask } = self;
        record(&records, id, ask.wait());
    }

    /// Waits for at most `time`; returns itself if there is no answer by then.
    pub fn wait_timeout(mut self, time: Duration) -> Option<Self> {
        match self.ask.wait_timeout(time) {
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
        let Some(end) = self.ask.try_recv() else { return Some(self) };
        record(&self.records, self.id, end);
        None
    }

    /// Awaits the answer.
    pub fn block_on(self) {
        self.records.tally.count(Occurrence::Awaited);
        let Self { records, id, ask } = self;
        let mut future = pin!(ask.into_future());
        let waker = Waker::from(Arc::new(Unpark(thread::current(), Arc::clone(&records))));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(end) => return record(&records, id, end),
                Poll::Pending => thread::park(),
            }
        }
    }

    /// Polls the answer's future once, and drops it if there is none.
    pub fn drop_future(self) {
        self.records.tally.count(Occurrence::FutureDropped);
        let Self { records, id, ask } = self;
        let mut future = ask.into_future();
        let waker = Waker::from(Arc::new(Unpark(thread::current(), Arc::clone(&records))));
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(end) => record(&records, id, end),
            Poll::Pending => abandon(&records, id, future),
        }
    }

    /// Drops the ask.
    pub fn abandon(self) {
        abandon(&self.records, self.id, self.ask);
    }

    /// Takes the answer, which must have arrived.
    pub fn settle(self) {
        let (records, id) = (Arc::clone(&self.records), self.id);
        if self.poll().is_some() {
            records.findings.report(Wrong::Unanswered, || records.describe(id));
        }
    }
}

/// Drops what an answer would come to.
fn abandon<T>(records: &Records, id: u64, ask: T) {
    records.fates.mark(id, Mark::Abandoned.bit());
    records.tally.count(Occurrence::Abandoned);
    // This drops an answer that has arrived, and some panic.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(ask)));
}

/// A waker that also uses the pool now and then.
struct Unpark(Thread, Arc<Records>);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.call_back(Occurrence::CalledFromWaker, 50);
        self.0.unpark();
    }
}

/// Records how an ask ended.
fn record(records: &Records, id: u64, end: End) {
    let end = match end {
        Ok(Ok(mut answer)) => {
            answer.disarm();
            if answer.id == id { AskEnd::Ok } else { AskEnd::Other }
        }
        Ok(Err(failure)) if failure == Failure(id) => AskEnd::Failed,
        Err(AskError::Panicked { .. }) => AskEnd::Panicked,
        Err(AskError::Expired) => AskEnd::Expired,
        Err(AskError::Cancelled) => AskEnd::Cancelled,
        Err(AskError::Shed) => AskEnd::Shed,
        Err(AskError::Retired) => AskEnd::Retired,
        Err(AskError::ShutDown) => AskEnd::ShutDown,
        Err(AskError::Taken) => AskEnd::Lost,
        Ok(Err(_)) | Err(_) => AskEnd::Other,
    };
    match end {
        AskEnd::Expired => records.tally.count(Occurrence::ToldExpired),
        AskEnd::Cancelled => records.tally.count(Occurrence::ToldCancelled),
        AskEnd::ShutDown => records.tally.count(Occurrence::ToldShutDown),
        _ => {}
    }
    records.ask_ended(id, end);
}
