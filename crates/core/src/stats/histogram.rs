use std::time::Duration;

use super::writer::Writer;
use raddle_sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Latencies below this many nanoseconds are counted exactly: below 100, a bucket of two would be off
/// by more than 1 %.
const EXACT: u64 = 128;
const EXACT_BITS: u32 = EXACT.ilog2();
/// Buckets per power of two above: half a bucket, in whole nanoseconds, is at most 0.98 % of a latency
/// in it. Buckets of equal width within an octave would take 52.
const PER_OCTAVE: u64 = 41;
/// How much an octave's lower half is stretched, in units of 2^-16: `x + BEND x (1 - x)` approximates
/// `log2(1 + x)`.
const BEND: u64 = 22_000;
/// Latencies from `1 << TOP_BITS` (34 seconds) on share the last bucket.
const TOP_BITS: u32 = 35;
const BUCKETS: usize = (EXACT + (TOP_BITS - EXACT_BITS) as u64 * PER_OCTAVE) as usize;

/// A distribution of latencies in nearly logarithmic buckets: quantiles are within 1 % up to 34
/// seconds, the maximum is exact.
///
/// Recording is wait-free (a load and a store for a worker's own thread), and any thread can read at
/// any time. Takes 5.1 KB. A bucket that would overflow halves all buckets, which keeps the
/// quantiles.
#[derive(Debug)]
pub struct Histogram {
    counts: Box<[AtomicU32]>,
    maximum: AtomicU64,
}

/// A copy of a [`Histogram`], or of several merged.
#[derive(Clone, Debug)]
pub struct HistogramSnapshot {
    counts: Box<[u64]>,
    maximum: u64,
}

impl Histogram {
    pub(crate) fn new(enabled: bool) -> Self {
        let buckets = if enabled { BUCKETS } else { 0 };
        Self {
            counts: (0..buckets).map(|_| AtomicU32::new(0)).collect(),
            maximum: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn record<W: Writer>(&self, latency: u64) {
        let Some(count) = self.counts.get(bucket(latency)) else {
            return;
        };
        if W::increment(count) == u32::MAX - 1 {
            self.halve();
        }
        W::maximum(&self.maximum, latency);
    }

    #[cold]
    fn halve(&self) {
        for count in &self.counts {
            count.store(count.load(Relaxed) / 2, Relaxed);
        }
    }

    /// Copies the distribution, to read quantiles from. Allocates.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut snapshot = HistogramSnapshot::default();
        for (copy, count) in snapshot.counts.iter_mut().zip(&self.counts) {
            *copy = u64::from(count.load(Relaxed));
        }
        snapshot.maximum = self.maximum.load(Relaxed);
        snapshot
    }
}

impl Default for HistogramSnapshot {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), maximum: 0 }
    }
}

impl HistogramSnapshot {
    /// Returns the number of latencies counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the exact longest latency; zero when there is none.
    pub fn maximum(&self) -> Duration {
        Duration::from_nanos(self.maximum)
    }

    /// Adds the latencies of another distribution.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.maximum = self.maximum.max(other.maximum);
    }

    /// Returns the latency that a share `q` (0 to 1) does not exceed, within 1 %; `None` when nothing
    /// was counted. A `q` beyond the bounds counts as the nearest one.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        if rank == count {
            return Some(self.maximum());
        }
        let mut passed = 0;
        let index = self.counts.iter().position(|count| {
            passed += count;
            passed >= rank
        })?;
        let is_last = index == BUCKETS - 1;
        let latency = if is_last { self.maximum } else { middle(index).min(self.maximum) };
        Some(Duration::from_nanos(latency))
    }
}

#[inline]
fn bucket(latency: u64) -> usize {
    if latency < EXACT {
        return latency as usize;
    }
    let octave = latency.ilog2();
    if octave >= TOP_BITS {
        return BUCKETS - 1;
    }
    // The position within the octave, in units of 2^-32.
    let x = (latency << (63 - octave) << 1) >> 32;
    let bent = x + ((x * ((1 << 32) - x)) >> 32) * BEND / (1 << 16);
    let part = (bent * PER_OCTAVE) >> 32;
    (EXACT + u64::from(octave - EXACT_BITS) * PER_OCTAVE + part) as usize
}

