use std::sync::Arc;

use clap::ValueEnum;
use raddle::strategies::Strategy;
use raddle::{Candidates, Roster, TaskProfile};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What is broken on purpose, one for each kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// Messages are leaked.
    Forget,
    /// A handler leaks memory.
    Leak,
    /// Messages are recorded as dropped twice.
    DropTwice,
    /// Tasks are recorded as run twice.
    RunTwice,
    /// Tasks of a key are numbered out of order.
    Order,
    /// Tasks of a key start before the previous one has ended.
    Overlap,
    /// Handlers that are dropped while they wait are recorded as if they had ended.
    Cut,
    /// One such handler is recorded as dropped at once.
    Early,
    /// Handlers are recorded as if they ran on.
    Beside,
    /// What sends deferred replies is dropped.
    Reply,
    /// Handlers give up without being planned to.
    GiveUp,
    /// Actors give no state away, and say that it is all.
    State,
    /// Tasks for one worker are sent to another.
    Worker,
    /// Answers are lost.
    Answer,
    /// Askers receive a wrong answer.
    OtherAnswer,
    /// Tasks leave their worker's in-flight count without ending.
    Unbalance,
    /// Expected work leaves its worker's count without ending.
    Unweigh,
    /// A reservation at a worker is never released, so that the worker can never end.
    Occupy,
    /// Queued messages are not taken at a shutdown's time limit.
    Late,
    /// Clones are recorded as never dropped.
    KeepCopy,
    /// Refused tasks are not recorded as handed back.
    Refusal,
    /// Tasks are refused without a reason.
    Wrong,
    /// Submitting a task panics.
    Escape,
    /// The pool is resized to no workers.
    Change,
    /// No thread is allowed to be lost.
    Bound,
    /// An actor is leaked.
    Actor,
    /// A thread outlives its pool.
    Thread,
    /// Handlers panic without being planned to.
    Panic,
    /// No handler hangs.
    Absent,
    /// A producer never ends.
    Stuck,
}

/// Applies a sabotage now and then.
#[derive(Debug)]
pub struct Saboteur {
    kind: Option<Sabotage>,
    opportunities: AtomicU64,
}

/// One opportunity out of this many is taken.
const EVERY: u64 = 16;

impl Saboteur {
    pub fn new(kind: Option<Sabotage>) -> Self {
        Self { kind, opportunities: AtomicU64::new(0) }
    }

    /// Returns `true` if something must be broken at this opportunity.
    pub fn strikes(&self, kind: Sabotage) -> bool {
        self.kind == Some(kind) && self.opportunities.fetch_add(1, Relaxed) % EVERY == EVERY / 2
    }

    /// Like [`strikes`](Self::strikes), once per round.
    pub fn strikes_once(&self, kind: Sabotage) -> bool {
        self.kind == Some(kind) && self.opportunities.fetch_add(1, Relaxed) == 0
    }

    /// Returns `true` if there is no sabotage.
    pub fn is_idle(&self) -> bool {
        self.kind.is_none()
    }

    /// Returns `true` if this is the sabotage of the run.
    pub fn is(&self, kind: Sabotage) -> bool {
        self.kind == Some(kind)
    }
}

/// A strategy that reserves a task at a worker once, and never releases it.
#[derive(Debug, Default)]
pub struct Occupying(AtomicBool);

impl Strategy for Occupying {
    fn name(&self) -> &'static str {
        "occupying"
    }

    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        0
    }

    fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
        if !self.0.swap(true, Relaxed)
            && let Some(reservation) = roster.candidates(None).take(0, None)
        {
            let _ = reservation.detach();
        }
        None
    }
}
