use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use raddle::TimerHandle;

use crate::fate::{Fate, Mark, Way};
use crate::findings::Wrong;
use crate::kind::Kind;
use crate::message::{Message, Pool};
use crate::records::Records;
use crate::shape::FOREVER;
use crate::tally::Occurrence;

/// The timers of a producer.
pub struct Timers {
    records: Arc<Records>,
    number: usize,
    pool: Pool,
    open: Vec<Timer>,
}

/// A timer that may still fire.
pub struct Timer {
    id: u64,
    handle: TimerHandle<Message>,
}

/// Timers that a producer leaves open.
const OPEN: usize = 64;

impl Timers {
    pub fn new(records: &Arc<Records>, number: usize, pool: &Pool) -> Self {
        let (records, pool) = (Arc::clone(records), pool.clone());
        Self { records, number, pool, open: Vec::new() }
    }

    pub fn into_open(self) -> Vec<Timer> {
        self.open
    }

    /// Sets a timer, and cancels some.
    pub fn set(&mut self, rng: &mut Rng) {
        let way = if rng.u8(..50) == 0 { Way::Distant } else { Way::Timer };
        let kind = Kind::draw(rng, &self.records.saboteur);
        let fate = Fate::new(kind, way, self.number).under(self.records.plan.overflow);
        let message = Message::new(&self.records, fate.later(kind.draw_later(rng)), None);
        if rng.u8(..50) == 0 {
            message.arm();
        }
        let id = message.id;
        let delay = match way {
            Way::Distant => FOREVER,
            _ => Duration::from_micros(rng.u64(..20_000)),
        };
        self.records.tally.count(Occurrence::TimerSet);
        let task = self.pool.task(message);
        let handle = match catch_unwind(AssertUnwindSafe(|| task.tell_after(delay))) {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => return error.into_message().returned(id),
            Err(_) => {
                let records = &self.records;
                return records.findings.report(Wrong::EscapedPanic, || records.describe(id));
            }
        };
        let timer = Timer { id, handle };
        if way == Way::Timer && rng.u8(..3) == 0 {
            timer.cancel(&self.records);
        } else {
            self.open.push(timer);
        }
        if self.open.len() > OPEN {
            self.open.retain(|timer| timer.handle.is_active());
            if self.open.len() > OPEN {
                self.open.swap_remove(0).cancel(&self.records);
            }
        }
    }
}

impl Timer {
    /// Cancels it if it has not fired.
    pub fn cancel(&self, records: &Records) {
        if self.handle.cancel() {
            records.tally.count(Occurrence::TimerCancelled);
            records.mark_once(self.id, Mark::Cancelled.bit(), Wrong::FiredAfterCancel);
        }
    }
}
