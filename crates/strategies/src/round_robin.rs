use raddle_core::{Candidates, TaskProfile};

use crate::Strategy;
use crate::sequences::Sequences;

/// Picks the next candidate in rotation.
///
/// - **Rule:** candidate `sequence mod n`, with one sequence per group of candidates, from a random
///   start.
/// - **Use it for:** equal workers and equal tasks.
/// - **Cost:** O(1), wait-free: one `fetch_add` on a cache line that all callers share.
/// - **Weak points:** ignores queues and speed. A slow worker gets its full share and its queue
///   grows; a hung one gets every n-th task.
#[derive(Debug)]
pub struct RoundRobin {
    sequences: Sequences,
}

impl RoundRobin {
    /// Creates a rotation that starts at a random worker.
    pub fn new() -> Self {
        Self { sequences: Sequences::new() }
    }
}

impl Default for RoundRobin {
    fn default() -> Self {
        Self::new()
    }
}

impl Strategy for RoundRobin {
    fn name(&self) -> &'static str {
        "round_robin"
    }

    #[inline]
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let sequence = self.sequences.next(candidates);
        // Without a panic the function needs no frame, which would be two instructions in twenty.
        sequence.checked_rem(candidates.len() as u64).unwrap_or(0) as usize
    }

    fn lets_steal(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::{picks, roster};
    use raddle_core::{Capability, Roster, WorkerSpec};

    #[test]
    fn candidates_take_turns() {
        let roster = roster(3);
        let task = TaskProfile::default();
        let strategy = RoundRobin { sequences: Sequences::starting_at(0) };
        assert_eq!(picks(&strategy, &task, &roster, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn the_sequence_may_wrap() {
        let strategy = RoundRobin { sequences: Sequences::starting_at(u64::MAX - 1) };
        let picks = picks(&strategy, &TaskProfile::default(), &roster(3), 5);
        assert!(picks.iter().all(|pick| *pick < 3), "{picks:?}");
    }

    #[test]
    fn alternating_capabilities_do_not_alias() {
        let names = ["rr-a", "rr-b"];
        let mut builder = Roster::builder();
        for name in names {
            builder = builder.workers(2, WorkerSpec::new(name).capability(name));
        }
        let roster = builder.build().unwrap();
        let strategy = RoundRobin::new();
        let tasks =
            names.map(|name| TaskProfile::default().capability(Capability::intern(name).unwrap()));
        let mut seen = [0; 4];
        for task in tasks.iter().cycle().take(40) {
            let candidates = roster.candidates(task.capability);
            seen[candidates.position(strategy.pick(task, &candidates))] += 1;
        }
        assert_eq!(seen, [10; 4]);
    }
}
