use raddle_core::{Candidates, Capability, Reservation, Roster, TaskProfile};
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

/// Lets `strategy` pick a worker and counts the task as in flight there. For workers whose own
/// thread [records](raddle_core::Recorder): others are selected by a
/// [`Balancer`](crate::Balancer), which notes the time as well.
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
) -> Result<Reservation<'r>, SelectError> {
    reserve_by(strategy, task, roster, |candidates, index| candidates.take(index, task.capability))
}

/// The same with another way to take a place at a worker.
#[inline]
pub(crate) fn reserve_by<'r>(
    strategy: &dyn Strategy,
    task: &TaskProfile,
    roster: &'r Roster,
    take: impl Fn(&Candidates<'r>, usize) -> Option<Reservation<'r>>,
) -> Result<Reservation<'r>, SelectError> {
    let candidates = roster.candidates(task.capability);
    let count = candidates.len();
    if count == 0 {
        return Err(none_for(task, roster));
    }
    let picked = strategy.pick(task, &candidates).min(count - 1);
    let take = |index| take(&candidates, index);
    match take(picked) {
        Some(reservation) => Ok(reservation.sized(task.size)),
        None => next_open(count, picked, take).map(|reservation| reservation.sized(task.size)),
    }
}

/// The first of the others that is not closed.
#[cold]
fn next_open<'r>(
    count: usize,
    closed: usize,
    take: impl Fn(usize) -> Option<Reservation<'r>>,
) -> Result<Reservation<'r>, SelectError> {
    (closed + 1..count).chain(0..closed).find_map(take).ok_or(SelectError::Closed)
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
