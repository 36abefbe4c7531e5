use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use raddle::strategies::{Strategy, StrategyName};
use raddle::{
    Capability, Hedge, LocalPool, Overflow, Priority, Refusal, SendError, TaskBuilder, TimerHandle,
};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::actor::{Pool, Reply};
use crate::asks::Asked;
use crate::fate::{Fate, Kind, Mark, Way};
use crate::findings::Wrong;
use crate::keys::Key;
use crate::message::Message;
use crate::plan::SPECIAL;
use crate::planted;
use crate::records::{KEYS, Records};
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// A thread that submits tasks in every way.
pub struct Producer {
    records: Arc<Records>,
    number: usize,
    pool: Pool,
    handle: LocalPool<Message, Reply>,
    rng: Rng,
    strategies: Vec<Arc<dyn Strategy>>,
    special: Option<Capability>,
    /// Number of tasks submitted with each of its keys.
    submitted: [u64; KEYS],
    asked: VecDeque<Asked>,
    timers: Vec<Timer>,
}

/// A timer that may still fire.
pub struct Timer {
    pub id: u64,
    pub handle: TimerHandle<Message>,
}

/// Asks and timers that are open when a producer ends.
pub struct Leftovers {
    pub asked: VecDeque<Asked>,
    pub timers: Vec<Timer>,
}

/// The options of a task.
struct Shape {
    fate: Fate,
    key: Option<Key>,
    deadline: Option<Duration>,
    priority: Option<Priority>,
    special: bool,
    strategy: Option<usize>,
    overflow: Option<Overflow>,
}

/// Longer than any run.
const FOREVER: Duration = Duration::from_secs(3600);
/// A caller that was refused as closed after this time had waited for room.
const BLOCKED: Duration = Duration::from_millis(2);
/// Policies of a task of its own.
const OVERFLOWS: [Overflow; 6] = [
    Overflow::Block,
    Overflow::BlockFor(Duration::from_millis(1)),
    Overflow::BlockFor(FOREVER),
    Overflow::Reject,
    Overflow::DropOldest,
    Overflow::DropNewest,
];

/// Asks that a producer leaves open.
const OPEN_ASKS: usize = 64;
/// Timers that a producer leaves open.
const OPEN_TIMERS: usize = 64;

/// Draws how a handler behaves: of 10,000 tasks, 500 fail, 100 panic, 40 are slow and 1 hangs.
pub fn draw_kind(rng: &mut Rng, records: &Records) -> Kind {
    let saboteur = &records.saboteur;
    // A short run needs more hangs to exceed a bound of none.
    let hangs = if saboteur.is(Sabotage::Bound) { 50 } else { 1 };
    let hangs = if saboteur.is(Sabotage::Absent) { 0 } else { hangs };
    match rng.u32(..10_000) {
        number if number < hangs => Kind::Hang,
        100..200 => Kind::Panic,
        200..700 => Kind::Fail,
        700..740 => Kind::Slow,
        _ => Kind::Ok,
    }
}

impl Producer {
    pub fn new(records: &Arc<Records>, number: usize, pool: &Pool) -> Self {
        Self {
            records: Arc::clone(records),
            number,
            pool: pool.clone(),
            handle: pool.local(),
            rng: Rng::with_seed(records.plan.seed ^ (number as u64 + 1) << 40),
            strategies: StrategyName::ALL.iter().map(|name| name.build().into()).collect(),
            special: Capability::intern(SPECIAL).ok(),
            submitted: [0; KEYS],
            asked: VecDeque::new(),
            timers: Vec::new(),
        }
    }

    /// Submits tasks until `stop` is set.
    pub fn run(mut self, stop: &AtomicBool) -> Leftovers {
        while !stop.load(Relaxed) {
            if self.records.saboteur.strikes_once(Sabotage::Stuck) {
                loop {
                    thread::park();
                }
            }
            self.step();
        }
        Leftovers { asked: self.asked, timers: self.timers }
    }

    fn chance(&mut self, of: u32) -> bool {
        self.rng.u32(..of) == 0
    }

    fn count(&self, occurrence: Occurrence) {
        self.records.tally.count(occurrence);
    }

    fn step(&mut self) {
        if self.records.holding.load(Relaxed) {
            return self.block();
        }
        let way = match self.rng.u32(..10_000) {
            0..2_500 => Way::Ask,
            2_500..2_800 => Way::Hedged,
            2_800..3_000 => Way::LateHedged,
            3_000..3_200 => Way::Timer,
            3_200..3_203 => Way::Distant,
            _ => Way::Tell,
        };
        if way.is_timer() {
            return self.set_timer(way);
        }
        let shape = self.draw_shape(way);
        let cancels = way.asks() && shape.key.is_none() && self.chance(20);
        let fate = if cancels { shape.fate.cancellable() } else { shape.fate };
        let mut message = Message::new(&self.records, fate, shape.key);
        message.hangs_long =
            message.kind == Kind::Hang && way == Way::Tell && self.takes_long_hang();
        if self.chance(200) {
            message.arm();
        }
        self.send(way, &shape, cancels, message);
        self.settle_some();
        self.pace();
    }

