use super::LatencyRing;
use raddle_sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// How a worker's statistics are written: chosen by type, so that a worker's own thread needs no
/// read-modify-write instruction.
pub(crate) trait Writer {
    /// Increases a counter.
    fn add(counter: &AtomicU64, by: u64);
    /// Increments a counter and returns its previous value.
    fn increment(counter: &AtomicU32) -> u32;
    /// Raises `maximum` to at least `value`.
    fn maximum(maximum: &AtomicU64, value: u64);
    /// Replaces a word with a function of it.
    fn replace(word: &AtomicU64, next: impl Fn(u64) -> u64);
    /// Replaces an `f64`, stored as bits, with a function of it.
    #[inline]
    fn update(average: &AtomicU64, next: impl Fn(f64) -> f64) {
        Self::replace(average, |bits| next(f64::from_bits(bits)).to_bits());
    }
    /// Adds a latency to a ring, and returns the resulting total if it is known.
    fn push(ring: &LatencyRing, latency: u64) -> Option<u64>;
}

/// The calling thread is the only writer: plain loads and stores.
pub(crate) struct Exclusive;

/// Any thread may write: read-modify-write instructions.
pub(crate) struct Shared;

impl Writer for Exclusive {
    #[inline]
    fn add(counter: &AtomicU64, by: u64) {
        counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
    }

    #[inline]
    fn increment(counter: &AtomicU32) -> u32 {
        let before = counter.load(Relaxed);
        counter.store(before.wrapping_add(1), Relaxed);
        before
    }

    #[inline]
    fn maximum(maximum: &AtomicU64, value: u64) {
        if value > maximum.load(Relaxed) {
            maximum.store(value, Relaxed);
        }
    }

    #[inline]
    fn replace(word: &AtomicU64, next: impl Fn(u64) -> u64) {
        word.store(next(word.load(Relaxed)), Relaxed);
    }

    #[inline]
    fn push(ring: &LatencyRing, latency: u64) -> Option<u64> {
        ring.push_exclusive(latency);
        None
    }
}

/// Attempts of [`Shared::replace`] before it drops the sample, which keeps it wait-free.
const ATTEMPTS: usize = 8;

impl Writer for Shared {
    #[inline]
    fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Relaxed);
    }

    #[inline]
    fn increment(counter: &AtomicU32) -> u32 {
        counter.fetch_add(1, Relaxed)
    }

    #[inline]
    fn maximum(maximum: &AtomicU64, value: u64) {
        maximum.fetch_max(value, Relaxed);
    }

    #[inline]
    fn replace(word: &AtomicU64, next: impl Fn(u64) -> u64) {
        let mut seen = word.load(Relaxed);
        for _ in 0..ATTEMPTS {
            match word.compare_exchange(seen, next(seen), Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    fn push(ring: &LatencyRing, latency: u64) -> Option<u64> {
        ring.push_shared(latency)
    }
}
