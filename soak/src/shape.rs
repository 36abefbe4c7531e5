//! How a task is sent, and its options.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use raddle::strategies::{Strategy, StrategyName};
use raddle::{Capability, Overflow, Priority, TaskBuilder, WorkerId};

use crate::fate::{Fate, Way};
use crate::keys::Key;
use crate::kind::Kind;
use crate::message::{Message, Pool, Reply};
use crate::plan::{SPECIAL, is_special};
use crate::records::{KEYS, Records};
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// How a caller sends a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Tell,
    TryTell,
    TellAsync,
    Ask,
    TryAsk,
    /// Without waiting for room first.
    AskOpen,
    AskWithin,
    Hedged,
    LateHedged,
}

impl Call {
    /// Draws one of those that `draw_shape` gives options.
    pub fn draw(rng: &mut Rng) -> Self {
        match rng.u32(..100) {
            0..15 => Self::Ask,
            15..18 => Self::TryAsk,
            18..23 => Self::AskOpen,
            23..26 => Self::AskWithin,
            26..29 => Self::Hedged,
            29..31 => Self::LateHedged,
            31..36 => Self::TryTell,
            36..48 => Self::TellAsync,
            _ => Self::Tell,
        }
    }

    pub fn way(self) -> Way {
        match self {
            Self::Tell | Self::TryTell | Self::TellAsync => Way::Tell,
            Self::Ask | Self::TryAsk | Self::AskOpen | Self::AskWithin => Way::Ask,
            Self::Hedged => Way::Hedged,
            Self::LateHedged => Way::LateHedged,
        }
    }

    /// Returns what happens if there is no room.
    fn overflow(self, overflow: Overflow) -> Overflow {
        match self {
            Self::TryTell | Self::TryAsk => match overflow {
                Overflow::Block | Overflow::BlockFor(_) => Overflow::Reject,
                other => other,
            },
            _ => overflow,
        }
    }
}

/// The options of a task.
pub struct Shape {
    pub call: Call,
    pub fate: Fate,
    pub key: Option<Key>,
    pub deadline: Option<Duration>,
    pub priority: Option<Priority>,
    special: bool,
    strategy: Option<usize>,
    pub worker: Option<WorkerId>,
    pub overflow: Option<Overflow>,
    pub cancels: bool,
}

/// Longer than any run.
pub const FOREVER: Duration = Duration::from_secs(3600);
/// Policies of a task of its own; those that wait come first.
const OVERFLOWS: [Overflow; 6] = [
    Overflow::Block,
    Overflow::BlockFor(Duration::from_millis(1)),
    Overflow::BlockFor(FOREVER),
    Overflow::Reject,
    Overflow::DropOldest,
    Overflow::DropNewest,
];
/// After how many tasks a caller looks which workers there are. Some have left by then.
const LOOKS: u64 = 64;

/// Draws the options of the tasks of a producer.
pub struct Shaper {
    records: Arc<Records>,
    number: usize,
    strategies: Vec<Arc<dyn Strategy>>,
    special: Option<Capability>,
    workers: Vec<WorkerId>,
    drawn: u64,
    /// Number of tasks submitted with each of its keys.
    submitted: [u64; KEYS],
}

impl Shaper {
    pub fn new(records: &Arc<Records>, number: usize) -> Self {
        Self {
            records: Arc::clone(records),
            number,
            strategies: StrategyName::ALL.iter().map(|name| name.build().into()).collect(),
            special: Capability::intern(SPECIAL).ok(),
            workers: Vec::new(),
            drawn: 0,
            submitted: [0; KEYS],
        }
    }

    fn count(&self, occurrence: Occurrence) {
        self.records.tally.count(occurrence);
    }

    /// A task of this kind without further options, sent under this policy.
    pub fn plain(&self, call: Call, kind: Kind, overflow: Overflow) -> Shape {
        let fate = Fate::new(kind, call.way(), self.number).under(call.overflow(overflow));
        Shape {
            call,
            fate,
            key: None,
            deadline: None,
            priority: None,
            special: false,
            strategy: None,
            worker: None,
            overflow: Some(overflow),
            cancels: false,
        }
    }

