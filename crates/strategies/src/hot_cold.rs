use std::hint::select_unpredictable;

use raddle_core::{Candidates, Signals, TaskProfile};

use crate::quantile::CountQuantile;
use crate::{Strategy, StrategyError, delay, sample};

/// Draws three candidates and picks the fastest one that is not among the busiest of the pool.
///
/// - **Rule:** a worker is *hot* if `q`, its tasks in flight, exceeds the pool's 0.84-quantile of
///   `q`; otherwise it is *cold*. Three distinct candidates are drawn. The cold one with the lowest
///   `max(mean, age) x (q + 1)` wins; if all are hot, the one with the lowest `q`, then the lowest
///   `max(mean, age) x (q + 1)`. Ties are broken at random. Mean, age, missing data and stale data
///   are treated as by [`LatencyBased`](crate::LatencyBased). For a worker that fails more often
///   than not, `q` counts as the highest among the drawn workers that do not, because a worker
///   that fails at once never has a queue. When either [has
///   expired](raddle_core::Signals::has_expired), the worker is tried again as soon as it is drawn.
/// - **Source:** Prequal (Wydrowski, Kleinberg, Rumble and Archer, "Load is not what you should
///   balance", NSDI 2024): its rule "hot-cold lexicographic", its quantile 2^(-1/4) = 0.84 and its
///   rate of three probes per task. Prequal's probes answer later and are pooled; here workers are
///   read at once. The quantile is that of all drawn candidates, estimated by stochastic
///   approximation (Robbins and Monro, 1951): one selection in 32 moves the estimate, up if it saw
///   more in flight, down if it saw as much or less.
/// - **Use it for:** large pools whose workers share their machine with others: latency decides
///   while a worker keeps up, and tasks in flight as soon as it does not.
/// - **Cost:** O(1), wait-free: two cache lines per drawn candidate, one line that all selecting
///   threads share and one selection in 32 writes, and a clock reading unless the task carries the
///   time.
/// - **Weak points:** the estimate needs a few thousand selections to follow a load that rises a
///   thousandfold, and some ten thousand to come down; until then too many workers are hot, or
///   none. One estimate serves all capabilities: if their loads differ, the workers of the busier
///   ones are always hot and compared by `q` alone. In a pool of three it reads every worker.
#[derive(Debug)]
pub struct HotCold {
    quantile: f64,
    level: CountQuantile,
}

/// Candidates that a selection reads.
const DRAWN: usize = 3;
/// One selection in this many moves the estimate, which all selecting threads read.
const LEARNS_ONE_IN: u32 = 32;
const CLOSED: u64 = Signals::CLOSED;

impl HotCold {
    /// The default quantile, Prequal's.
    pub const QUANTILE: f64 = 0.84;

    /// Creates the strategy with the quantile [`QUANTILE`](Self::QUANTILE).
    pub fn new() -> Self {
        Self::with_quantile(Self::QUANTILE)
    }

    /// Creates the strategy with another quantile, above 0 and below 1. The lower it is, the more
    /// tasks in flight decide and the less latency does.
    pub fn with_quantile(quantile: f64) -> Self {
        Self { quantile, level: CountQuantile::new(quantile as f32) }
    }

    /// Returns the current estimate of how many tasks a cold worker has in flight at most; for
    /// reports. Wait-free.
    pub fn level(&self) -> u64 {
        self.level.get()
    }
}

impl Default for HotCold {
    fn default() -> Self {
        Self::new()
    }
}

/// What a selection reads from a candidate.
struct Seen {
    index: usize,
    latency: u64,
    in_flight: u64,
    failing: bool,
}

impl Seen {
    #[inline]
    fn of(candidates: &Candidates<'_>, index: usize, now: u64, unknown: u64) -> Option<Self> {
        let signals = candidates.signals_at(index)?;
        let (in_flight, mean) = (signals.in_flight(), delay::mean_or(unknown, &signals));
        let latency = match in_flight {
            0 => delay::while_idle(&signals, mean, now),
            _ => mean.max(signals.stalled_for(now)),
        };
        // One that is tried again is not held to fail.
        let failing = signals.is_failing() & (latency > 0);
        Some(Self { index, latency, in_flight, failing })
    }

    /// Returns a cold candidate's delay, or for a hot one a value above every delay, by its queue
    /// and then its delay. A failing worker counts as having at least `busiest` tasks in flight.
    #[inline]
    fn score(&self, level: u64, busiest: u64) -> u64 {
        const HOT: u64 = 1 << 63;
        // The bits of a hot one's queue start here; its delay is below, in units of about 1 us.
        const QUEUE: u32 = 43;
        let queue = select_unpredictable(self.failing, self.in_flight.max(busiest), self.in_flight);
        let delay = self.latency.saturating_mul(queue.saturating_add(1)).min(HOT - 1);
        let hot = HOT | queue.min((1 << (63 - QUEUE)) - 1) << QUEUE | delay >> (63 - QUEUE);
        select_unpredictable(queue > level, hot, delay)
    }
}

