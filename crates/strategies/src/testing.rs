//! Shared by the unit tests.

use raddle_core::{Candidates, Roster, TaskProfile, WorkerSpec};

use crate::Strategy;

/// Always picks this index.
#[derive(Debug)]
pub(crate) struct Always(pub(crate) usize);

impl Strategy for Always {
    fn name(&self) -> &'static str {
        "always"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        self.0
    }
}

/// Creates a roster of generalists.
pub(crate) fn roster(workers: usize) -> Roster {
    Roster::builder().workers(workers, WorkerSpec::general()).build().unwrap()
}

/// Picks `count` times, without reserving.
pub(crate) fn picks(
    strategy: &dyn Strategy,
    task: &TaskProfile,
    roster: &Roster,
    count: usize,
) -> Vec<usize> {
    let candidates = roster.candidates(task.capability);
    (0..count).map(|_| strategy.pick(task, &candidates)).collect()
}
