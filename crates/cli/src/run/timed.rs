//! How long a strategy takes to pick.

use std::sync::Arc;

use raddle::core::{Candidates, Clock, Roster, TaskProfile};
use raddle::strategies::Strategy;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A strategy as it is, with the time of its picks summed up.
#[derive(Debug)]
pub struct Timed {
    strategy: Box<dyn Strategy>,
    clock: Clock,
    sum: Arc<PickTime>,
}

/// The time of all picks.
#[derive(Debug, Default)]
pub struct PickTime {
    picks: AtomicU64,
    nanos: AtomicU64,
}

impl Timed {
    /// Wraps `strategy`; its times go to `sum`.
    pub fn new(strategy: Box<dyn Strategy>, sum: Arc<PickTime>) -> Self {
        Self { strategy, clock: Clock::real(), sum }
    }
}

impl PickTime {
    /// The mean time of a pick in nanoseconds, without the cost of reading the clock; not a
    /// number when nothing was picked.
    pub fn mean_ns(&self) -> f64 {
        let mean = self.nanos.load(Relaxed) as f64 / self.picks.load(Relaxed) as f64;
        // NaN stays NaN: `max` would make it 0.
        if mean.is_nan() { mean } else { (mean - clock_cost_ns()).max(0.0) }
    }
}

impl Strategy for Timed {
    fn name(&self) -> &'static str {
        self.strategy.name()
    }

    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let begin = self.clock.now();
        let picked = self.strategy.pick(task, candidates);
        let nanos = self.clock.now().saturating_sub(begin);
        self.sum.picks.fetch_add(1, Relaxed);
        self.sum.nanos.fetch_add(nanos, Relaxed);
        picked
    }

    fn refresh(&self, roster: &Roster) {
        self.strategy.refresh(roster);
    }

    fn reads_age(&self) -> bool {
        self.strategy.reads_age()
    }

    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        self.strategy.weights(roster)
    }
}

/// What two readings of the clock are apart when nothing is between them: the least of many, since
/// what exceeds it is somebody else's.
fn clock_cost_ns() -> f64 {
    let clock = Clock::real();
    let apart = |_| {
        const READINGS: u64 = 100;
        let begin = clock.now();
        for _ in 0..READINGS {
            std::hint::black_box(clock.now());
        }
        (clock.now() - begin) as f64 / READINGS as f64
    };
    (0..20).map(apart).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_picked_has_no_mean() {
        assert!(PickTime::default().mean_ns().is_nan());
    }

    #[test]
    fn the_clock_is_not_counted() {
        let sum = PickTime::default();
        sum.picks.store(2, Relaxed);
        sum.nanos.store(2_000_000, Relaxed);
        let mean = sum.mean_ns();
        assert!(mean <= 1e6 && mean > 0.0, "{mean}");
    }
}
