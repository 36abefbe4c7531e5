use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What can be found to be wrong.
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
    AnswerNotDroppedOnce,
    OutOfOrder,
    Overlap,
    Account,
    InFlight,
    WorkAhead,
    TooManyLost,
    LostForGood,
    ImpossibleChange,
    Shutdown,
    ThreadLeft,
    ActorLeft,
    UnplannedPanic,
    EscapedPanic,
    DidNotOccur,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverDropped => "a message was never dropped",
            Self::DroppedTwice => "a message was dropped twice",
            Self::RunTwice => "a task was run twice",
            Self::TwoEnds => "a task ended in two ways",
            Self::Vanished => "a task was admitted and neither run nor ended for a reason",
            Self::FiredAfterCancel => "a timer fired that had been called off, or before its time",
            Self::Refusal => "a refused task was not both told and handed back",
            Self::ImpossibleRefusal => "a task was refused for a reason that cannot be",
            Self::Unanswered => "an asker got no answer",
            Self::AnsweredTwice => "an asker got two answers",
            Self::OtherAnswer => "an asker was told what did not happen",
            Self::AnswerNotDroppedOnce => "an answer was not dropped exactly once",
            Self::OutOfOrder => "a key's tasks were run out of order",
            Self::Overlap => "two tasks of one key were run at once",
            Self::Account => "the pool's account is not what happened",
            Self::InFlight => "a worker has tasks in flight at the end",
            Self::WorkAhead => "a worker has work ahead at the end",
            Self::TooManyLost => "more threads were lost than may be",
            Self::LostForGood => "workers or lost threads did not end",
            Self::ImpossibleChange => "a change of the pool failed for a reason that cannot be",
            Self::Shutdown => "a shutdown did not end as it should",
            Self::ThreadLeft => "a thread outlived its pool",
            Self::ActorLeft => "actors were not dropped exactly once",
            Self::UnplannedPanic => "something panicked that was not to",
            Self::EscapedPanic => "a panic in a message's drop came out of the pool",
            Self::DidNotOccur => "something did not occur, so nothing is shown of it",
        })
    }
}

/// What was found, from any thread.
#[derive(Debug, Default)]
pub struct Findings(Mutex<BTreeMap<Wrong, Found>>);

#[derive(Debug, Default)]
struct Found {
    times: u64,
    examples: Vec<String>,
}

/// Examples kept of each.
const EXAMPLES: usize = 5;

impl Findings {
    /// Notes one; where and what is worked out for the examples only.
    pub fn report(&self, wrong: Wrong, what: impl FnOnce() -> String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.entry(wrong).or_default();
        found.times += 1;
        if found.examples.len() < EXAMPLES {
            found.examples.push(what());
        }
    }

    /// How many there are.
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
