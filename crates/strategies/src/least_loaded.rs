use raddle_core::{Candidates, TaskProfile};

use crate::lowest::lowest;
use crate::{Strategy, retry};

/// Picks the candidate with the fewest tasks in flight, also known as join the shortest queue.
///
/// - **Rule:** `argmin q`, ties at random, where `q` counts the tasks in the mailbox and the
///   handler. Among those with the fewest, a worker that fails more often than not
///   ([`Signals::is_failing`](raddle_core::Signals::is_failing)) is taken only if all of them do, or
///   if that [has expired](raddle_core::Signals::has_expired): a worker that fails at once is always
///   idle and would attract the traffic.
/// - **Use it for:** tasks of varying length on workers of one speed.
/// - **Cost:** O(n), wait-free: a cache line and a half per worker.
/// - **Weak points:** a worker that fails at once still gets every task that finds all others with
///   more in flight. Without [tracking](raddle_core::Tracking) no worker is known to fail. A slow
///   worker has as many tasks in flight as a fast one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl LeastLoaded {
    /// Creates the strategy.
    pub fn new() -> Self {
        Self
    }
}

impl Strategy for LeastLoaded {
    fn name(&self) -> &'static str {
        "least_loaded"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        // A closed worker's count has the top bit set: doubled it saturates.
        let best = lowest(candidates, |signals| {
            signals.in_flight().saturating_mul(2) | u64::from(signals.is_failing())
        });
        retry::or_one_that_is_due(candidates, task.submitted_at, best, |one, _| one.is_failing())
    }

    fn lets_steal(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Balancer;
    use crate::testing::roster;

    #[test]
    fn reservations_are_seen_by_the_next_selection() {
        let roster = roster(5);
        let balancer = Balancer::new(LeastLoaded).unwrap();
        let held: Vec<_> =
            (0..10).map(|_| balancer.select(&TaskProfile::default(), &roster).unwrap()).collect();
        let mut counts = [0; 5];
        held.iter().for_each(|reservation| counts[reservation.position()] += 1);
        assert_eq!(counts, [2; 5]);
        drop(held);
        assert!(roster.members().iter().all(|member| member.worker.stats().in_flight() == 0));
    }
}
