use raddle_core::{Candidates, TaskProfile};

use crate::Strategy;

/// A candidate at random, all alike.
///
/// - **Rule:** uniform over the candidates.
/// - **Cost:** O(1), wait-free, no shared state: the generator is the thread's own.
/// - **Made for:** the highest rate with the least state.
/// - **Traps:** some worker always has a queue: at load 0.9 the mean sojourn of 16 is that of 16
///   lone queues, 10 times the service time, where one queue for all would take 1.4.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Random {
    /// A uniform choice.
    pub fn new() -> Self {
        Self
    }
}

impl Strategy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    #[inline]
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        fastrand::usize(..candidates.len())
    }

    fn lets_steal(&self) -> bool {
        true
    }
}
