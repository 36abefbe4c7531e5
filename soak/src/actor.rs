use raddle::core::internal::WorkerInternals;
use std::fmt;
use std::hint;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use raddle::prelude::*;
use raddle::runtime::StartError;
use std::sync::atomic::Ordering::Relaxed;

use crate::fate::Kind;
use crate::findings::Wrong;
use crate::message::{Answer, Message};
use crate::planted;
use crate::records::Records;
use crate::sabotage::Sabotage;
use crate::tally::Deed;

/// Does to its worker what its messages say, and fails in its hooks now and then.
pub struct Faulty {
    records: Arc<Records>,
    rng: Rng,
}

/// What a handler says that fails.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure(pub u64);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} was to fail", self.0)
    }
}

impl Faulty {
    /// Another one.
    pub fn new(records: &Arc<Records>) -> Self {
        let own = records.actors_begun.fetch_add(1, Relaxed);
        let mut rng = Rng::with_seed(records.plan.seed ^ own << 20);
        let fails = records.started.load(Relaxed) && records.plan.failing_restarts;
        if fails && rng.u8(..) == 0 {
            records.tally.count(Deed::FactoryPanicked);
            planted::blow_up("the making of an actor");
        }
        records.actors_made.fetch_add(1, Relaxed);
        let actor = Self { records: Arc::clone(records), rng };
        if records.saboteur.strikes_once(Sabotage::Actor) {
            records.actors_made.fetch_add(1, Relaxed);
        }
        actor
    }

    fn chance(&mut self, of: u32) -> bool {
        self.rng.u32(..of) == 0
    }

    fn count(&self, deed: Deed) {
        self.records.tally.count(deed);
    }

    /// Takes the time that the message says.
    fn take_time(&mut self, message: &Message) {
        match message.kind {
            Kind::Slow => {
                self.count(Deed::Slow);
                let time = Duration::from_micros(self.rng.u64(100..=2_000));
                // Mostly asleep: the machine has others to serve.
                if self.chance(8) { spin(time / 10) } else { thread::sleep(time) }
            }
            Kind::Hang => {
                let long = message.hangs_long;
                self.count(if long { Deed::HungLong } else { Deed::Hung });
                self.records.hangs.hang((!long).then(|| self.records.plan.hang()));
            }
            Kind::Ok | Kind::Fail | Kind::Panic => {}
        }
    }

    /// Runs the message where its key is watched.
    fn run(&mut self, message: &Message, cx: &Context<'_>) {
        let records = Arc::clone(&self.records);
        let Some(key) = message.key else { return self.take_time(message) };
        let report = |wrong, other: Option<u64>| {
            // The pool does not wait for a handler that it has given up. At a shutdown that is out
            // of time that one cannot be told from one that is only no longer wanted; no task is
            // begun then.
            if cx.is_cancelled() {
                records.tally.count(Deed::KeyGivenUp);
                return;
            }
            let name = cx.worker().name();
            let id = message.id;
            records.findings.report(wrong, || {
                format!(
                    "key {} at worker {name}, beside {other:?}: {}",
                    key.index,
                    records.describe(id)
                )
            });
        };
        if let Some(later) = records.keys.enter(key, message.id) {
            report(Wrong::OutOfOrder, Some(later));
        }
        if records.saboteur.strikes(Sabotage::Overlap) {
            let other = crate::keys::Key { number: key.number + 1, ..key };
            records.keys.enter(other, message.id + 1);
        }
        self.take_time(message);
        if let Err(other) = records.keys.leave(key, message.id) {
            report(Wrong::Overlap, other);
        }
    }

    /// Breaks what the sabotage is to break in a handler.
    fn sabotage(&self, cx: &Context<'_>) {
        let saboteur = &self.records.saboteur;
        if saboteur.strikes(Sabotage::Unbalance) {
            cx.worker().withdraw();
        }
        if saboteur.strikes(Sabotage::Unweigh) {
            cx.worker().withdraw_work_of(1);
        }
        if saboteur.strikes(Sabotage::Panic) {
            panic!("without a plan");
        }
    }
}

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        hint::spin_loop();
    }
}

impl Actor for Faulty {
    type Msg = Message;
    type Reply = Answer;
    type Error = Failure;

    fn handle(&mut self, message: Message, cx: &mut Context<'_>) -> Result<Answer, Failure> {
        message.disarm();
        message.run_at(cx.worker());
        self.sabotage(cx);
        self.run(&message, cx);
        if message.kind == Kind::Hang && cx.is_cancelled() {
            self.count(Deed::GivenUp);
        }
        if self.chance(5_000) {
            self.count(Deed::Stopped);
            cx.stop();
        }
        let (id, copy, kind) = (message.id, message.copy, message.kind);
        if self.records.saboteur.strikes(Sabotage::Forget) {
            std::mem::forget(message);
        }
        match kind {
            Kind::Fail => {
                self.count(Deed::Failed);
                Err(Failure(id))
            }
            Kind::Panic => {
                self.count(Deed::Panicked);
                if self.chance(50) {
                    self.count(Deed::PayloadBlewUp);
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

    fn on_start(&mut self, _: &Worker) -> Result<(), StartError> {
        if self.records.started.load(Relaxed) && self.chance(20) {
            self.count(Deed::StartFailed);
            return Err("planted: on_start".into());
        }
        Ok(())
    }

    fn on_restart(&mut self, _: &Worker) -> Result<(), StartError> {
        let fails = self.records.plan.failing_restarts;
        match self.rng.u32(..1_000) {
            0..100 if fails => {
                self.count(Deed::RestartFailed);
                Err("planted: on_restart".into())
            }
            100..120 if fails => {
                self.count(Deed::RestartPanicked);
                planted::blow_up("on_restart")
            }
            120..122 => {
                self.count(Deed::RestartHung);
                self.records.hangs.hang(Some(self.records.plan.hang()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_panic(&mut self, _: &str, _: &Worker) {
        if self.chance(100) {
            self.count(Deed::HookPanicked);
            planted::blow_up("on_panic");
        }
    }

    fn on_stop(&mut self, _: &Worker) {
        if self.chance(20) {
            self.count(Deed::HookPanicked);
            planted::blow_up("on_stop");
        }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.records.actors_dropped.fetch_add(1, Relaxed);
        if !thread::panicking() && self.chance(50) {
            self.count(Deed::ActorBlewUp);
            planted::blow_up("an actor that was dropped");
        }
    }
}
