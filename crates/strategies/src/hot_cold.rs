use std::hint::select_unpredictable;

use raddle_core::{Candidates, Signals, TaskProfile};

use crate::quantile::CountQuantile;
use crate::{ConfigError, Strategy, delay, sample};

/// Of a few candidates the fastest that is not among the busiest of the pool.
///
/// - **Rule:** a worker is *hot* when `q`, its tasks in flight, exceeds the pool's 0.84-quantile of
///   `q`, else *cold*. Of three distinct candidates at random the cold one with the lowest
///   `max(mean, age) x (q + 1)`; none cold: the one with the lowest `q`, and of those the lowest
///   `max(mean, age) x (q + 1)`. Ties at random. Mean, age and what is made of no data and of stale data
///   are those of [`LatencyBased`](crate::LatencyBased). Of a worker that fails more often than not
///   `q` counts as the highest among the three that do not: who fails at once has no queue, and
///   gets no credit for it.
/// - **Source:** Prequal (Wydrowski, Kleinberg, Rumble and Archer, "Load is not what you should
///   balance", NSDI 2024): its rule "hot-cold lexicographic", its quantile 2^(-1/4) = 0.84 and its
///   rate of three probes a task. Its probes answer later and are kept in a pool; here workers are
///   read at once. The quantile is not that of the three but of all candidates that selections have
///   looked at, estimated by stochastic approximation (Robbins and Monro, 1951): one selection in 32
///   moves the estimate, up where it saw more in flight, down where it saw as much or less.
/// - **Cost:** O(1), wait-free: two cache lines for each of the three, one shared by all selecting
///   threads, of whom one selection in 32 writes it, and a clock reading unless the task tells its time.
/// - **Made for:** large pools whose workers have neighbours on their machine: latency decides while
///   a worker keeps up, and what is in flight as soon as it does not.
/// - **Traps:** the estimate takes a few thousand selections to follow a load that has risen a
///   thousandfold, some ten thousand to come down again; meanwhile too many workers are hot, or none.
///   One estimate serves all capabilities: where their loads differ, those of the busier are hot
///   always, and chosen by `q` alone. In a pool of three it looks at all of them.
#[derive(Debug)]
pub struct HotCold {
    level: CountQuantile,
}

/// How many candidates a selection looks at.
const LOOKS_AT: usize = 3;
/// One selection in so many moves the estimate: a line that all selecting threads read.
const LEARNS_ONE_IN: u32 = 32;
const CLOSED: u64 = Signals::CLOSED;

impl HotCold {
    /// The quantile by default, Prequal's.
    pub const QUANTILE: f64 = 0.84;

    /// Hot above the quantile 0.84.
    pub fn new() -> Self {
        Self { level: CountQuantile::new(Self::QUANTILE as f32) }
    }

    /// Hot above another quantile: the lower it is, the more `q` decides and the less latency.
    ///
    /// ```
    /// use raddle_strategies::HotCold;
    ///
    /// let strategy = HotCold::with_quantile(0.75)?;
    /// assert!(HotCold::with_quantile(75.0).is_err());
    /// # Ok::<(), raddle_strategies::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// Unless it is above 0 and below 1.
    pub fn with_quantile(quantile: f64) -> Result<Self, ConfigError> {
        let share = quantile as f32;
        if share > 0.0 && share < 1.0 {
            return Ok(Self { level: CountQuantile::new(share) });
        }
        Err(ConfigError {
            setting: "quantile".into(),
            value: quantile.to_string(),
            allowed: "above 0 and below 1".into(),
        })
    }

    /// The most tasks that a cold worker has in flight, as estimated at the moment: for reports.
    /// Wait-free.
    pub fn level(&self) -> u64 {
        self.level.get()
    }

    /// The quantile of tasks in flight above which a worker is hot.
    pub fn quantile(&self) -> f64 {
        self.level.share().into()
    }
}

impl Default for HotCold {
    fn default() -> Self {
        Self::new()
    }
}

/// What is read of a candidate.
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
            0 => delay::while_idle(&signals, mean, now, unknown),
            _ => mean.max(signals.stalled_for(now)),
        };
        Some(Self { index, latency, in_flight, failing: signals.is_failing() })
    }

    /// What is compared: of a cold candidate its delay, of a hot one, above every delay, its queue and then
    /// its delay.
    /// `busiest` counts as a failing worker's tasks in flight where that has fewer.
    #[inline]
    fn score(&self, level: u64, busiest: u64) -> u64 {
        const HOT: u64 = 1 << 63;
        // Of a hot one the queue, and then the delay, in microseconds or so.
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

    /// Picks among these, the first of which has the ties.
    #[inline(always)]
    fn among(&self, seen: &[Seen], learns: bool) -> usize {
        if learns {
            self.learn(seen);
        }
        let level = self.level.get();
        let busiest =
            if seen.iter().any(|candidate| candidate.failing) { busiest(seen) } else { 0 };
        let (mut best, mut lowest) = (0, u64::MAX);
        for candidate in seen {
            let score = candidate.score(level, busiest);
            best = select_unpredictable(score < lowest, candidate.index, best);
            lowest = lowest.min(score);
        }
        best
    }
}

/// The most tasks in flight at one that neither fails nor is closed.
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
        // In random order, so that the first may have the ties.
        let (drawn, rest) = sample::three(candidates.len());
        let seen = |index| Seen::of(candidates, index, now, unknown);
        let learns = rest % LEARNS_ONE_IN == 0;
        match drawn.map(seen) {
            [Some(one), Some(two), Some(three)] if candidates.len() >= LOOKS_AT => {
                self.among(&[one, two, three], learns)
            }
            [Some(one), Some(two), _] if candidates.len() == 2 => self.among(&[one, two], learns),
            _ => 0,
        }
    }

    fn reads_age(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A worker's score beside others of which the busiest has 9, and hot above 3.
    fn score(in_flight: u64, latency: u64, failing: bool) -> u64 {
        Seen { index: 0, latency, in_flight, failing }.score(3, 9)
    }

    #[test]
    fn cold_ones_are_told_by_their_delay_and_hot_ones_by_their_queue_first() {
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
        assert_eq!(score(1 << 20, u64::MAX, false), most, "longer ones are alike");
        assert_eq!(score(CLOSED, u64::MAX, false), most);
    }

    #[test]
    fn the_busiest_is_one_that_neither_fails_nor_is_closed() {
        let seen = [(7, true), (2, false), (CLOSED, false), (CLOSED + 1, false), (1, false)];
        let seen =
            seen.map(|(in_flight, failing)| Seen { index: 0, latency: 1, in_flight, failing });
        assert_eq!((busiest(&seen), busiest(&seen[2..4])), (2, 0));
    }

    #[test]
    fn a_quantile_out_of_bounds_is_refused_and_named() {
        assert_eq!(HotCold::with_quantile(0.5).unwrap().quantile(), 0.5);
        for quantile in [0.0, 1.0, -0.1, 84.0, f64::NAN, f64::INFINITY, 1.0 - 1e-12] {
            let error = HotCold::with_quantile(quantile).unwrap_err().to_string();
            assert_eq!(error, format!("quantile is `{quantile}`, allowed is above 0 and below 1"));
        }
    }
}
