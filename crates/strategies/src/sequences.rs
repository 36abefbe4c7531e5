use std::sync::Arc;

use raddle_core::Candidates;
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A sequence number for each group of candidates. Clones share the numbers.
///
/// With one number for all groups, tasks of two capabilities that arrive alternately would each
/// see only every other number, and with two workers each, always the same worker.
#[derive(Clone, Debug)]
pub(crate) struct Sequences(Arc<[AtomicU64]>);

impl Sequences {
    pub(crate) fn new() -> Self {
        Self::starting_at(0)
    }

    pub(crate) fn starting_at(first: u64) -> Self {
        Self((0..Candidates::MAX_GROUPS).map(|_| AtomicU64::new(first)).collect())
    }

    /// Returns the next number of the candidates' group. Wraps after 584 years at one task per
    /// nanosecond.
    #[inline]
    pub(crate) fn next(&self, candidates: &Candidates<'_>) -> u64 {
        self.0[candidates.group()].fetch_add(1, Relaxed)
    }
}
