use std::fmt;
use std::hint;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use raddle::{Actor, Context, Handler, StartError};
use raddle_core::internal::WorkerInternals;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::fate::Kind;
use crate::findings::Wrong;
use crate::message::{Answer, Message};
use crate::planted;
use crate::records::Records;
use crate::sabotage::Sabotage;
use crate::tally::Occurrence;

/// An actor that obeys its messages' faults, and sometimes fails in its hooks.
pub struct Faulty {
    records: Arc<Records>,
    rng: Rng,
    /// Whether a handler is at a checkpoint.
    at_checkpoint: bool,
}

/// What a handler returns.
pub type Reply = Result<Answer, Failure>;
/// A pool of [`Faulty`] actors.
pub type Pool = raddle::Pool<Message, Reply>;
/// An ask of such a pool.
pub type Ask = raddle::Ask<Message, Reply>;

/// The error of a handler that fails as planned, with the task's number.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure(pub u64);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} failed as planned", self.0)
    }
}

impl Faulty {
    /// Creates an actor. Panics as planned after the pool has started.
    pub fn new(records: &Arc<Records>) -> Self {
        let number = records.actors_begun.fetch_add(1, Relaxed);
        let mut rng = Rng::with_seed(records.plan.seed ^ number << 20);
        let fails = records.started.load(Relaxed) && records.plan.failing_restarts;
        if fails && rng.u8(..) == 0 {
            records.tally.count(Occurrence::FactoryPanicked);
            planted::blow_up("creating an actor");
        }
        records.actors_made.fetch_add(1, Relaxed);
        let actor = Self { records: Arc::clone(records), rng, at_checkpoint: false };
        if records.saboteur.strikes_once(Sabotage::Actor) {
            records.actors_made.fetch_add(1, Relaxed);
        }
        actor
    }

    fn chance(&mut self, of: u32) -> bool {
        self.rng.u32(..of) == 0
    }

    fn count(&self, occurrence: Occurrence) {
        self.records.tally.count(occurrence);
    }

    /// Shuts the pool down, if a handler must.
    fn close(&self, cx: &Context<'_, Self>) {
        let records = &self.records;
        if !records.handler_closes.load(Relaxed) || !records.handler_closes.swap(false, Relaxed) {
            return;
        }
        let Some(pool) = cx.pool::<Message>() else { return };
        let worker = cx.worker().name();
        records.closing.store(true, SeqCst);
        let ended = pool.shutdown(records.plan.drain());
        let is_right = matches!(
            &ended,
            Err(error) if error.called_within && error.workers.iter().any(|name| name == worker)
        );
        if !is_right {
            let describe = || format!("by a handler of {worker}: {ended:?}");
            records.findings.report(Wrong::Shutdown, describe);
        }
        self.count(Occurrence::DrainedByHandler);
        records.handler_closed.store(true, Relaxed);
    }

    /// Takes the time that the message demands.
    fn take_time(&mut self, message: &Message, cx: &mut Context<'_, Self>) {
        if message.fills && self.records.holding.load(Relaxed) {
            self.count(Occurrence::Held);
            self.records.hangs.hang(self.records.plan.hold());
        }
        match message.kind {
            Kind::Slow => {
                self.count(Occurrence::Slow);
                let time = Duration::from_micros(self.rng.u64(100..=2_000));
                // Mostly sleeps, as the machine has only a few cores.
                let spins = self.chance(8);
                for _ in 0..CHECKPOINTS {
                    let time = time / CHECKPOINTS;
                    if spins {
                        spin(time / 10)
                    } else {
                        thread::sleep(time)
                    }
                    let outer = std::mem::replace(&mut self.at_checkpoint, true);
                    cx.checkpoint(self);
                    self.at_checkpoint = outer;
                }
            }
            Kind::Hang => {
                let long = message.hangs_long;
                self.count(if long { Occurrence::HungLong } else { Occurrence::Hung });
                self.records.hangs.hang((!long).then(|| self.records.plan.hang()));
            }
            Kind::Ok | Kind::Fail | Kind::Panic => {}
        }
    }