    /// Sends a task that waits for room while every worker hangs. Together, the producers send one
    /// of each kind.
    fn block(&mut self) {
        let [asks, keyed, for_time] = [1, 2, 4].map(|bit| self.number & bit != 0);
        let has_deadline = self.number.count_ones() % 2 == 1;
        let way = if asks { Way::Ask } else { Way::Tell };
        let overflow = if for_time { Overflow::BlockFor(FOREVER) } else { Overflow::Block };
        let mut shape = Shape::new(Fate::new(Kind::Ok, way, self.number).under(overflow));
        shape.overflow = Some(overflow);
        if has_deadline {
            shape.deadline = Some(FOREVER);
            shape.fate = shape.fate.with_deadline();
        }
        if keyed {
            self.set_key(&mut shape);
        }
        let mut message = Message::new(&self.records, shape.fate, shape.key);
        message.fills = true;
        let (is_open, since) = (!self.records.closing.load(Relaxed), Instant::now());
        let refusal = self.send(way, &shape, false, message);
        if is_open && refusal == Some(Refusal::Closed) && since.elapsed() >= BLOCKED {
            self.count(if asks { Occurrence::BlockedAsk } else { Occurrence::BlockedTell });
            let others = [
                (keyed, Occurrence::BlockedKeyed),
                (for_time, Occurrence::BlockedForTime),
                (has_deadline, Occurrence::BlockedDeadlined),
            ];
            others.iter().filter(|(is_so, _)| *is_so).for_each(|(_, what)| self.count(*what));
        }
    }

    /// Sends a task, and uses its ask or takes its message back. Returns why it was refused.
    fn send(
        &mut self,
        way: Way,
        shape: &Shape,
        cancels: bool,
        message: Message,
    ) -> Option<Refusal> {
        let (id, fills) = (message.id, message.fills);
        let escapes = self.records.saboteur.strikes(Sabotage::Escape);
        let submitted = catch_unwind(AssertUnwindSafe(|| {
            if escapes {
                planted::blow_up("a caller");
            }
            self.submit(way, shape, cancels, message)
        }));
        match submitted {
            // The caller would wait for a handler that hangs, and not for room.
            Ok(Ok(Some(asked))) if fills => self.asked.push_back(asked),
            Ok(Ok(Some(asked))) => self.use_ask(asked, cancels),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => return Some(self.refused(id, error)),
            Err(_) => {
                let records = &self.records;
                records.findings.report(Wrong::EscapedPanic, || records.describe(id));
            }
        }
        None
    }

    fn takes_long_hang(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        self.records.long_hangs.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    fn draw_shape(&mut self, way: Way) -> Shape {
        let kind = draw_kind(&mut self.rng, &self.records);
        let own = self.chance(10).then(|| OVERFLOWS[self.rng.usize(..OVERFLOWS.len())]);
        let overflow = own.unwrap_or(self.records.plan.overflow);
        let mut shape = Shape::new(Fate::new(kind, way, self.number).under(overflow));
        shape.overflow = own;
        shape.special = self.chance(7);
        if own.is_some() {
            self.count(Occurrence::OwnOverflow);
        }
        if self.chance(25) {
            let expired = self.chance(3);
            self.count(if expired { Occurrence::Expired } else { Occurrence::Deadlined });
            let time = Duration::from_micros(self.rng.u64(100..50_000));
            shape.deadline = Some(if expired { Duration::ZERO } else { time });
            shape.fate = shape.fate.with_deadline();
        }
        // A task with a key is neither hedged nor has it a strategy or a priority of its own.
        if !way.is_hedged() && self.chance(4) {
            self.set_key(&mut shape);
        } else if self.chance(5) {
            let priorities = [Priority::Low, Priority::High, Priority::High, Priority::Control];
            // A control message is not hedged.
            let count = priorities.len() - usize::from(way.is_hedged());
            let priority = priorities[self.rng.usize(..count)];
            let control = priority == Priority::Control;
            self.count(if control { Occurrence::Controlled } else { Occurrence::Prioritised });
            shape.priority = Some(priority);
        }
        if shape.key.is_none() && self.chance(20) {
            self.count(Occurrence::OwnStrategy);
            shape.strategy = Some(self.rng.usize(..self.strategies.len()));
        }
        if shape.special {
            self.count(Occurrence::Capable);
        }
        if shape.key.is_none() && self.chance(20_000) {
            shape.fate = shape.fate.misnamed();
        }
        shape
    }

    fn set_key(&mut self, shape: &mut Shape) {
        self.count(Occurrence::Keyed);
        shape.fate = shape.fate.keyed();
        let own = self.rng.usize(..KEYS);
        // Tasks of a key are only in order within one capability, so each key has one.
        shape.special = own.is_multiple_of(4);
        self.submitted[own] += 1;
        let backwards = self.records.saboteur.strikes(Sabotage::Order);
        let number = if backwards { 0 } else { self.submitted[own] };
        shape.key = Some(Key { index: (self.number * KEYS + own) as u32, number });
    }

    fn submit(
        &mut self,
        way: Way,
        shape: &Shape,
        cancels: bool,
        message: Message,
    ) -> Result<Option<Asked>, SendError<Message>> {
        let id = message.id;
        let (by_handle, delay) = (self.rng.bool(), Duration::from_micros(self.rng.u64(..2_000)));
        let quantile = self.chance(4);
        let mut task: TaskBuilder<'_, Message, Reply> =
            if by_handle { self.handle.task(message) } else { self.pool.task(message) };
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
            task = match way {
                Way::Hedged | Way::LateHedged => task.shared_strategy(Arc::clone(strategy)),
                _ => task.strategy(&**strategy),
            };
        }
        if let Some(overflow) = shape.overflow {
            task = task.overflow(overflow);
        }
        if shape.fate.is_misnamed() || self.records.saboteur.strikes(Sabotage::Wrong) {
            task = task.capability("");
        }
        if cancels {
            task = task.cancel_on_drop();
        }
        let ask = match way {
            Way::Ask => {
                self.records.tally.count(Occurrence::Asked);
                task.ask()
            }
            Way::Hedged => {
                self.records.tally.count(Occurrence::Hedged);
                task.ask_hedged(if quantile {
                    Hedge::at_quantile(0.9)
                } else {
                    Hedge::after(delay)
                })
            }
            Way::LateHedged => {
                self.records.tally.count(Occurrence::LateHedged);
                task.ask_hedged(Hedge::after(FOREVER))
            }
            _ => {
                self.records.tally.count(Occurrence::Sent);
                task.tell()?;
                self.records.admitted(id);
                return Ok(None);
            }
        };
        let ask = ask.into_admitted()?;
        self.records.admitted(id);
        Ok(Some(Asked::new(&self.records, id, ask)))
    }

