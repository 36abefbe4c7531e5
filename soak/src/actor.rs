use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;

use fastrand::Rng;
use raddle::{Context, Worker};
use raddle_core::internal::WorkerInternals;

use crate::fate::Step;
use crate::findings::Wrong;
use crate::kept::Kept;
use crate::kind::Kind;
use crate::life::Life;
use crate::message::{Message, Pool, Reply};
use crate::mode::Keeping;
use crate::planted;
use crate::records::Records;
use crate::running::Running;
use crate::sabotage::Sabotage;
use crate::surroundings::Surroundings;
use crate::tally::Occurrence;

/// An actor that obeys its messages' faults, and sometimes fails in its hooks. The state that it keeps
/// for keys is handed over if the type says so.
pub struct Faulty<const HANDS_OVER: bool> {
    pub records: Arc<Records>,
    /// Another pool, to which some tasks are forwarded.
    pub back: Option<Pool>,
    rng: RefCell<Rng>,
    pub life: Arc<Life>,
    /// Of its worker, when it started.
    pub generation: Cell<u32>,
    /// Whether a handler is at a checkpoint.
    pub at_checkpoint: Cell<bool>,
    /// The last task, and the last one at its checkpoint.
    last: [Cell<Option<(u64, u8)>>; 2],
    /// How many of its handlers run.
    pub running: Cell<usize>,
    /// By key.
    pub states: RefCell<HashMap<u32, Kept>>,
}

impl<const HANDS_OVER: bool> Faulty<HANDS_OVER> {
    /// Creates an actor. Panics as planned after the pool has started.
    pub fn new(records: &Arc<Records>, back: Option<Pool>) -> Self {
        let number = records.actors_begun.fetch_add(1, Relaxed);
        let mut rng = Rng::with_seed(records.plan.seed ^ number << 20);
        let fails = records.started.load(Relaxed) && records.plan.failing_restarts;
        if fails && rng.u8(..40) == 0 {
            records.tally.count(Occurrence::FactoryPanicked);
            planted::blow_up("creating an actor");
        }
        records.actors_made.fetch_add(1, Relaxed);
        if records.saboteur.strikes_once(Sabotage::Actor) {
            records.actors_made.fetch_add(1, Relaxed);
        }
        Self {
            records: Arc::clone(records),
            back,
            rng: RefCell::new(rng),
            life: Arc::default(),
            generation: Cell::new(0),
            at_checkpoint: Cell::new(false),
            last: [Cell::new(None), Cell::new(None)],
            running: Cell::new(0),
            states: RefCell::default(),
        }
    }

