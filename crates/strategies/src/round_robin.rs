use raddle_core::{Candidates, TaskProfile};

use crate::Strategy;
use crate::sequences::Sequences;

/// The next candidate in rotation.
///
/// - **Rule:** candidate `sequence mod n`, one sequence a group of candidates.
/// - **Cost:** O(1), wait-free: one `fetch_add`, a cache line that all callers share.
/// - **Made for:** equal workers, equal tasks.
/// - **Traps:** blind to length and speed: a slow worker gets its full share and its queue grows;
///   a hung one is given every n-th task for ever.
#[derive(Debug)]
pub struct RoundRobin {
    sequences: Sequences,
}

impl RoundRobin {
    /// A rotation that starts at the first worker.
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
        (self.sequences.next(candidates) % candidates.len() as u64) as usize
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
    fn it_rotates() {
        let roster = roster(3);
        let task = TaskProfile::default();
        assert_eq!(picks(&RoundRobin::new(), &task, &roster, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn it_survives_the_wrap_of_its_sequence() {
        let strategy = RoundRobin { sequences: Sequences::starting_at(u64::MAX - 1) };
        let picks = picks(&strategy, &TaskProfile::default(), &roster(3), 5);
        assert!(picks.iter().all(|pick| *pick < 3), "{picks:?}");
    }

    #[test]
    fn capabilities_that_alternate_do_not_alias() {
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
