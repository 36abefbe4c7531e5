use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use raddle::core::Priority;
use raddle::prelude::*;
use raddle::runtime::{AskResult, Hedge, TaskBuilder, TimerHandle};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::actor::Faulty;
use crate::asks::Asked;
use crate::fate::{Fate, Kind, Mark, Way};
use crate::findings::Wrong;
use crate::keys::Key;
use crate::message::Message;
use crate::plan::SPECIAL;
use crate::planted;
use crate::records::{KEYS, Records};
use crate::sabotage::Sabotage;
use crate::tally::Deed;

/// A thread that gives tasks in every way there is.
pub struct Producer {
    records: Arc<Records>,
    number: usize,
    pool: Pool<Faulty>,
    handle: LocalPool<Faulty>,
    rng: Rng,
    strategies: Vec<Box<dyn Strategy>>,
    special: Option<Capability>,
    /// Tasks given so far of each of its keys.
    given: [u64; KEYS],
    asked: VecDeque<Asked>,
    timers: Vec<Timer>,
}

/// A timer that may still fire.
pub struct Timer {
    pub id: u64,
    pub handle: TimerHandle,
}

/// What is still to come when a producer has ended.
pub struct Leftovers {
    pub asked: VecDeque<Asked>,
    pub timers: Vec<Timer>,
}

/// What a task is given with.
struct Shape {
    fate: Fate,
    key: Option<Key>,
    deadline: Option<Duration>,
    priority: Option<Priority>,
    special: bool,
    strategy: Option<usize>,
}

/// Answers that a producer leaves open.
const OPEN_ASKS: usize = 64;
const OPEN_TIMERS: usize = 64;

