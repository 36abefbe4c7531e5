use raddle_core::Candidates;
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A rotation for each group of candidates.
///
/// One sequence for all would let tasks of two capabilities that arrive in turn see only every
/// other number, and with two workers each, always the same worker.
#[derive(Debug)]
pub(crate) struct Sequences(Box<[AtomicU64]>);

impl Sequences {
    pub(crate) fn new() -> Self {
        Self((0..Candidates::MAX_GROUPS).map(|_| AtomicU64::new(0)).collect())
    }

    /// The next number of the candidates' group. Wraps after 584 years at a task a nanosecond.
    #[inline]
    pub(crate) fn next(&self, candidates: &Candidates<'_>) -> u64 {
        self.0[candidates.group()].fetch_add(1, Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn starting_at(first: u64) -> Self {
        Self((0..Candidates::MAX_GROUPS).map(|_| AtomicU64::new(first)).collect())
    }
}
