use clap::ValueEnum;
use raddle::core::{Candidates, Roster, TaskProfile};
use raddle::prelude::Strategy;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What is broken on purpose: one for each kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// Messages are leaked.
    Forget,
    /// Messages are counted as dropped twice.
    DropTwice,
    /// Tasks are counted as run twice.
    RunTwice,
    /// Tasks of a key are numbered out of order.
    Order,
    /// Tasks of a key are begun before the one before has ended.
    Overlap,
    /// Answers are lost.
    Answer,
    /// Askers are told something else.
    OtherAnswer,
    /// Tasks leave their worker's account without an end.
    Unbalance,
    /// Work leaves its worker's account without an end.
    Unweigh,
    /// A place at a worker is taken for ever: it can never end.
    Occupy,
    /// Refused tasks are not noted as handed back.
    Refusal,
    /// Tasks are refused that should not be.
    Wrong,
    /// Panics come out of giving a task.
    Escape,
    /// The pool is to have no worker.
    Change,
    /// No thread may be lost.
    Bound,
    /// An actor is leaked.
    Actor,
    /// A thread outlives its pool.
    Thread,
    /// Handlers panic without a plan.
    Panic,
    /// No handler hangs.
    Absent,
    /// A caller never ends.
    Stuck,
}

/// Strikes where it was told to.
#[derive(Debug)]
pub struct Saboteur {
    kind: Option<Sabotage>,
    asked: AtomicU64,
}

/// Of so many chances to strike, one is taken.
const EVERY: u64 = 64;

impl Saboteur {
    pub fn new(kind: Option<Sabotage>) -> Self {
        Self { kind, asked: AtomicU64::new(0) }
    }

    /// Whether to break something here, now and then.
    pub fn strikes(&self, kind: Sabotage) -> bool {
        self.kind == Some(kind) && self.asked.fetch_add(1, Relaxed) % EVERY == EVERY / 2
    }

    /// The same once a round.
    pub fn strikes_once(&self, kind: Sabotage) -> bool {
        self.kind == Some(kind) && self.asked.fetch_add(1, Relaxed) == 0
    }

    /// Whether nothing is broken.
    pub fn is_idle(&self) -> bool {
        self.kind.is_none()
    }

    /// Whether this is the plan at all.
    pub fn is(&self, kind: Sabotage) -> bool {
        self.kind == Some(kind)
    }
}

/// A strategy that takes one place at a worker for ever, however often it is refreshed.
#[derive(Debug, Default)]
pub struct Occupying(AtomicBool);

impl Strategy for Occupying {
    fn name(&self) -> &'static str {
        "occupying"
    }

    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        0
    }

    fn refresh(&self, roster: &Roster) {
        if !self.0.swap(true, Relaxed)
            && let Some(place) = roster.candidates(None).take(0, None)
        {
            let _ = place.detach();
        }
    }
}
