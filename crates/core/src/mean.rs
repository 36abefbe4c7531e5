use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A moving mean of times in nanoseconds, in one word.
///
/// Bits 32 to 63: the mean, an `f32` of at least 1.0. Bits 0 to 31: the number of samples, up to
/// `MOST`. 0 before the first sample. Concurrent updates may be lost.
#[derive(Debug, Default)]
pub(crate) struct Mean<const MOST: u32>(AtomicU64);

impl<const MOST: u32> Mean<MOST> {
    #[inline]
    pub(crate) fn get(&self) -> Option<f32> {
        let (mean, samples) = self.unpacked();
        (samples > 0).then_some(mean)
    }

    /// Returns the number of samples, up to `MOST`.
    #[inline]
    pub(crate) fn samples(&self) -> u32 {
        self.unpacked().1
    }

    /// Adds a sample, of a weight of at least `gain`, and returns the mean. Before there have been as
    /// many samples as the inverse of that, it is the mean of all of them.
    pub(crate) fn add(&self, nanos: u64, gain: f32) -> f32 {
        let (mean, samples) = self.unpacked();
        let samples = (samples + 1).min(MOST);
        let gain = gain.max(1.0 / samples as f32);
        let next = mean + ((nanos as f32).max(1.0) - mean) * gain;
        self.0.store(u64::from(next.to_bits()) << 32 | u64::from(samples), Relaxed);
        next
    }

    #[inline]
    fn unpacked(&self) -> (f32, u32) {
        let word = self.0.load(Relaxed);
        (f32::from_bits((word >> 32) as u32), word as u32)
    }
}
