use std::hint::select_unpredictable;

use raddle_core::{Candidates, TaskProfile};

use crate::{Strategy, delay, sample};

/// The better of two candidates by a latency that rises at once and decays with time.
///
/// - **Rule:** of two distinct candidates at random the one with the lower
///   `max(peak, age) x (q + 1)`. `peak` is the worker's
///   [`peak_latency`](raddle_core::WorkerStats::peak_latency): the longest of its last latencies,
///   decayed by time ([`Tracking::peak_decay`](raddle_core::Tracking), 1 s by default); a failure
///   enters as a penalty latency; a worker without any scores the pool's mean. `age` is how long it
///   has had tasks without making progress, so that a hung worker does not look better as its peak
///   decays. `q` is what is in flight; of a worker that fails more often than not, where the other
///   does not, at least the other's: who fails at once has no queue, and gets no credit for it. Where
///   the better one is slow, with a mean of more than twice the pool's, two others are drawn, up to
///   three pairs: the slow ones' pairs among themselves would be more than they can do.
/// - **Source:** Finagle's `P2CPeakEwma` (`com.twitter.finagle.loadbalancer`), where reading a score
///   changes it and a hung worker's score falls.
/// - **Cost:** O(1), wait-free: two cache lines and a half for each of the two, and one clock reading unless
///   the task tells its time.
/// - **Made for:** pools of any size whose workers have bad moments (a collection, a slow disk): one
///   slow end is enough to be given less, and a little time to be tried again.
/// - **Traps:** one slow task weighs as much as a slow worker: where tasks are very unequal and
///   workers are not, count what is in flight ([`LeastLoaded`](crate::LeastLoaded)). Where tasks take
///   as long as the decay, peaks are forgotten between them: set a longer one. In a pool of two every
///   pair is the same: the worse one is tried when its peak has decayed, and not before.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeakEwma;

impl PeakEwma {
    /// The better of two. The decay and the penalty are set with
    /// [`Tracking`](raddle_core::Tracking), as the latencies are the workers'.
    pub fn new() -> Self {
        Self
    }
}

/// Pairs that are drawn at the most.
const PAIRS: usize = 3;

/// What is read of a candidate.
struct Seen {
    latency: u64,
    in_flight: u64,
    failing: bool,
    /// Whether its mean is more than twice the pool's.
    slow: bool,
}

impl Seen {
    #[inline]
    fn of(candidates: &Candidates<'_>, index: usize, now: u64, pool: u64) -> Option<Self> {
        let signals = candidates.signals_at(index)?;
        let peak = signals.peak_latency(now).unwrap_or(pool);
        let in_flight = signals.in_flight();
        let age = if in_flight == 0 { 0 } else { signals.stalled_for(now) };
        Some(Self {
            latency: peak.max(age),
            in_flight,
            failing: signals.is_failing(),
            slow: signals.recent_mean() / 2 > pool,
        })
    }

    #[inline]
    fn score_beside(&self, other: &Self) -> u64 {
        let no_credit = self.failing & !other.failing;
        let queue =
            select_unpredictable(no_credit, self.in_flight.max(other.in_flight), self.in_flight);
        self.latency.saturating_mul(queue.saturating_add(1))
    }

    /// Whether the other one is better, not as good.
    #[inline]
    fn loses(&self, other: &Self) -> bool {
        other.score_beside(self) < self.score_beside(other)
    }
}

/// The better of some pairs, until it is not slow.
#[cold]
fn of_more(candidates: &Candidates<'_>, now: u64, pool: u64, picked: usize) -> usize {
    let mut picked = picked;
    let drawn = (1..PAIRS).map(|_| sample::two(candidates.len()));
    for index in drawn.flat_map(|(first, second)| [first, second]) {
        let seen = |index| Seen::of(candidates, index, now, pool);
        let (Some(best), Some(other)) = (seen(picked), seen(index)) else { break };
        if !best.slow {
            break;
        }
        if best.loses(&other) {
            picked = index;
        }
    }
    picked
}

impl Strategy for PeakEwma {
    fn name(&self) -> &'static str {
        "peak_ewma"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let (now, pool) = (delay::now(task, candidates), delay::unknown(candidates));
        // In random order, so that the first may have the ties.
        let (first, second) = sample::two(candidates.len());
        let seen = |index| Seen::of(candidates, index, now, pool);
        let (Some(one), Some(other)) = (seen(first), seen(second)) else { return first };
        // Without a branch: which of two random ones it is cannot be predicted.
        let loses = one.loses(&other);
        let picked = select_unpredictable(loses, second, first);
        match select_unpredictable(loses, other.slow, one.slow) {
            false => picked,
            true => of_more(candidates, now, pool, picked),
        }
    }

    fn reads_age(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::roster;
    use raddle_core::{Completion, Outcome};
    use std::time::Duration;

    /// Of five that are slow and one that is not, by three pairs of which one has been drawn.
    #[test]
    fn where_a_slow_one_is_the_best_more_pairs_are_drawn() {
        fastrand::seed(0x7065_616b);
        let roster = roster(6);
        let candidates = roster.candidates(None);
        for (index, at) in (0..6).zip(1..) {
            let mut recorder = candidates.worker(index).recorder().unwrap();
            assert!(!candidates.take(index, None).unwrap().hand_over());
            let service = if index == 3 { 1_000 } else { 9_000 };
            recorder.end(&Completion { service, at, ..Completion::new(Outcome::Completed) });
        }
        let mut times = [0; 6];
        (0..9_000).for_each(|_| times[of_more(&candidates, 6, 1_000, 0)] += 1);
        // It is in neither of two pairs of six with 2/3 x 2/3; as good as the picked one none is better.
        assert!((4_800..5_200).contains(&times[3]), "seed 0x7065616b: {times:?}");
        assert_eq!(times[0] + times[3], 9_000, "{times:?}");
    }

    #[test]
    fn slow_is_above_twice_the_pools_mean() {
        for (mean, slow) in [(1_000, false), (2_001, false), (2_002, true), (9_000, true)] {
            let roster = roster(1);
            let candidates = roster.candidates(None);
            let took = Duration::from_nanos(mean);
            candidates.take(0, None).unwrap().finish(Outcome::Completed, took);
            let seen = Seen::of(&candidates, 0, 1, 1_000).unwrap();
            assert_eq!(seen.slow, slow, "{mean} where the pool has 1,000");
        }
    }
}