    /// Draws the options of a task.
    pub fn draw(&mut self, call: Call, kind: Kind, rng: &mut Rng, pool: &Pool) -> Shape {
        let one_of = |rng: &mut Rng, of: u32| rng.u32(..of) == 0;
        // The time of an ask ends a wait for room.
        let (of, count) = if call == Call::AskWithin { (2, 3) } else { (10, OVERFLOWS.len()) };
        let own = one_of(rng, of).then(|| OVERFLOWS[rng.usize(..count)]);
        let mut shape = self.plain(call, kind, own.unwrap_or(self.records.plan.overflow));
        shape.overflow = own;
        if own.is_some() {
            self.count(Occurrence::OwnOverflow);
        }
        shape.fate = shape.fate.later(kind.draw_later(rng)).passed_on(one_of(rng, 50));
        shape.special = one_of(rng, 7);
        if one_of(rng, 25) {
            let expired = one_of(rng, 3);
            self.count(if expired { Occurrence::Expired } else { Occurrence::Deadlined });
            let time = Duration::from_micros(rng.u64(100..50_000));
            shape.deadline = Some(if expired { Duration::ZERO } else { time });
            shape.fate = shape.fate.with_deadline();
        }
        if call == Call::AskWithin {
            shape.fate = shape.fate.within_time();
        }
        let is_hedged = call.way().is_hedged();
        // A task with a key is neither hedged nor has it a strategy, a worker or a priority of its own. One
        // that waits for room may be sent again, after later ones.
        if !is_hedged && call != Call::AskOpen && one_of(rng, 4) {
            self.set_key(&mut shape, rng);
        } else if !is_hedged && one_of(rng, 20) {
            self.set_worker(&mut shape, rng, pool);
        } else {
            if one_of(rng, 5) {
                self.set_priority(&mut shape, rng);
            }
            if one_of(rng, 20) {
                self.count(Occurrence::OwnStrategy);
                shape.strategy = Some(rng.usize(..self.strategies.len()));
            }
        }
        if shape.special {
            self.count(Occurrence::Capable);
        }
        if shape.key.is_none() && one_of(rng, 1_000) {
            shape.fate = shape.fate.misnamed();
        }
        if call.way().asks() && shape.key.is_none() && one_of(rng, 20) {
            shape.cancels = true;
            // To be cancelled while its handler waits.
            shape.fate = shape.fate.cancellable().later(rng.bool());
        }
        shape
    }

    pub fn set_key(&mut self, shape: &mut Shape, rng: &mut Rng) {
        self.count(Occurrence::Keyed);
        shape.fate = shape.fate.keyed();
        let own = rng.usize(..KEYS);
        let index = (self.number * KEYS + own) as u32;
        // Tasks of a key are only in order within one capability, so each key has one.
        shape.special = is_special(index);
        self.submitted[own] += 1;
        let backwards = self.records.saboteur.strikes(Sabotage::Order);
        let number = if backwards { 0 } else { self.submitted[own] };
        shape.key = Some(Key { index, number });
    }

    fn set_worker(&mut self, shape: &mut Shape, rng: &mut Rng, pool: &Pool) {
        if self.drawn.is_multiple_of(LOOKS) {
            let workers = pool.stats().balancer.workers;
            self.workers = workers.iter().map(|worker| worker.id).collect();
        }
        self.drawn += 1;
        if let Some(worker) = rng.choice(&self.workers) {
            self.count(Occurrence::ForWorker);
            shape.worker = Some(*worker);
            shape.fate = shape.fate.for_worker();
            if rng.bool() {
                shape.priority = Some(Priority::Control);
            }
        }
    }

    fn set_priority(&self, shape: &mut Shape, rng: &mut Rng) {
        let priorities = [Priority::Low, Priority::High, Priority::High, Priority::Control];
        // A control message is not hedged.
        let count = priorities.len() - usize::from(shape.call.way().is_hedged());
        let priority = priorities[rng.usize(..count)];
        let control = priority == Priority::Control;
        self.count(if control { Occurrence::Controlled } else { Occurrence::Prioritised });
        shape.priority = Some(priority);
    }

    /// Gives a task the options.
    pub fn build<'p>(
        &'p self,
        mut task: TaskBuilder<'p, Message, Reply>,
        shape: &Shape,
        id: u64,
    ) -> TaskBuilder<'p, Message, Reply> {
        // Half of the tasks have an expected duration, and successive ones differ.
        if id.is_multiple_of(2) {
            task = task.expected_duration(Duration::from_micros(1 + id % 1_000));
        }
        if let Some(key) = shape.key {
            task = task.key(key.index);
        }
        if let Some(deadline) = shape.deadline {
            task = task.timeout(deadline);
        }
        if let Some(priority) = shape.priority {
            task = task.priority(priority);
        }
        if let Some(special) = self.special.filter(|_| shape.special) {
            task = task.capability(special);
        }
        if let Some(strategy) = shape.strategy {
            let strategy = &self.strategies[strategy];
            task = match shape.call {
                Call::Hedged | Call::LateHedged => task.shared_strategy(Arc::clone(strategy)),
                _ => task.strategy(&**strategy),
            };
        }
        if let Some(worker) = shape.worker {
            // Another one would be wrong.
            let is_other = self.records.saboteur.is(Sabotage::Worker);
            let other = self.workers.iter().find(|other| is_other && **other != worker);
            task = task.worker(*other.unwrap_or(&worker));
        }
        if let Some(overflow) = shape.overflow {
            task = task.overflow(overflow);
        }
        if shape.fate.is_misnamed() || self.records.saboteur.strikes(Sabotage::Wrong) {
            task = task.capability("");
        }
        if shape.cancels {
            task = task.cancel_on_drop();
        }
        task
    }
}
