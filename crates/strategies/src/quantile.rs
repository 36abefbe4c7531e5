use raddle_sync::atomic::{AtomicU32, Ordering::Relaxed};

/// An estimate of a quantile of counts, updated by sampled counts.
///
/// It uses stochastic approximation (Robbins and Monro, 1951), like frugal streaming (Ma,
/// Muthukrishnan and Sandler, 2013) with fractional steps: a count above the estimate raises it by
/// `p` steps, any other count lowers it by `1 - p` steps. In equilibrium a share `p` of the counts
/// does not exceed it.
///
/// Counts are whole numbers, often 0, so the estimate wanders closely around the whole number where
/// its drift changes direction, and readers round it. A step is a fraction of the estimate plus
/// one, which gives the same relative error and speed for short and long queues. In the
/// distributions of the tests, half of the readings are within a tenth of a quantile that is within
/// 0.03 of `p`, and 98 in 100 of one within 0.1.
///
/// Threads may overwrite each other's updates, each of which is complete: the estimate then follows
/// slightly later.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct CountQuantile {
    /// An `f32`, 0 to [`HIGHEST`].
    estimate: AtomicU32,
    share: f32,
}

/// A step, as a fraction of the estimate plus one.
const GAIN: f32 = 1.0 / 32.0;
/// Up to here every whole number is an `f32`.
const HIGHEST: f32 = (1 << 23) as f32;

impl CountQuantile {
    /// Creates an estimate of the quantile `share`; it starts at 0.
    pub(crate) fn new(share: f32) -> Self {
        Self { estimate: AtomicU32::new(0), share }
    }

    /// Returns the estimate, rounded. Wait-free.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        (f32::from_bits(self.estimate.load(Relaxed)) + 0.5) as u64
    }

    /// Updates the estimate by some counts. Wait-free: a load and a store.
    #[inline]
    pub(crate) fn learn(&self, counts: impl Iterator<Item = u64>) {
        let seen = f32::from_bits(self.estimate.load(Relaxed));
        let estimate = counts.fold(seen, |estimate, count| {
            let step = GAIN * (1.0 + estimate);
            let above = count as f32 > estimate;
            let moved = if above { self.share } else { self.share - 1.0 };
            (estimate + step * moved).clamp(0.0, HIGHEST)
        });
        self.estimate.store(estimate.to_bits(), Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use fastrand::Rng;

    const SEED: u64 = 0x7175_616e_7469;

    /// A distribution of counts: maps a uniform number in [0, 1).
    type Counts = fn(f64) -> u64;

    fn distributions() -> [(&'static str, Counts); 8] {
        [
            ("always 0", |_| 0),
            ("always 7", |_| 7),
            ("9 in 10 are 0", |u| u64::from(u > 0.9)),
            ("half are 0, else up to 20", |u| if u < 0.5 { 0 } else { (40.0 * u) as u64 - 20 }),
            ("uniform below 10", |u| (10.0 * u) as u64),
            ("uniform below 1000", |u| (1000.0 * u) as u64),
            ("geometric, mean 3", |u| ((1.0 - u).ln() / 0.75f64.ln()) as u64),
            ("two kinds, 2 and 500", |u| if u < 0.6 { 2 } else { 500 }),
        ]
    }

    /// Returns the share of counts that do not exceed `limit`, by brute force.
    fn share_up_to(limit: f64, counts: Counts) -> f64 {
        let grid = 100_000;
        let within = |i: &i32| counts((f64::from(*i) + 0.5) / f64::from(grid)) as f64 <= limit;
        (0..grid).filter(within).count() as f64 / f64::from(grid)
    }

    /// Asserts that an estimate is within a tenth of a quantile that is within `error` of `share`.
    fn assert_is_quantile(name: &str, level: u64, share: f64, error: f64, counts: Counts) {
        let level = level as f64;
        let below = share_up_to(0.9 * level - 0.5, counts);
        let up_to = share_up_to(1.1 * level, counts);
        assert!(
            below <= share + error && up_to >= share - error,
            "{name}, seed {SEED:#x}: {level} is the quantile of {below} to {up_to}, not {share}"
        );
    }

    #[test]
    fn a_count_equal_to_the_estimate_does_not_exceed_it() {
        let quantile = CountQuantile::new(0.84);
        quantile.learn([0, 0, 0].into_iter());
        assert_eq!(quantile.estimate.load(Relaxed), 0);
    }

    #[test]
    fn the_estimate_finds_the_quantile_and_stays_there() {
        for (name, counts) in distributions() {
            for share in [0.5, 0.84, 0.95] {
                let mut rng = Rng::with_seed(SEED);
                let quantile = CountQuantile::new(share as f32);
                let mut learn = |times: usize| {
                    for _ in 0..times {
                        quantile.learn((0..3).map(|_| counts(rng.f64())));
                    }
                };
                learn(1_000);
                let mut levels: Vec<_> = (0..500)
                    .map(|_| {
                        learn(10);
                        quantile.get()
                    })
                    .collect();
                levels.sort_unstable();
                // Half of the readings, and 98 in 100 of them.
                for (at, error) in [(125, 0.03), (375, 0.03), (5, 0.1), (494, 0.1)] {
                    assert_is_quantile(name, levels[at], share, error, counts);
                }
            }
        }
    }

    #[test]
    fn the_estimate_follows_changing_counts() {
        let quantile = CountQuantile::new(0.84);
        let learn = |count, times| (0..times).for_each(|_| quantile.learn([count; 3].into_iter()));
        learn(1_000, 200);
        assert!(quantile.get().abs_diff(1_000) < 50, "{}", quantile.get());
        learn(0, 600);
        assert_eq!(quantile.get(), 0);
        learn(u64::MAX, 10_000);
        assert_eq!(quantile.get(), HIGHEST as u64, "bounded");
    }

    #[test]
    fn eight_threads_find_it_despite_lost_updates() {
        for (name, counts) in distributions() {
            let quantile = CountQuantile::new(0.84);
            let read = &|seed| {
                let mut rng = Rng::with_seed(seed);
                let mut learn = || {
                    quantile.learn((0..3).map(|_| counts(rng.f64())));
                    quantile.get()
                };
                (0..20_000).for_each(|_| _ = learn());
                (0..20_000).map(|_| learn()).collect::<Vec<_>>()
            };
            let mut levels = std::thread::scope(|scope| {
                let threads = [0, 1, 2, 3, 4, 5, 6, 7].map(|n| scope.spawn(move || read(SEED + n)));
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            levels.sort_unstable();
            assert_is_quantile(name, levels[levels.len() / 2], 0.84, 0.03, counts);
            assert!(levels.last() <= Some(&1_500), "{name}: far above every count");
        }
    }
}
