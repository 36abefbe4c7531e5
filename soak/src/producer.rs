use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use raddle::{Ask, Hedge, LocalPool, Overflow, Refusal, SendError};

use crate::asks::Asked;
use crate::broadcast;
use crate::findings::Wrong;
use crate::futures::{block_on, poll_once};
use crate::kind::Kind;
use crate::message::{Message, Pool, Reply};
use crate::planted;
use crate::records::Records;
use crate::sabotage::Sabotage;
use crate::script::Script;
use crate::shape::{Call, FOREVER, Shape, Shaper};
use crate::tally::Occurrence;
use crate::timers::{Timer, Timers};
use crate::unknown::Unknown;

/// A thread that submits tasks in every way.
pub struct Producer {
    records: Arc<Records>,
    number: usize,
    pool: Pool,
    handle: LocalPool<Message, Reply>,
    rng: Rng,
    script: Script,
    shaper: Shaper,
    asked: VecDeque<Asked>,
    timers: Timers,
}

/// Asks and timers that are open when a producer ends.
pub struct Leftovers {
    pub asked: VecDeque<Asked>,
    pub timers: Vec<Timer>,
}

/// A caller that was refused as closed after this time had waited for room.
const BLOCKED: Duration = Duration::from_millis(2);
/// Asks that a producer leaves open.
const OPEN_ASKS: usize = 64;

/// What is known of a task that was sent.
enum Sent {
    Told,
    Asked(Asked),
    Refused(SendError<Message>),
    /// Its caller has dropped what waited for room.
    Withdrawn,
}

