use std::sync::{Arc, Mutex, PoisonError};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use crate::fate::{AskEnd, Mark};
use crate::fates::Fates;
use crate::findings::{Findings, Wrong};
use crate::hangs::Hangs;
use crate::keys::Keys;
use crate::later::Later;
use crate::life::Suspicions;
use crate::mode::Mode;
use crate::plan::Plan;
use crate::reentry::Reentry;
use crate::sabotage::{Sabotage, Saboteur};
use crate::states::States;
use crate::tally::{Occurrence, Tally};

/// What all threads of a round record.
#[derive(Debug)]
pub struct Records {
    pub plan: Plan,
    pub fates: Fates,
    pub keys: Keys,
    pub states: States,
    /// Whether events may have been missed, and with them keys that moved without their state.
    pub events_missed: AtomicBool,
    pub suspicions: Suspicions,
    /// Tasks that handlers left to another pool, each with that of the other pool.
    pub passed_on: Mutex<Vec<(u64, u64)>>,
    pub later: Later,
    pub hangs: Hangs,
    pub tally: Tally,
    pub findings: Findings,
    pub saboteur: Saboteur,
    /// Whether the pool has started; only then may its hooks fail.
    pub started: AtomicBool,
    /// Whether the pool is being shut down.
    pub closing: AtomicBool,
    /// Whether producers fill the mailboxes, with tasks that hang.
    pub holding: AtomicBool,
    /// Whether the next handler must shut the pool down, and whether one has.
    pub handler_closes: AtomicBool,
    pub handler_closed: AtomicBool,
    pub reentry: Reentry,
    /// Number of handlers that may still be made to hang until the end of the round.
    pub long_hangs: AtomicU64,
    /// Attempts to create an actor, some of which panic.
    pub actors_begun: AtomicU64,
    pub actors_made: AtomicU64,
    pub actors_dropped: AtomicU64,
    /// The largest number of threads lost at the same time.
    pub peak_lost: AtomicU64,
}

/// Keys of each producer.
pub const KEYS: usize = 32;
/// Threads that submit tasks.
pub const PRODUCERS: usize = 8;
/// Stands for the handlers that forward tasks, among the producers.
pub const FORWARDED: usize = PRODUCERS + 2;

impl Records {
    pub fn new(plan: Plan, sabotage: Option<Sabotage>) -> Arc<Self> {
        // Leave room for a handler that recovers: a pool that has lost its maximum of threads until
        // the end would never replace another worker.
        // Nor may other handlers of the thread wait until then, whose askers wait.
        let alone = matches!(plan.mode, Mode::Plain | Mode::Async);
        let long_hangs = u64::from(plan.max_lost > 1 && alone);
        Arc::new(Self {
            plan,
            fates: Fates::new(),
            keys: Keys::new(KEYS * PRODUCERS),
            states: States::new(KEYS * PRODUCERS),
            events_missed: AtomicBool::new(false),
            suspicions: Suspicions::default(),
            passed_on: Mutex::default(),
            later: Later::default(),
            hangs: Hangs::default(),
            tally: Tally::new(),
            findings: Findings::default(),
            saboteur: Saboteur::new(sabotage),
            started: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            handler_closes: AtomicBool::new(false),
            handler_closed: AtomicBool::new(false),
            reentry: Reentry::default(),
            long_hangs: AtomicU64::new(long_hangs),
            actors_begun: AtomicU64::new(0),
            actors_made: AtomicU64::new(0),
            actors_dropped: AtomicU64::new(0),
            peak_lost: AtomicU64::new(0),
        })
    }

    /// Marks a task; reports `twice` if it is marked already.
    pub fn mark_once(&self, id: u64, bits: u64, twice: Wrong) {
        if !self.fates.mark(id, bits) {
            self.findings.report(twice, || self.describe(id));
        }
    }

    pub fn describe(&self, id: u64) -> String {
        self.fates.get(id).describe(id)
    }

    /// Returns `true` if the pool may be cancelling its tasks.
    pub fn may_cancel(&self) -> bool {
        self.plan.allowed().cancels && self.closing.load(SeqCst)
    }

    /// Records that another pool has accepted a task in place of this one.
    pub fn passed_on(&self, id: u64, other: u64) {
        self.passed_on.lock().unwrap_or_else(PoisonError::into_inner).push((id, other));
    }

    /// Records that the pool has accepted a task.
    pub fn admitted(&self, id: u64) {
        // SeqCst: the shutdown begins after that store.
        let early = if self.closing.load(SeqCst) { 0 } else { Mark::Early.bit() };
        self.fates.mark(id, Mark::Admitted.bit() | early);
    }

    /// Lets code that the pool calls use the pool, once in about `of` times.
    pub fn call_back(&self, from: Occurrence, of: u32) {
        if fastrand::u32(..of) == 0 && self.reentry.call() {
            self.tally.count(from);
        }
    }

    /// Records how an ask ended.
    pub fn ask_ended(&self, id: u64, end: AskEnd) {
        let end = match end {
            AskEnd::Ok if self.saboteur.strikes(Sabotage::OtherAnswer) => AskEnd::Failed,
            _ if self.saboteur.strikes(Sabotage::Answer) => return,
            end => end,
        };
        self.mark_once(id, end.bits(), Wrong::AnsweredTwice);
    }
}
