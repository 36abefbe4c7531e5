use std::hint::select_unpredictable;

use raddle_core::{Candidates, TaskProfile};

use crate::{Strategy, delay, retry, sample};

/// Picks the better of two candidates by a latency that rises at once and decays with time.
///
/// - **Rule:** of two distinct random candidates, the one with the lower `max(peak, age) x (q +
///   1)`.
///   - `peak` is the worker's [`peak_latency`](raddle_core::WorkerStats::peak_latency): its longest
///     recent latency, decayed over time ([`Tracking::peak_decay`](raddle_core::Tracking), 1 s by
///     default). A failure enters as a penalty; a worker without latencies scores the pool's mean.
///   - `age` is how long it has had tasks without making progress, so that a hung worker does not
///     look better as its peak decays.
///   - `q` is the number of tasks in flight. A worker that fails more often than not counts at
///     least as many as the other one if that does not fail: a worker that fails at once has no
///     queue.
///   - If the better one is slow (its mean is more than twice the pool's), up to two more pairs are
///     drawn, until the best one so far is not slow. So a pick reads up to three pairs.
///     A slow one is taken nevertheless once that [has
///     expired](raddle_core::Signals::has_expired).
/// - **Source:** Finagle's `P2CPeakEwma` (`com.twitter.finagle.loadbalancer`), in which reading a
///   score changes it and a hung worker's score falls. The further pairs are our own: pairs of two
///   slow workers alone would give those more than they can do.
/// - **Use it for:** pools of any size whose workers have bad moments (a garbage collection, a slow
///   disk): one slow task is enough to get fewer, and a short time to be tried again.
/// - **Cost:** O(1), wait-free: two cache lines and a half per candidate read, and one clock
///   reading unless the task carries the time.
/// - **Weak points:** one slow task weighs as much as a slow worker: if tasks differ more than
///   workers, use [`LeastLoaded`](crate::LeastLoaded). If tasks take as long as the decay, peaks
///   are forgotten between them: set a longer one. In a pool of two every pair is the same, and the
///   worse worker is tried only once its peak has decayed.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeakEwma;

impl PeakEwma {
    /// Creates the strategy. Set the decay and the penalty with
    /// [`Tracking`](raddle_core::Tracking), since latencies belong to the workers.
    pub fn new() -> Self {
        Self
    }
}

/// The maximum number of pairs drawn.
const PAIRS: usize = 3;

/// What a selection reads from a candidate.
struct Seen {
    latency: u64,
    in_flight: u64,
    failing: bool,
    /// Whether its mean is above twice the pool's.
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
            // Twice the pool's, of which ten among a hundred and ten are already in its mean.
            slow: signals.recent_mean() > pool.wrapping_mul(61) / 32,
        })
    }

    #[inline]
    fn score_beside(&self, other: &Self) -> u64 {
        let no_credit = self.failing & !other.failing;
        let queue =
            select_unpredictable(no_credit, self.in_flight.max(other.in_flight), self.in_flight);
        self.latency.saturating_mul(queue.saturating_add(1))
    }

    /// Tests whether the other one is strictly better.
    #[inline]
    fn loses(&self, other: &Self) -> bool {
        other.score_beside(self) < self.score_beside(other)
    }
}

/// Draws more pairs until the best one so far is not slow.
#[cold]
fn of_more(candidates: &Candidates<'_>, now: u64, pool: u64, picked: usize) -> usize {
    if candidates.signals_at(picked).is_some_and(|signals| retry::is_due(&signals, candidates)) {
        return picked;
    }
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
        // In random order, so that the first one can win ties.
        let (first, second) = sample::two(candidates.len());
        let seen = |index| Seen::of(candidates, index, now, pool);
        let (Some(one), Some(other)) = (seen(first), seen(second)) else { return first };
        // Without a branch: which of two random candidates wins cannot be predicted.
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

    fn needs_tracking(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::roster;
    use raddle_core::{Completion, Outcome};
    use std::time::Duration;

    /// Five workers are slow and one is not; one of three pairs has been drawn.
    #[test]
    fn more_pairs_are_drawn_if_the_best_one_is_slow() {
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
        // It is in neither of two pairs of six with 2/3 x 2/3; no other worker is strictly better.
        assert!((4_800..5_200).contains(&times[3]), "seed 0x7065616b: {times:?}");
        assert_eq!(times[0] + times[3], 9_000, "{times:?}");
    }

    #[test]
    fn slow_means_above_twice_the_pool_s_mean() {
        for (mean, slow) in [(1_000, false), (1_906, false), (1_907, true), (9_000, true)] {
            let roster = roster(1);
            let candidates = roster.candidates(None);
            let took = Duration::from_nanos(mean);
            candidates.take(0, None).unwrap().finish(Outcome::Completed, took);
            let seen = Seen::of(&candidates, 0, 1, 1_000).unwrap();
            assert_eq!(seen.slow, slow, "{mean} where the pool has 1,000");
        }
    }
}