impl Producer {
    pub fn new(records: &Arc<Records>, number: usize, pool: &Pool) -> Self {
        Self {
            records: Arc::clone(records),
            number,
            pool: pool.clone(),
            handle: pool.local(),
            rng: Rng::with_seed(records.plan.seed ^ (number as u64 + 1) << 40),
            script: Script::new(number),
            shaper: Shaper::new(records, number),
            asked: VecDeque::new(),
            timers: Timers::new(records, number, pool),
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
        Leftovers { asked: self.asked, timers: self.timers.into_open() }
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
        match self.rng.u32(..1_000) {
            0..25 => self.timers.set(&mut self.rng),
            25..30 => {
                let asked = broadcast::send(&self.records, self.number, &self.pool, &mut self.rng);
                self.asked.extend(asked);
            }
            _ => self.send_any(),
        }
        self.settle_some();
        self.pace();
    }

    /// Sends the next task of the script, or any other.
    fn send_any(&mut self) {
        let (call, kind, later) = match self.script.next(&self.records) {
            Some((call, kind, later)) => (call, kind, Some(later)),
            None => {
                (Call::draw(&mut self.rng), Kind::draw(&mut self.rng, &self.records.saboteur), None)
            }
        };
        let mut shape = self.shaper.draw(call, kind, &mut self.rng, &self.pool);
        if later == Some(true) {
            shape.fate = shape.fate.later(true).passed_on(false);
        }
        let mut message = Message::new(&self.records, shape.fate, shape.key);
        message.worker = shape.worker;
        message.hangs_long = kind == Kind::Hang && call == Call::Tell && self.takes_long_hang();
        if self.chance(200) {
            message.arm();
        }
        self.send(&shape, message);
    }

    /// Sends a task that waits for room while every worker hangs. Together, the producers send one
    /// of each kind.
    fn block(&mut self) {
        let [asks, keyed, for_time] = [1, 2, 4].map(|bit| self.number & bit != 0);
        let by_future = self.rng.bool();
        let call = match (asks, by_future) {
            (true, _) => Call::Ask,
            (false, false) => Call::Tell,
            (false, true) => Call::TellAsync,
        };
        let overflow = if for_time { Overflow::BlockFor(FOREVER) } else { Overflow::Block };
        let mut shape = self.shaper.plain(call, Kind::Ok, overflow);
        let has_deadline = self.number.count_ones() % 2 == 1;
        if has_deadline {
            shape.deadline = Some(FOREVER);
            shape.fate = shape.fate.with_deadline();
        }
        if keyed {
            self.shaper.set_key(&mut shape, &mut self.rng);
        }
        let mut message = Message::new(&self.records, shape.fate, shape.key);
        message.fills = true;
        let (is_open, since) = (!self.records.closing.load(Relaxed), Instant::now());
        let refusal = self.send(&shape, message);
        if is_open && refusal == Some(Refusal::Closed) && since.elapsed() >= BLOCKED {
            self.count(if asks { Occurrence::BlockedAsk } else { Occurrence::BlockedTell });
            let others = [
                (keyed, Occurrence::BlockedKeyed),
                (for_time, Occurrence::BlockedForTime),
                (has_deadline, Occurrence::BlockedDeadlined),
                (call == Call::TellAsync, Occurrence::BlockedFuture),
            ];
            others.iter().filter(|(is_so, _)| *is_so).for_each(|(_, what)| self.count(*what));
        }
    }

    /// Sends a task, and uses its ask or takes its message back. Returns why it was refused.
    fn send(&mut self, shape: &Shape, message: Message) -> Option<Refusal> {
        let (id, fills) = (message.id, message.fills);
        let escapes = self.records.saboteur.strikes(Sabotage::Escape);
        let submitted = catch_unwind(AssertUnwindSafe(|| {
            if escapes {
                planted::blow_up("a caller");
            }
            self.submit(shape, message)
        }));
        match submitted {
            // The caller would wait for a handler that hangs, and not for room.
            Ok(Sent::Asked(asked)) if fills => self.asked.push_back(asked),
            Ok(Sent::Asked(asked)) => self.use_ask(asked, shape.cancels),
            Ok(Sent::Told | Sent::Withdrawn) => {}
            Ok(Sent::Refused(error)) => return Some(self.refused(id, error)),
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

    fn submit(&mut self, shape: &Shape, message: Message) -> Sent {
        let (id, fills) = (message.id, message.fills);
        let delay = Duration::from_micros(self.rng.u64(..2_000));
        let (quantile, drops) = (self.rng.u8(..4) == 0, self.rng.bool());
        let records = &self.records;
        let task =
            if self.rng.bool() { self.handle.task(message) } else { self.pool.task(message) };
        let task = self.shaper.build(task, shape, id);
        match shape.call {
            Call::Tell => {
                records.tally.count(Occurrence::Sent);
                told(records, id, task.tell())
            }
            Call::TryTell => {
                records.tally.count(Occurrence::TriedTell);
                told(records, id, task.try_tell())
            }
            Call::TellAsync => {
                records.tally.count(Occurrence::ToldAsync);
                let unknown = Unknown::new(records, id);
                let end = match poll_once(records, task.tell_async()) {
                    Ok(end) => end,
                    // Its message is dropped, and some panic.
                    Err(tell) if drops && shape.key.is_none() && !fills => {
                        records.tally.count(Occurrence::TellDropped);
                        let _ = catch_unwind(AssertUnwindSafe(|| drop(tell)));
                        return Sent::Withdrawn;
                    }
                    Err(tell) => {
                        records.tally.count(Occurrence::TellAwaited);
                        block_on(records, tell)
                    }
                };
                unknown.forget();
                told(records, id, end)
            }
            Call::Ask => {
                records.tally.count(Occurrence::Asked);
                asked(records, id, task.ask())
            }
            Call::TryAsk => {
                records.tally.count(Occurrence::TriedAsk);
                asked(records, id, task.try_ask())
            }
            Call::AskOpen => {
                records.tally.count(Occurrence::AskedOpen);
                Sent::Asked(Asked::open(Unknown::new(records, id), id, task.ask()))
            }
            Call::AskWithin => {
                records.tally.count(Occurrence::AskedWithin);
                asked(records, id, task.ask_within(if drops { delay } else { 10 * delay }))
            }
            Call::Hedged => {
                records.tally.count(Occurrence::Hedged);
                let hedge = if quantile { Hedge::at_quantile(0.9) } else { Hedge::after(delay) };
                asked(records, id, task.ask_hedged(hedge))
            }
            Call::LateHedged => {
                records.tally.count(Occurrence::LateHedged);
                asked(records, id, task.ask_hedged(Hedge::after(FOREVER)))
            }
        }
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
            let time = Duration::from_micros(self.rng.u64(..4_000));
            let kept = if self.rng.bool() { Some(asked) } else { asked.wait_timeout(time) };
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
}

fn told(records: &Records, id: u64, result: Result<(), SendError<Message>>) -> Sent {
    match result {
        Ok(()) => {
            records.admitted(id);
            Sent::Told
        }
        Err(error) => Sent::Refused(error),
    }
}

/// Waits for room.
fn asked(records: &Arc<Records>, id: u64, ask: Ask<Message, Reply>) -> Sent {
    match ask.into_admitted() {
        Ok(ask) => {
            records.admitted(id);
            Sent::Asked(Asked::new(records, id, ask))
        }
        Err(error) => Sent::Refused(error),
    }
}