    /// Takes the message of a refused task back. Returns why it was refused.
    fn refused(&mut self, id: u64, error: SendError<Message>) -> Refusal {
        let refusal = error.refusal().clone();
        error.into_message().returned(id);
        // Callers back off after a refusal, or they would occupy every core.
        thread::sleep(Duration::from_micros(self.rng.u64(..200)));
        refusal
    }

    /// Waits for an ask, polls it, abandons it or keeps it, at random.
    fn use_ask(&mut self, asked: Asked, cancels: bool) {
        if cancels {
            self.count(Occurrence::CancelledByDrop);
            // Immediately, or while the task runs.
            let kept = if self.rng.bool() { Some(asked) } else { asked.poll() };
            match kept {
                Some(asked) if self.rng.bool() => asked.drop_future(),
                Some(asked) => asked.abandon(),
                None => {}
            }
            return;
        }
        match self.rng.u32(..100) {
            0..4 => asked.wait(),
            4..8 => asked.block_on(),
            8..14 => {
                let time = Duration::from_micros(self.rng.u64(..2_000));
                let Some(asked) = asked.wait_timeout(time) else { return };
                if self.rng.bool() { asked.abandon() } else { self.asked.push_back(asked) }
            }
            14..18 => asked.abandon(),
            18..20 => asked.drop_future(),
            _ => self.asked.push_back(asked),
        }
    }

    /// Settles the oldest asks, beyond those left open.
    fn settle_some(&mut self) {
        while self.asked.len() > OPEN_ASKS {
            let Some(asked) = self.asked.pop_front() else { return };
            if let Some(asked) = asked.poll() {
                asked.wait();
            }
        }
    }

    /// Sometimes sleeps, if the overflow policy never makes it wait.
    fn pace(&mut self) {
        let waits = matches!(self.records.plan.overflow, Overflow::Block);
        if !waits && self.chance(32) {
            thread::sleep(Duration::from_micros(100));
        }
    }

    fn set_timer(&mut self, way: Way) {
        let kind = draw_kind(&mut self.rng, &self.records);
        let fate = Fate::new(kind, way, self.number).under(self.records.plan.overflow);
        let message = Message::new(&self.records, fate, None);
        if self.chance(50) {
            message.arm();
        }
        let id = message.id;
        let delay = match way {
            Way::Distant => Duration::from_secs(3600),
            _ => Duration::from_micros(self.rng.u64(..20_000)),
        };
        self.count(Occurrence::TimerSet);
        let task = self.pool.task(message);
        let set = catch_unwind(AssertUnwindSafe(|| task.tell_after(delay)));
        let handle = match set {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => return drop(self.refused(id, error)),
            Err(_) => {
                let records = &self.records;
                return records.findings.report(Wrong::EscapedPanic, || records.describe(id));
            }
        };
        let timer = Timer { id, handle };
        if way == Way::Timer && self.chance(3) {
            timer.cancel(&self.records);
        } else {
            self.timers.push(timer);
        }
        if self.timers.len() > OPEN_TIMERS {
            self.timers.retain(|timer| timer.handle.is_active());
            if self.timers.len() > OPEN_TIMERS {
                self.timers.swap_remove(0).cancel(&self.records);
            }
        }
    }
}

impl Shape {
    /// A task without further options.
    fn new(fate: Fate) -> Self {
        Self {
            fate,
            key: None,
            deadline: None,
            priority: None,
            special: false,
            strategy: None,
            overflow: None,
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
