use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A kind of failure that the checks can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    NeverDropped,
    DroppedTwice,
    RunTwice,
    TwoEnds,
    Vanished,
    FiredAfterCancel,
    Refusal,
    ImpossibleRefusal,
    Unanswered,
    AnsweredTwice,
    OtherAnswer,
    CopyKept,
    AnswerNotDroppedOnce,
    OutOfOrder,
    Overlap,
    NotAlone,
    OtherWorker,
    CutEarly,
    StateLost,
    Account,
    InFlight,
    WorkAhead,
    TooManyLost,
    LostForGood,
    ImpossibleChange,
    Shutdown,
    HandedBackLate,
    ThreadLeft,
    ActorLeft,
    UnplannedPanic,
    EscapedPanic,
    MemoryGrew,
    DidNotOccur,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverDropped => "a message was never dropped",
            Self::DroppedTwice => "a message was dropped twice",
            Self::RunTwice => "a task was run twice",
            Self::TwoEnds => "a task ended in two ways",
            Self::Vanished => "an admitted task was neither run nor ended for a reason",
            Self::FiredAfterCancel => "a timer fired after it was cancelled, or before its time",
            Self::Refusal => "a refused task was not both reported and handed back",
            Self::ImpossibleRefusal => "a task was refused for an impossible reason",
            Self::Unanswered => "an asker received no answer",
            Self::AnsweredTwice => "an asker received two answers",
            Self::OtherAnswer => "an asker received an answer that did not happen",
            Self::CopyKept => "the clone of an answered hedged task was kept",
            Self::AnswerNotDroppedOnce => "an answer was not dropped exactly once",
            Self::OutOfOrder => "the tasks of a key were run out of order",
            Self::Overlap => "two tasks of one key were run at once",
            Self::NotAlone => "a handler ran beside others that it excludes",
            Self::OtherWorker => "a task ran on another worker than its own",
            Self::CutEarly => "a handler was dropped without a reason",
            Self::StateLost => "the state of a key was lost without an event",
            Self::Account => "the pool's account does not match what happened",
            Self::InFlight => "a worker has tasks in flight at the end",
            Self::WorkAhead => "a worker has expected work at the end",
            Self::TooManyLost => "more threads were lost than allowed",
            Self::LostForGood => "workers or lost threads did not end",
            Self::ImpossibleChange => "a change of the pool failed for an impossible reason",
            Self::Shutdown => "a shutdown did not end as it should",
            Self::HandedBackLate => "a queued message was not handed back at the time limit",
            Self::ThreadLeft => "a thread outlived its pool",
            Self::ActorLeft => "actors were not dropped exactly once",
            Self::UnplannedPanic => "an unplanned panic occurred",
            Self::EscapedPanic => "a panic in a message's drop escaped from the pool",
            Self::MemoryGrew => "more memory was allocated after the last round than before",
            Self::DidNotOccur => "something did not occur, and therefore was not tested",
        })
    }
}

/// The failures found, reported by any thread.
#[derive(Debug, Default)]
pub struct Findings(Mutex<BTreeMap<Wrong, Found>>);

#[derive(Debug, Default)]
struct Found {
    times: u64,
    examples: Vec<String>,
}

/// Examples kept of each kind.
const EXAMPLES: usize = 5;

impl Findings {
    /// Reports a failure. The description is only created for the first examples.
    pub fn report(&self, wrong: Wrong, describe: impl FnOnce() -> String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.entry(wrong).or_default();
        found.times += 1;
        if found.examples.len() < EXAMPLES {
            found.examples.push(describe());
        }
    }

    /// Returns the number of failures.
    pub fn count(&self) -> u64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|found| found.times).sum()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (wrong, found) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            writeln!(f, "  {wrong} ({} times)", found.times)?;
            for example in &found.examples {
                writeln!(f, "    {example}")?;
            }
        }
        Ok(())
    }
}
