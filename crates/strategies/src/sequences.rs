use std::sync::Arc;

use raddle_core::Candidates;
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A sequence number for each group of candidates. Clones share the numbers.
///
/// With one number for all groups, tasks of two capabilities that arrive alternately would each
/// see only every other number, and with two workers each, always the same worker.
///
/// Each starts at random, so that processes that start together do not send their first tasks to the
/// same workers.
#[derive(Clone, Debug)]
pub(crate) struct Sequences(Arc<[AtomicU64]>);

impl Sequences {
    pub(crate) fn new() -> Self {
        Self((0..Candidates::MAX_GROUPS).map(|_| AtomicU64::new(fastrand::u64(..))).collect())
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn starting_at(first: u64) -> Self {
        Self((0..Candidates::MAX_GROUPS).map(|_| AtomicU64::new(first)).collect())
    }

    /// Returns the next number of the candidates' group. Wraps after 584 years at one task per
    /// nanosecond.
    #[inline]
    pub(crate) fn next(&self, candidates: &Candidates<'_>) -> u64 {
        self.0.get(candidates.group()).map_or(0, |number| number.fetch_add(1, Relaxed))
    }
}
