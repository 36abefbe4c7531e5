//! Random numbers: one generator per purpose, so that every strategy meets the same tasks.

use fastrand::Rng;

/// What a generator is used for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Arrivals = 1,
    Service,
    Capabilities,
    Keys,
    Failures,
    Dispatchers,
    Stealing,
    /// The strategy's random choices, drawn from the thread's generator.
    Picks,
    /// The blocks of a resampled trace.
    Blocks,
    /// What strategies draw when they are built.
    Starts,
}

/// Returns the seed of a purpose's generator.
pub(crate) fn seed(seed: u64, purpose: Purpose) -> u64 {
    mix(seed ^ mix(purpose as u64))
}

pub(crate) fn rng(of: u64, purpose: Purpose) -> Rng {
    Rng::with_seed(seed(of, purpose))
}

/// Seeds the thread's generator, from which strategies draw; restores it when dropped.
pub(crate) struct ThreadSeed {
    before: u64,
}

impl ThreadSeed {
    pub(crate) fn set(seed: u64) -> Self {
        let before = fastrand::get_seed();
        fastrand::seed(seed);
        Self { before }
    }
}

impl Drop for ThreadSeed {
    fn drop(&mut self) {
        fastrand::seed(self.before);
    }
}

/// Draws from an exponential distribution; the mean may be infinite.
pub(crate) fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    // `1 - u` is never 0.
    -(1.0 - rng.f64()).ln() * mean
}

/// Mixes 64 bits: the finalizer of SplitMix64 (Steele, Lea, Flood, 2014).
pub(crate) fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
