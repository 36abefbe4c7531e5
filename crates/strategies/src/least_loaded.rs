use raddle_core::{Candidates, TaskProfile};

use crate::Strategy;
use crate::lowest::lowest;

/// The candidate with the fewest tasks in flight.
///
/// - **Rule:** `argmin q`, ties at random; `q` counts mailbox and handler. Also known as join the
///   shortest queue. Of those with the fewest, one that fails more often than not
///   ([`Signals::is_failing`](raddle_core::Signals::is_failing)) is taken only when all of them do:
///   who fails at once is always idle, and would draw the traffic.
/// - **Cost:** O(n), wait-free: a cache line and a half a worker.
/// - **Made for:** tasks of varying length on workers of one speed.
/// - **Traps:** a worker that fails at once is still given each task that finds all the others with
///   more in flight than it has; and where there is no such task, as the load is light, one that has
///   recovered is not found out. Where [tracking](raddle_core::Tracking) is disabled nobody is known
///   to fail. A slow worker is given as many tasks in flight as a fast one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl LeastLoaded {
    /// The shortest queue.
    pub fn new() -> Self {
        Self
    }
}

impl Strategy for LeastLoaded {
    fn name(&self) -> &'static str {
        "least_loaded"
    }

    #[inline]
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        // A closed worker's count has the top bit: doubled it stays the highest there is.
        lowest(candidates, |signals| {
            signals.in_flight().saturating_mul(2) | u64::from(signals.is_failing())
        })
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
