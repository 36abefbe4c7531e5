use std::sync::Arc;

use raddle::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::fate::{Mark, Step, Told};
use crate::fates::Fates;
use crate::findings::{Findings, Wrong};
use crate::hangs::Hangs;
use crate::keys::Keys;
use crate::message::Message;
use crate::plan::Plan;
use crate::planted;
use crate::sabotage::{Sabotage, Saboteur};
use crate::tally::{Deed, Tally};

/// What all threads of a round write down.
#[derive(Debug)]
pub struct Records {
    pub plan: Plan,
    pub fates: Fates,
    pub keys: Keys,
    pub hangs: Hangs,
    pub tally: Tally,
    pub findings: Findings,
    pub saboteur: Saboteur,
    /// Whether the pool has started: from then on its hooks may fail.
    pub started: AtomicBool,
    /// Whether the pool is being shut down.
    pub closing: AtomicBool,
    /// Handlers that may hang until the end of the round, still to come.
    pub long_hangs: AtomicU64,
    /// Actors that were to be made; the making of some panics.
    pub actors_begun: AtomicU64,
    pub actors_made: AtomicU64,
    pub actors_dropped: AtomicU64,
    /// Most threads that were lost at a time.
    pub most_lost: AtomicU64,
}

/// Keys of each producer.
pub const KEYS: usize = 32;
/// Threads that give tasks.
pub const PRODUCERS: usize = 8;

impl Records {
    pub fn new(plan: Plan, sabotage: Option<Sabotage>) -> Arc<Self> {
        // One slot is left for those that come back by themselves: a pool whose slots are all
        // taken for good would never take over another worker.
        let long_hangs = u64::from(plan.max_lost > 1);
        Arc::new(Self {
            plan,
            fates: Fates::new(),
            keys: Keys::new(KEYS * PRODUCERS),
            hangs: Hangs::default(),
            tally: Tally::new(),
            findings: Findings::default(),
            saboteur: Saboteur::new(sabotage),
            started: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            long_hangs: AtomicU64::new(long_hangs),
            actors_begun: AtomicU64::new(0),
            actors_made: AtomicU64::new(0),
            actors_dropped: AtomicU64::new(0),
            most_lost: AtomicU64::new(0),
        })
    }

    /// Marks a task; what is marked already is wrong in this way.
    pub fn mark_once(&self, id: u64, bits: u64, twice: Wrong) {
        if !self.fates.mark(id, bits) {
            self.findings.report(twice, || self.describe(id));
        }
    }

    pub fn describe(&self, id: u64) -> String {
        self.fates.get(id).describe(id)
    }

    /// What an asker was told.
    pub fn told(&self, id: u64, told: Told) {
        let told = match told {
            Told::Ok if self.saboteur.strikes(Sabotage::OtherAnswer) => Told::Failed,
            _ if self.saboteur.strikes(Sabotage::Answer) => return,
            told => told,
        };
        self.mark_once(id, told.bits(), Wrong::AnsweredTwice);
    }

    /// The pool tells of a task that it refuses.
    pub fn refused(&self, error: &SendError<Message>) {
        let message = match error {
            SendError::Closed(message)
            | SendError::Full(message)
            | SendError::NoWorker(message)
            | SendError::NoCapableWorker { msg: message, .. }
            | SendError::Capability { msg: message, .. } => message,
            other => {
                self.findings.report(Wrong::ImpossibleRefusal, || other.to_string());
                return;
            }
        };
        self.mark_once(message.id, Mark::Refused.bit(), Wrong::TwoEnds);
        if let Some(why) = self.cannot_be(error, message.id) {
            let describe = || format!("{why}; {}", self.describe(message.id));
            self.findings.report(Wrong::ImpossibleRefusal, describe);
        }
        self.tally.count(match error {
            SendError::Full(_) => Deed::RefusedFull,
            SendError::Closed(_) => Deed::RefusedClosed,
            SendError::Capability { .. } => Deed::Misnamed,
            _ => Deed::RefusedNoWorker,
        });
        if message.id % 1024 == 7 {
            self.tally.count(Deed::CallbackPanicked);
            planted::blow_up("on_rejected");
        }
    }

    /// Why a refusal is none that this pool may give.
    fn cannot_be(&self, error: &SendError<Message>, id: u64) -> Option<&'static str> {
        let plan = &self.plan;
        let waits = matches!(last(&plan.overflow), Overflow::Block);
        let drops = matches!(last(&plan.overflow), Overflow::DropOldest | Overflow::DropNewest);
        let by_timer = self.fates.get(id).way().is_timer();
        match error {
            SendError::Closed(_) if !self.closing.load(Relaxed) && !plan.closes => {
                Some("refused as closed by a pool that is not")
            }
            SendError::Full(_) if drops || (waits && !by_timer) => {
                Some("refused for lack of room by a pool that makes or awaits it")
            }
            SendError::NoWorker(_) if !plan.limits_restarts() => {
                Some("refused for lack of workers, of which the last cannot be retired")
            }
            SendError::Capability { .. } if !self.fates.get(id).is_misnamed() => {
                Some("refused for a capability's name that is right")
            }
            _ => None,
        }
    }

    /// The pool hands over a task that it sheds.
    pub fn shed(&self, message: Message, reason: raddle::runtime::ShedReason) {
        use raddle::runtime::ShedReason::{Newest, Oldest, Sojourn};
        self.mark_once(message.id, Step::Shed.bit(message.copy), Wrong::TwoEnds);
        match reason {
            Oldest => self.tally.count(Deed::ShedOldest),
            Newest => self.tally.count(Deed::ShedNewest),
            Sojourn => self.tally.count(Deed::ShedSojourn),
            _ => {}
        }
        if message.id % 1024 == 7 {
            self.tally.count(Deed::CallbackPanicked);
            planted::blow_up("on_shed");
        }
    }
}

/// The policy behind a reroute.
fn last(overflow: &Overflow) -> &Overflow {
    match overflow {
        Overflow::Reroute(behind) => last(behind),
        other => other,
    }
}
