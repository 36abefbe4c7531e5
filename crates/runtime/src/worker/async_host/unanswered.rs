use raddle_core::Outcome;

use crate::actor::Reply;
use crate::panics;
use crate::reply::{Answer, NoReply};

/// How an async handler has ended: by its reply, and whether that is a failure; or without one.
pub(super) type Ended<R> = Result<(R, bool), Unanswered>;

/// Why an async handler has no reply.
pub(super) enum Unanswered {
    /// It panicked with this message.
    Panicked(String),
    /// It was dropped while it waited.
    Dropped(NoReply),
}

/// The outcome of a task, and what its asker gets, if its handler has ended so and perhaps gave up.
pub(super) fn settle<R: Reply>(ended: Ended<R>, gave_up: Option<String>) -> (Outcome, Answer<R>) {
    match (ended, gave_up) {
        (Err(Unanswered::Panicked(message)), _) => {
            (Outcome::Panicked, Err(NoReply::Panicked(message)))
        }
        (Err(Unanswered::Dropped(why)), _) => (why.outcome(), Err(why)),
        (Ok((reply, _)), Some(reason)) => {
            panics::contain(|| drop(reply));
            (Outcome::Cancelled, Err(NoReply::GaveUp(reason.into_boxed_str())))
        }
        (Ok((reply, true)), None) => (Outcome::Failed, Ok(reply)),
        (Ok((reply, false)), None) => (Outcome::Completed, Ok(reply)),
    }
}
