use raddle_core::{Capability, Reservation, Roster, TaskProfile};
use thiserror::Error;

use crate::Strategy;

/// Why no worker could be selected.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelectError {
    /// The roster has no worker that takes tasks.
    #[error("no worker: the roster is empty or all of it is draining; add a worker")]
    NoWorker,
    /// There are workers, but none for this capability.
    #[error(
        "no capable worker: none that takes tasks names `{capability}` and none is general; \
         add one, or correct the name"
    )]
    NoCapableWorker {
        /// What the task asked for.
        capability: Capability,
    },
    /// Every candidate refuses tasks, as it is about to end.
    #[error("every worker that could serve the task is closed")]
    Closed,
}

/// Who notes the time at which a worker was given its first task in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressBy {
    /// The selection does, when the strategy reads ages: for workers that are driven from outside.
    Selection,
    /// The worker's own [`Recorder`](raddle_core::Recorder) does.
    Recorder,
}

/// Lets `strategy` pick a worker and counts the task as in flight there.
///
/// Wait-free for every strategy of this crate, and allocates nothing; a worker that closed since
/// the roster was made is passed over, at most n steps.
///
/// # Errors
/// When no worker may take the task.
#[inline]
pub fn reserve<'r>(
    strategy: &dyn Strategy,
    task: &TaskProfile,
    roster: &'r Roster,
    progress: ProgressBy,
) -> Result<Reservation<'r>, SelectError> {
    let candidates = roster.candidates(task.capability);
    let count = candidates.len();
    if count == 0 {
        return Err(none_for(task, roster));
    }
    let picked = strategy.pick(task, &candidates).min(count - 1);
    let notes_time = progress == ProgressBy::Selection && strategy.reads_age();
    (0..count)
        .find_map(|step| {
            let index = if picked + step < count {
                picked + step
            } else {
                picked + step - count
            };
            let (worker, position) = (candidates.worker(index), candidates.position(index));
            if !notes_time {
                return Reservation::take(worker, position, task.capability);
            }
            let now = if task.given_at == 0 {
                roster.clock().now()
            } else {
                task.given_at
            };
            Reservation::take_at(worker, position, task.capability, now)
        })
        .ok_or(SelectError::Closed)
}

#[cold]
fn none_for(task: &TaskProfile, roster: &Roster) -> SelectError {
    match task.capability {
        Some(capability) if !roster.candidates(None).is_empty() => {
            SelectError::NoCapableWorker { capability }
        }
        _ => SelectError::NoWorker,
    }
}
