//! What the unit tests of the strategies share.

use raddle_core::{Roster, TaskProfile, WorkerSpec};

use crate::Strategy;

/// A roster of `workers` generalists.
pub(crate) fn roster(workers: usize) -> Roster {
    Roster::builder().workers(workers, WorkerSpec::general()).build().unwrap()
}

/// The indices of so many picks, without reserving.
pub(crate) fn picks(
    strategy: &dyn Strategy,
    task: &TaskProfile,
    roster: &Roster,
    count: usize,
) -> Vec<usize> {
    let candidates = roster.candidates(task.capability);
    (0..count).map(|_| strategy.pick(task, &candidates)).collect()
}
