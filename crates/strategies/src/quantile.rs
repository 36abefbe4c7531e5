use raddle_sync::atomic::{AtomicU32, Ordering::Relaxed};

/// An estimate of a quantile of counts, from counts that are seen in passing.
///
/// Stochastic approximation (Robbins and Monro, 1951) of the `x` at which a share `p` of the counts
/// does not exceed `x`: a count above the estimate raises it by `p` steps, another one lowers it by
/// `1 - p`, so that it stays where the one happens `1 - p` and the other `p` of the time. It is what
/// frugal streaming (Ma, Muthukrishnan and Sandler, 2013) does, with steps that are not whole.
///
/// Counts are whole numbers, and often most of them are 0. The estimate then has no place to stay
/// but a whole number at which its drift changes from up to down, and wanders closely about it; so
/// what is read is the estimate rounded. A step is a share of the estimate plus one: the same
/// relative error for short queues and long ones, and as fast a way to either. In the tests'
/// distributions half of the readings are within a tenth of a quantile that is within 0.03 of
/// the one asked for, and 98 in 100 within 0.1.
///
/// Threads may lose each other's updates, which are whole: the estimate then moves a little later.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct CountQuantile {
    /// An `f32`, 0 to [`HIGHEST`].
    estimate: AtomicU32,
    share: f32,
}

/// A step, as a share of the estimate plus one.
const GAIN: f32 = 1.0 / 32.0;
/// Below it every whole number is an `f32`.
const HIGHEST: f32 = (1 << 23) as f32;

impl CountQuantile {
    /// An estimate of the quantile `share`, which is 0 at first.
    pub(crate) fn new(share: f32) -> Self {
        Self { estimate: AtomicU32::new(0), share }
    }

    /// The estimate. Wait-free.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        (f32::from_bits(self.estimate.load(Relaxed)) + 0.5) as u64
    }

    /// Learns from some counts. Wait-free: a load and a store.
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

    /// A distribution of counts, by what it makes of a uniform number.
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

    /// The share of counts that do not exceed `limit`, by brute force.
    fn share_up_to(limit: f64, counts: Counts) -> f64 {
        let grid = 100_000;
        let within = |i: &i32| counts((f64::from(*i) + 0.5) / f64::from(grid)) as f64 <= limit;
        (0..grid).filter(within).count() as f64 / f64::from(grid)
    }

    /// Asserts that an estimate is within a tenth of its value of a quantile that is within `error` of
    /// the share: not more of the counts are below, and not less are up to it.
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
    fn a_count_that_is_the_estimate_does_not_exceed_it() {
        let quantile = CountQuantile::new(0.84);
        quantile.learn([0, 0, 0].into_iter());
        assert_eq!(quantile.estimate.load(Relaxed), 0);
    }

    #[test]
    fn it_finds_the_quantile_of_any_counts_and_stays_there() {
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
                // The middle half of the readings, and 98 in 100 of them.
                for (at, error) in [(125, 0.03), (375, 0.03), (5, 0.1), (494, 0.1)] {
                    assert_is_quantile(name, levels[at], share, error, counts);
                }
            }
        }
    }

    #[test]
    fn it_follows_when_the_counts_change() {
        let quantile = CountQuantile::new(0.84);
        let learn = |count, times| (0..times).for_each(|_| quantile.learn([count; 3].into_iter()));
        learn(1_000, 200);
        assert!(quantile.get().abs_diff(1_000) < 50, "{}", quantile.get());
        learn(0, 600);
        assert_eq!(quantile.get(), 0);
        learn(u64::MAX, 10_000);
        assert_eq!(quantile.get(), HIGHEST as u64, "a bound holds it");
    }

    #[test]
    fn it_finds_it_with_eight_threads_that_lose_each_others_updates() {
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
