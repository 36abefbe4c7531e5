//! Measures the time of a selection.

use std::sync::Arc;

use raddle::strategies::{Strategy, StrategyError};
use raddle::{Candidates, Clock, Roster, TaskProfile};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A strategy with a clock around it.
#[derive(Debug)]
pub struct Timed {
    strategy: Box<dyn Strategy>,
    clock: Clock,
    sum: Arc<PickTime>,
}

/// The total time of all picks.
#[derive(Debug, Default)]
pub struct PickTime {
    picks: AtomicU64,
    nanos: AtomicU64,
}

impl Timed {
    /// Wraps `strategy` and adds its times to `sum`.
    pub fn new(strategy: Box<dyn Strategy>, sum: Arc<PickTime>) -> Self {
        Self { strategy, clock: Clock::real(), sum }
    }
}

impl PickTime {
    /// Returns the mean time of a pick in nanoseconds, without the cost of reading the clock; NaN
    /// if nothing was picked.
    pub fn mean_ns(&self) -> f64 {
        let mean = self.nanos.load(Relaxed) as f64 / self.picks.load(Relaxed) as f64;
        // `max` would turn NaN into 0.
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

    fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
        let prepared = self.strategy.prepare(roster)?;
        Some(Arc::new(Self::new(Box::new(prepared), Arc::clone(&self.sum))))
    }

    fn validate(&self) -> Result<(), StrategyError> {
        self.strategy.validate()
    }

    fn reads_age(&self) -> bool {
        self.strategy.reads_age()
    }

    fn lets_steal(&self) -> bool {
        self.strategy.lets_steal()
    }

    fn routes_keys(&self) -> bool {
        self.strategy.routes_keys()
    }

    fn tells_keys_apart(&self) -> bool {
        self.strategy.tells_keys_apart()
    }

    fn needs_tracking(&self) -> bool {
        self.strategy.needs_tracking()
    }

    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        self.strategy.weights(roster)
    }
}

/// The time between two successive readings of the clock: the minimum of many, because preemption
/// only adds to it.
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
    fn without_picks_there_is_no_mean() {
        assert!(PickTime::default().mean_ns().is_nan());
    }

    #[test]
    fn the_cost_of_the_clock_is_subtracted() {
        let sum = PickTime::default();
        sum.picks.store(2, Relaxed);
        sum.nanos.store(2_000_000, Relaxed);
        let mean = sum.mean_ns();
        assert!(mean <= 1e6 && mean > 0.0, "{mean}");
    }
}