    /// Draws something.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.borrow_mut())
    }

    pub fn chance(&self, of: u32) -> bool {
        self.draw(|rng| rng.u32(..of) == 0)
    }

    pub fn count(&self, occurrence: Occurrence) {
        self.records.tally.count(occurrence);
    }

    /// Begins to handle a message, and checks the order of its key.
    pub fn begin(&self, message: Message, cx: &impl Surroundings) -> Running {
        message.disarm();
        message.run_at(cx.worker());
        if !message.is_forwarded() {
            self.close(cx);
        }
        self.sabotage(cx.worker());
        self.last[usize::from(self.at_checkpoint.get())].set(Some((message.id, message.copy)));
        let running = Running::begin(message, &self.life);
        if let Some(key) = running.message.key {
            let id = running.message.id;
            self.keep_state(key.index);
            if let Some(later) = self.records.keys.enter(key, id) {
                self.report(Wrong::OutOfOrder, &running, Some(later), cx);
            }
            if self.records.saboteur.strikes(Sabotage::Overlap) {
                let other = crate::keys::Key { number: key.number + 1, ..key };
                self.records.keys.enter(other, id + 1);
            }
        }
        running
    }

    /// Notes that the handler of a message ends, and checks that it was alone with its key.
    pub fn leave(&self, running: &mut Running, cx: &impl Surroundings) {
        if let Err(other) = running.end() {
            self.report(Wrong::Overlap, running, other, cx);
        }
    }

    /// Ends the handler of a message.
    pub fn end(&self, mut running: Running, cx: &mut impl Surroundings) -> Reply {
        self.leave(&mut running, cx);
        let kind = running.message.kind;
        if kind == Kind::Hang && cx.is_cancelled() {
            self.count(Occurrence::Revoked);
        }
        if self.chance(2_000) {
            self.count(Occurrence::Stopped);
            cx.stop();
        }
        // In the rounds that are compared with those before.
        if self.records.plan.round >= 3 && self.records.saboteur.strikes(Sabotage::Leak) {
            std::mem::forget(Box::new([running.message.id; 64]));
        }
        match kind {
            Kind::Fail => self.count(Occurrence::Failed),
            Kind::GiveUp => {
                self.count(Occurrence::GaveUp);
                cx.give_up("planted");
            }
            Kind::Panic => {
                self.count(Occurrence::Panicked);
                if self.chance(20) {
                    self.count(Occurrence::PayloadBlewUp);
                    planted::blow_up_twice();
                }
                planted::blow_up("a handler")
            }
            _ if self.records.saboteur.strikes(Sabotage::GiveUp) => cx.give_up("not planned"),
            _ => {}
        }
        let answer = running.answer();
        if self.records.saboteur.strikes(Sabotage::Forget) {
            std::mem::forget(running);
        }
        answer
    }

    /// Shuts the pool down, if a handler must.
    fn close(&self, cx: &impl Surroundings) {
        let records = &self.records;
        if !records.handler_closes.load(Relaxed) || !records.handler_closes.swap(false, Relaxed) {
            return;
        }
        let Some(pool) = cx.pool() else { return };
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

    /// Uses the state of a key, or creates it.
    fn keep_state(&self, key: u32) {
        if self.records.plan.keeping == Keeping::Cached {
            return;
        }
        let mut states = self.states.borrow_mut();
        let found = states.get(&key).map(|kept| kept.number);
        let number = self.records.states.begin(key, found, &self.life);
        states.entry(key).or_insert_with(|| Kept::new(&self.records, key, number));
    }

    /// Reports what is wrong with the key of a task.
    fn report(&self, wrong: Wrong, running: &Running, other: Option<u64>, cx: &impl Surroundings) {
        // The pool does not wait for a handler that it has revoked. After the time limit of a
        // shutdown, revoked and cancelled handlers look alike, but no task starts then.
        if cx.is_cancelled() {
            return self.count(Occurrence::KeyRevoked);
        }
        let name = cx.worker().name();
        self.records.findings.report(wrong, || format!("at {name}, {}", running.describe(other)));
    }

    /// Applies the sabotages that strike in a handler.
    fn sabotage(&self, worker: &Worker) {
        let saboteur = &self.records.saboteur;
        if saboteur.strikes(Sabotage::Unbalance) {
            worker.withdraw();
        }
        if saboteur.strikes(Sabotage::Unweigh) {
            worker.withdraw_work_of(1);
        }
        if saboteur.strikes(Sabotage::Panic) {
            panic!("not planned");
        }
    }

    /// Notes whether the thread was given up, when the actor ends.
    pub fn note_revoked(&self, cx: &Context<'_, Self>) {
        // At the time limit of a shutdown, everything is cancelled.
        let is_replaced = || cx.worker().generation() != self.generation.get();
        if cx.is_cancelled() && (!self.records.closing.load(SeqCst) || is_replaced()) {
            self.life.revoke();
            for (id, copy) in self.last.iter().filter_map(Cell::get) {
                self.records.fates.mark(id, Step::Revoked.bit(copy));
            }
        }
    }
}

impl<const HANDS_OVER: bool> Drop for Faulty<HANDS_OVER> {
    fn drop(&mut self) {
        self.records.actors_dropped.fetch_add(1, Relaxed);
        self.states.get_mut().values_mut().for_each(Kept::end_with_actor);
        self.records.call_back(Occurrence::CalledFromDrop, 100);
        if !thread::panicking() && self.chance(50) {
            self.count(Occurrence::ActorBlewUp);
            planted::blow_up("dropping an actor");
        }
    }
}