/// Returns the smallest latency of a bucket, by bisection: only reports call it.
fn lower_edge(index: usize) -> u64 {
    let (mut below, mut edge) = (0, 1 << TOP_BITS);
    while below < edge {
        let middle = (below + edge) / 2;
        match bucket(middle) < index {
            true => below = middle + 1,
            false => edge = middle,
        }
    }
    edge
}

fn middle(index: usize) -> u64 {
    (lower_edge(index) + lower_edge(index + 1) - 1) / 2
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::writer::{Exclusive, Shared};
    use super::*;
    use crate::nanos;
    use proptest::prelude::*;

    fn quantile_nanos(snapshot: &HistogramSnapshot, q: f64) -> Option<u64> {
        snapshot.quantile(q).map(nanos)
    }

    #[test]
    fn every_bucket_starts_where_the_one_before_ends() {
        for index in 0..BUCKETS - 1 {
            let edge = lower_edge(index);
            assert_eq!(bucket(edge), index, "edge {edge}");
            assert_eq!(bucket(lower_edge(index + 1) - 1), index);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn half_a_bucket_is_at_most_one_percent() {
        let worst = (0..BUCKETS - 1).map(|index| {
            let (low, high) = (lower_edge(index), lower_edge(index + 1) - 1);
            let (down, up) = (middle(index) - low, high - middle(index));
            (down as f64 / low.max(1) as f64).max(up as f64 / high.max(1) as f64)
        });
        let worst = worst.fold(0.0, f64::max);
        assert!((0.0095..0.0099).contains(&worst), "{worst}");
    }

    #[test]
    fn a_full_bucket_halves_all_buckets_and_keeps_the_quantiles() {
        let histogram = Histogram::new(true);
        (0..6).for_each(|_| histogram.record::<Exclusive>(1_000));
        histogram.counts[bucket(10)].store(u32::MAX - 1, Relaxed);
        histogram.record::<Exclusive>(10);
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), u64::from(u32::MAX / 2) + 3);
        assert_eq!(
            (quantile_nanos(&snapshot, 0.5), quantile_nanos(&snapshot, 1.0)),
            (Some(10), Some(1_000))
        );
    }

    #[test]
    fn the_longest_latencies_share_a_bucket_that_counts_as_the_maximum() {
        let histogram = Histogram::new(true);
        let seconds = [1, 40, 50, 60].map(|seconds| seconds * 1_000_000_000);
        seconds.iter().for_each(|latency| histogram.record::<Exclusive>(*latency));
        let snapshot = histogram.snapshot();
        assert_eq!([0.5, 0.75, 1.0].map(|q| quantile_nanos(&snapshot, q)), [Some(seconds[3]); 3]);
        assert!(quantile_nanos(&snapshot, 0.25).unwrap() < 2 * seconds[0]);
    }

    #[test]
    fn an_empty_or_disabled_histogram_has_no_quantile() {
        let disabled = Histogram::new(false);
        disabled.record::<Shared>(7);
        assert_eq!(quantile_nanos(&disabled.snapshot(), 0.5), None);
        assert_eq!(quantile_nanos(&HistogramSnapshot::default(), 0.5), None);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_one_percent(
            mut latencies in prop::collection::vec(0u64..1 << TOP_BITS, 1..300),
            exponents in prop::collection::vec(0u32..TOP_BITS, 300),
            q in 0.0f64..=1.0,
        ) {
            for (latency, exponent) in latencies.iter_mut().zip(exponents) {
                *latency >>= exponent; // spread evenly over the octaves
            }
            let (left, right) = latencies.split_at(latencies.len() / 2);
            let (a, b) = (Histogram::new(true), Histogram::new(true));
            left.iter().for_each(|l| a.record::<Exclusive>(*l));
            right.iter().for_each(|l| b.record::<Shared>(*l));
            let mut merged = a.snapshot();
            merged.merge(&b.snapshot());
            latencies.sort_unstable();
            let rank = ((q * latencies.len() as f64).ceil() as usize).max(1);
            let exact = latencies[rank - 1] as f64;
            let found = quantile_nanos(&merged, q).unwrap() as f64;
            prop_assert!((found - exact).abs() <= 0.01 * exact, "{found} for {exact}");
            prop_assert_eq!(merged.maximum, *latencies.last().unwrap());
            prop_assert_eq!(merged.count(), latencies.len() as u64);
        }
    }
}