    /// Runs the message, and checks order and exclusion of its key.
    fn run(&mut self, message: &Message, cx: &mut Context<'_, Self>) {
        let records = Arc::clone(&self.records);
        let Some(key) = message.key else { return self.take_time(message, cx) };
        let report = |wrong, other: Option<u64>, cx: &Context<'_, Self>| {
            // The pool does not wait for a handler that it has revoked. After the time limit of a
            // shutdown, revoked and cancelled handlers look alike, but no task starts then.
            if cx.is_cancelled() {
                records.tally.count(Occurrence::KeyRevoked);
                return;
            }
            let name = cx.worker().name();
            let id = message.id;
            records.findings.report(wrong, || {
                format!(
                    "key {} at worker {name}, next to {other:?}: {}",
                    key.index,
                    records.describe(id)
                )
            });
        };
        if let Some(later) = records.keys.enter(key, message.id) {
            report(Wrong::OutOfOrder, Some(later), cx);
        }
        if records.saboteur.strikes(Sabotage::Overlap) {
            let other = crate::keys::Key { number: key.number + 1, ..key };
            records.keys.enter(other, message.id + 1);
        }
        self.take_time(message, cx);
        if let Err(other) = records.keys.leave(key, message.id) {
            report(Wrong::Overlap, other, cx);
        }
    }

    /// Applies the sabotages that strike in a handler.
    fn sabotage(&self, cx: &Context<'_, Self>) {
        let saboteur = &self.records.saboteur;
        if saboteur.strikes(Sabotage::Unbalance) {
            cx.worker().withdraw();
        }
        if saboteur.strikes(Sabotage::Unweigh) {
            cx.worker().withdraw_work_of(1);
        }
        if saboteur.strikes(Sabotage::Panic) {
            panic!("not planned");
        }
    }
}

/// How often a slow handler lets others run.
const CHECKPOINTS: u32 = 4;

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        hint::spin_loop();
    }
}

impl Handler<Message> for Faulty {
    type Reply = Reply;

    fn handle(&mut self, message: Message, cx: &mut Context<'_, Self>) -> Reply {
        message.disarm();
        if self.at_checkpoint {
            self.count(Occurrence::RanAtCheckpoint);
        }
        message.run_at(cx.worker());
        self.close(cx);
        self.sabotage(cx);
        self.run(&message, cx);
        if message.kind == Kind::Hang && cx.is_cancelled() {
            self.count(Occurrence::Revoked);
        }
        if self.chance(5_000) {
            self.count(Occurrence::Stopped);
            cx.stop();
        }
        let (id, copy, kind) = (message.id, message.copy, message.kind);
        if self.records.saboteur.strikes(Sabotage::Leak) {
            std::mem::forget(Box::new([id; 64]));
        }
        if self.records.saboteur.strikes(Sabotage::Forget) {
            std::mem::forget(message);
        }
        match kind {
            Kind::Fail => {
                self.count(Occurrence::Failed);
                Err(Failure(id))
            }
            Kind::Panic => {
                self.count(Occurrence::Panicked);
                if self.chance(50) {
                    self.count(Occurrence::PayloadBlewUp);
                    planted::blow_up_twice();
                }
                planted::blow_up("a handler")
            }
            Kind::Ok | Kind::Slow | Kind::Hang => {
                let explosive = self.chance(500);
                Ok(Answer::new(&self.records, id, copy, explosive))
            }
        }
    }
}

impl Actor for Faulty {
    fn on_start(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.records.call_back(Occurrence::CalledFromHook, 10);
        if self.records.started.load(Relaxed) && self.chance(20) {
            self.count(Occurrence::StartFailed);
            return Err("planted: on_start".into());
        }
        Ok(())
    }

    fn on_restart(&mut self, _: &mut Context<'_, Self>) -> Result<(), StartError> {
        self.records.call_back(Occurrence::CalledFromHook, 100);
        let fails = self.records.plan.failing_restarts;
        match self.rng.u32(..1_000) {
            0..100 if fails => {
                self.count(Occurrence::RestartFailed);
                Err("planted: on_restart".into())
            }
            100..120 if fails => {
                self.count(Occurrence::RestartPanicked);
                planted::blow_up("on_restart")
            }
            120..122 => {
                self.count(Occurrence::RestartHung);
                self.records.hangs.hang(Some(self.records.plan.hang()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_panic(&mut self, _: &str, _: &mut Context<'_, Self>) {
        self.records.call_back(Occurrence::CalledFromHook, 100);
        if self.chance(100) {
            self.count(Occurrence::HookPanicked);
            planted::blow_up("on_panic");
        }
    }

    fn on_stop(&mut self, _: &mut Context<'_, Self>) {
        self.records.call_back(Occurrence::CalledFromHook, 10);
        if self.chance(20) {
            self.count(Occurrence::HookPanicked);
            planted::blow_up("on_stop");
        }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.records.actors_dropped.fetch_add(1, Relaxed);
        self.records.call_back(Occurrence::CalledFromDrop, 100);
        if !thread::panicking() && self.chance(50) {
            self.count(Occurrence::ActorBlewUp);
            planted::blow_up("dropping an actor");
        }
    }
}