/// Draws what a handler is to do: of 10,000 tasks 500 fail, 100 panic, 40 are slow and 1 hangs.
pub fn draw_kind(rng: &mut Rng, records: &Records) -> Kind {
    let saboteur = &records.saboteur;
    // A short run must have some hangs, for it to be seen that none was allowed.
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
    pub fn new(records: &Arc<Records>, number: usize, pool: &Pool<Faulty>) -> Self {
        Self {
            records: Arc::clone(records),
            number,
            pool: pool.clone(),
            handle: pool.local(),
            rng: Rng::with_seed(records.plan.seed ^ (number as u64 + 1) << 40),
            strategies: StrategyName::ALL.iter().map(|name| name.build()).collect(),
            special: Capability::intern(SPECIAL).ok(),
            given: [0; KEYS],
            asked: VecDeque::new(),
            timers: Vec::new(),
        }
    }

    /// Gives tasks until it is told to stop.
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

    fn count(&self, deed: Deed) {
        self.records.tally.count(deed);
    }

    fn step(&mut self) {
        let way = match self.rng.u32(..10_000) {
            0..2_500 => Way::Ask,
            2_500..3_000 => Way::Hedged,
            3_000..3_200 => Way::Timer,
            3_200..3_203 => Way::Distant,
            _ => Way::Tell,
        };
        if way.is_timer() {
            return self.set_timer(way);
        }
        let shape = self.draw_shape(way);
        let withdraws = way.asks() && shape.key.is_none() && self.chance(20);
        let fate = if withdraws { shape.fate.cancellable() } else { shape.fate };
        let mut message = Message::new(&self.records, fate, shape.key);
        message.hangs_long =
            message.kind == Kind::Hang && way == Way::Tell && self.takes_long_hang();
        if self.chance(200) {
            message.arm();
        }
        let id = message.id;
        // What comes out of giving a task is the task's end for its caller.
        let escapes = self.records.saboteur.strikes(Sabotage::Escape);
        let given = catch_unwind(AssertUnwindSafe(|| {
            if escapes {
                planted::blow_up("a caller");
            }
            self.give(way, &shape, withdraws, message)
        }));
        match given {
            Ok(Ok(Some(asked))) => self.treat(asked, withdraws),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => self.refused(id, error),
            Err(_) => {
                let records = &self.records;
                records.findings.report(Wrong::EscapedPanic, || records.describe(id));
            }
        }
        self.settle_some();
        self.pace();
    }

    fn takes_long_hang(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        self.records.long_hangs.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    fn draw_shape(&mut self, way: Way) -> Shape {
        let kind = draw_kind(&mut self.rng, &self.records);
        let mut shape = Shape {
            fate: Fate::new(kind, way, self.number),
            key: None,
            deadline: None,
            priority: None,
            special: self.chance(7),
            strategy: None,
        };
        if self.chance(25) {
            let expired = self.chance(3);
            self.count(if expired { Deed::Expired } else { Deed::Deadlined });
            let time = Duration::from_micros(self.rng.u64(100..50_000));
            shape.deadline = Some(if expired { Duration::ZERO } else { time });
            shape.fate = shape.fate.with_deadline();
        }
        if self.chance(4) {
            self.count(Deed::Keyed);
            shape.fate = shape.fate.keyed();
            let own = self.rng.usize(..KEYS);
            // A key is one of one capability: its tasks are in order among those alone.
            shape.special = own.is_multiple_of(4);
            self.given[own] += 1;
            let backwards = self.records.saboteur.strikes(Sabotage::Order);
            let number = if backwards { 0 } else { self.given[own] };
            shape.key = Some(Key { index: (self.number * KEYS + own) as u32, number });
        } else if self.chance(5) {
            let priorities = [Priority::Low, Priority::High, Priority::High, Priority::Control];
            let priority = priorities[self.rng.usize(..priorities.len())];
            let control = priority == Priority::Control;
            self.count(if control { Deed::Controlled } else { Deed::Prioritised });
            shape.priority = Some(priority);
        }
        if self.chance(20) {
            self.count(Deed::OwnStrategy);
            shape.strategy = Some(self.rng.usize(..self.strategies.len()));
        }
        if shape.special {
            self.count(Deed::Capable);
        }
        if shape.key.is_none() && self.chance(20_000) {
            shape.fate = shape.fate.misnamed();
        }
        shape
    }

    fn give(
        &mut self,
        way: Way,
        shape: &Shape,
        withdraws: bool,
        message: Message,
    ) -> Result<Option<Asked>, SendError<Message>> {
        let id = message.id;
        let (by_handle, delay) = (self.rng.bool(), Duration::from_micros(self.rng.u64(..2_000)));
        let quantile = self.chance(4);
        let mut task: TaskBuilder<'_, Faulty> =
            if by_handle { self.handle.task(message) } else { self.pool.task(message) };
        // Half of them have a size, and no two tasks in a row the same.
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
            task = task.strategy(&*self.strategies[strategy]);
        }
        if shape.fate.is_misnamed() || self.records.saboteur.strikes(Sabotage::Wrong) {
            task = task.capability("");
        }
        if withdraws {
            task = task.cancel_on_drop();
        }
        let asked: AskResult<Faulty> = match way {
            Way::Ask => {
                self.records.tally.count(Deed::Asked);
                task.ask()
            }
            Way::Hedged => {
                self.records.tally.count(Deed::Hedged);
                let after = Hedge::after(delay);
                task.ask_hedged(if quantile {
                    Hedge::at_quantile(0.9).unwrap_or(after)
                } else {
                    after
                })
            }
            _ => {
                self.records.tally.count(Deed::Told);
                task.tell()?;
                self.records.fates.mark(id, Mark::Given.bit());
                return Ok(None);
            }
        };
        let reply = asked?;
        self.records.fates.mark(id, Mark::Given.bit());
        Ok(Some(Asked::new(&self.records, id, reply)))
    }

    /// The message came back.
    fn refused(&mut self, id: u64, error: SendError<Message>) {
        let message = error.into_message();
        message.disarm();
        if message.id != id || message.copy != 0 {
            let describe = || format!("{id} came back as {}", message.id);
            self.records.findings.report(Wrong::Refusal, describe);
        }
        if !self.records.saboteur.strikes(Sabotage::Refusal) {
            self.records.mark_once(id, Mark::Returned.bit(), Wrong::Refusal);
        }
        drop(message);
        // As callers that are refused do; or they would be all that runs.
        thread::sleep(Duration::from_micros(self.rng.u64(..200)));
    }

    /// Does with a reply what comes to an asker's mind.
    fn treat(&mut self, asked: Asked, withdraws: bool) {
        if withdraws {
            self.count(Deed::Withdrew);
            // At once, or while it is run.
            let kept = if self.rng.bool() { Some(asked) } else { asked.poll() };
            if let Some(asked) = kept {
                asked.let_go();
            }
            return;
        }
        match self.rng.u32(..100) {
            0..4 => asked.wait(),
            4..8 => asked.block_on(),
            8..14 => {
                let time = Duration::from_micros(self.rng.u64(..2_000));
                let Some(asked) = asked.wait_timeout(time) else { return };
                if self.rng.bool() { asked.let_go() } else { self.asked.push_back(asked) }
            }
            14..20 => asked.let_go(),
            _ => self.asked.push_back(asked),
        }
    }

    /// Looks at what was asked, oldest first.
    fn settle_some(&mut self) {
        while self.asked.len() > OPEN_ASKS {
            let Some(asked) = self.asked.pop_front() else { return };
            if let Some(asked) = asked.poll() {
                asked.wait();
            }
        }
    }

    /// Leaves the processor to others now and then, where nothing makes it wait.
    fn pace(&mut self) {
        let waits = matches!(self.records.plan.overflow, Overflow::Block);
        if !waits && self.chance(32) {
            thread::sleep(Duration::from_micros(100));
        }
    }

    fn set_timer(&mut self, way: Way) {
        let kind = draw_kind(&mut self.rng, &self.records);
        let message = Message::new(&self.records, Fate::new(kind, way, self.number), None);
        if self.chance(50) {
            message.arm();
        }
        let id = message.id;
        let delay = match way {
            Way::Distant => Duration::from_secs(3600),
            _ => Duration::from_micros(self.rng.u64(..20_000)),
        };
        self.count(Deed::TimerSet);
        let task = self.pool.task(message);
        let set = catch_unwind(AssertUnwindSafe(|| task.tell_after(delay)));
        let Ok(handle) = set else {
            let records = &self.records;
            return records.findings.report(Wrong::EscapedPanic, || records.describe(id));
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

impl Timer {
    /// Cancels it if it has not fired.
    pub fn cancel(&self, records: &Records) {
        if self.handle.cancel() {
            records.tally.count(Deed::TimerCancelled);
            records.mark_once(self.id, Mark::CalledOff.bit(), Wrong::FiredAfterCancel);
        }
    }
}
