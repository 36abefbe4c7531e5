use raddle_core::{Candidates, TaskProfile};

use crate::Strategy;
use crate::lowest::lowest;

/// The candidate with the fewest tasks in flight.
///
/// - **Rule:** `argmin q`, ties at random; `q` counts mailbox and handler. Also known as join the
///   shortest queue.
/// - **Cost:** O(n), wait-free: a cache line and a half a worker.
/// - **Made for:** tasks of varying length on workers of one speed.
/// - **Traps:** a worker that fails at once always looks free and draws the traffic; a slow one
///   is given as many tasks in flight as a fast one.
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
        lowest(candidates, |signals| signals.in_flight())
    }

    fn lets_steal(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::roster;
    use crate::{Balancer, BalancerConfig};

    #[test]
    fn reservations_are_seen_by_the_next_selection() {
        let roster = roster(5);
        let balancer = Balancer::new(LeastLoaded);
        let held: Vec<_> =
            (0..10).map(|_| balancer.select(&TaskProfile::default(), &roster).unwrap()).collect();
        let mut counts = [0; 5];
        held.iter().for_each(|reservation| counts[reservation.position()] += 1);
        assert_eq!(counts, [2; 5]);
        drop(held);
        assert!(roster.workers().iter().all(|member| member.worker.stats().in_flight() == 0));
    }

    #[test]
    fn it_is_the_default() {
        assert_eq!(BalancerConfig::default().build().unwrap().strategy().name(), "least_loaded");
    }
}