impl HotCold {
    #[cold]
    fn learn(&self, seen: &[Seen]) {
        let counts = seen.iter().map(|candidate| candidate.in_flight);
        self.level.learn(counts.filter(|count| *count < CLOSED));
    }

    /// Picks one of these; the first one wins ties.
    #[inline(always)]
    fn among(&self, seen: &[Seen], learns: bool) -> usize {
        if learns {
            self.learn(seen);
        }
        let level = self.level.get();
        let busiest =
            if seen.iter().any(|candidate| candidate.failing) { busiest(seen) } else { 0 };
        // One that was drawn, even if all of them are closed.
        let (mut best, mut lowest) = (seen.first().map_or(0, |first| first.index), u64::MAX);
        for candidate in seen {
            let score = candidate.score(level, busiest);
            best = select_unpredictable(score < lowest, candidate.index, best);
            lowest = lowest.min(score);
        }
        best
    }
}

/// Returns the most tasks in flight at any worker that neither fails nor is closed.
#[cold]
fn busiest(seen: &[Seen]) -> u64 {
    let open = seen.iter().filter(|other| !other.failing && other.in_flight < CLOSED);
    open.map(|other| other.in_flight).max().unwrap_or(0)
}

impl Strategy for HotCold {
    fn name(&self) -> &'static str {
        "hot_cold"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let (now, unknown) = (delay::now(task, candidates), delay::unknown(candidates));
        // In random order, so that the first one can win ties.
        let (drawn, rest) = sample::three(candidates.len());
        let seen = |index| Seen::of(candidates, index, now, unknown);
        let learns = rest % LEARNS_ONE_IN == 0;
        match drawn.map(seen) {
            [Some(one), Some(two), Some(three)] if candidates.len() >= DRAWN => {
                self.among(&[one, two, three], learns)
            }
            [Some(one), Some(two), _] if candidates.len() == 2 => self.among(&[one, two], learns),
            _ => 0,
        }
    }

    fn validate(&self) -> Result<(), StrategyError> {
        // As it is used: a quantile that rounds to 1 is never exceeded.
        let used = self.quantile as f32;
        let (within, quantile) = (used > 0.0 && used < 1.0, self.quantile);
        StrategyError::unless(within, self.name(), "quantile", quantile, "above 0 and below 1")
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

    /// Returns the score of a worker where more than 3 tasks are hot and the busiest other has 9.
    fn score(in_flight: u64, latency: u64, failing: bool) -> u64 {
        Seen { index: 0, latency, in_flight, failing }.score(3, 9)
    }

    #[test]
    fn cold_workers_compare_by_delay_and_hot_ones_by_queue_first() {
        let rising = [
            score(0, 1_000, false),
            score(3, 500, false),
            score(3, 501, false),
            score(0, u64::MAX, false),
            score(4, 1, false),
            score(4, 1_000_000_000, false),
            score(5, 1, false),
            score(9, 1_000_000_000, false),
            score(0, 20_000_000_000, true),
            score(10, 1, true),
            score((1 << 20) - 2, 1, false),
            score((1 << 20) - 1, 1, false),
        ];
        assert!(rising.is_sorted_by(|lower, higher| lower < higher), "{rising:?}");
        let most = score((1 << 20) - 1, u64::MAX, false);
        assert_eq!(score(1 << 20, u64::MAX, false), most, "longer queues are equal");
        assert_eq!(score(CLOSED, u64::MAX, false), most);
    }

    #[test]
    fn the_busiest_neither_fails_nor_is_closed() {
        let seen = [(7, true), (2, false), (CLOSED, false), (CLOSED + 1, false), (1, false)];
        let seen =
            seen.map(|(in_flight, failing)| Seen { index: 0, latency: 1, in_flight, failing });
        assert_eq!((busiest(&seen), busiest(&seen[2..4])), (2, 0));
    }

    #[test]
    fn a_quantile_out_of_bounds_is_refused_and_still_picks() {
        assert!(HotCold::with_quantile(0.5).validate().is_ok());
        let roster = crate::testing::roster(5);
        for quantile in [0.0, 1.0, -0.1, 84.0, f64::NAN, f64::INFINITY, 1.0 - 1e-12] {
            let strategy = HotCold::with_quantile(quantile);
            let error = strategy.validate().unwrap_err().to_string();
            let expected =
                format!("quantile of hot_cold is {quantile}, allowed is above 0 and below 1");
            assert_eq!(error, expected);
            let picks = crate::testing::picks(&strategy, &TaskProfile::default(), &roster, 1_000);
            assert!(picks.into_iter().all(|index| index < 5));
        }
    }
}
