use raddle_core::{Candidates, TaskProfile};

use crate::Strategy;

/// Picks a candidate uniformly at random.
///
/// - **Rule:** uniform over the candidates.
/// - **Use it for:** the highest rate with the least state.
/// - **Cost:** O(1), wait-free, no shared state: the generator is thread-local.
/// - **Weak points:** some worker always has a queue: at load 0.9 the mean sojourn of 16 workers is
///   that of 16 separate queues, 10 times the service time, where one queue for all takes 1.4.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Random {
    /// Creates the strategy.
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
