use crate::{Tracking, TrackingError};
use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The last N latencies of a worker, with their mean available in one load.
///
/// The sum and the number of the latencies in the ring share one atomic word, so a mean is never
/// torn: it is always the mean of latencies that were in the ring together, rounded down to whole
/// nanoseconds, and exact when nobody writes.
///
/// # Cost
/// [`mean`](Self::mean) is one load and a division. [`push`](Self::push), for several writers, is
/// wait-free: three read-modify-write instructions and a store. [`push_exclusive`](Self::push_exclusive),
/// for a single writer, uses plain loads and stores. Only [`new`](Self::new) and
/// [`quantile`](Self::quantile) allocate.
///
/// # Bounds
/// The word holds `64 - bits(N)` bits of sum, so a latency above [`ceiling`](Self::ceiling) counts
/// as the ceiling: 16 days at N = 100, 2.1 s at N = 65,536.
///
/// ```
/// use raddle_core::LatencyRing;
///
/// let ring = LatencyRing::new(3)?;
/// for latency in [100, 10, 20, 30] {
///     ring.push(latency);
/// }
/// assert_eq!(ring.mean(), Some(20)); // of the last three
/// # Ok::<(), raddle_core::TrackingError>(())
/// ```
// The protocol, and why a mean is never torn: docs/worker-statistics.md.
#[derive(Debug)]
pub struct LatencyRing {
    /// `sum << count_bits | count` over the latencies in the ring.
    total: AtomicU64,
    /// The number of latencies pushed so far. The next one goes to `cursor % N`.
    cursor: AtomicU64,
    /// Each entry is [`EMPTY`], [`BUSY`], or a latency plus one.
    entries: Box<[AtomicU64]>,
    ceiling: u64,
    count_bits: u32,
}

const EMPTY: u64 = 0;
const BUSY: u64 = u64::MAX;

impl LatencyRing {
    /// Creates a ring of the last `window` latencies.
    ///
    /// # Errors
    /// When `window` is 0 or above 65,536.
    pub fn new(window: usize) -> Result<Self, TrackingError> {
        Tracking { window, ..Tracking::default() }.validate()?;
        Ok(Self::with_window(window))
    }

    /// Creates a ring of a window that was checked, or of 0 to keep nothing.
    pub(super) fn with_window(window: usize) -> Self {
        let count_bits = usize::BITS - window.leading_zeros();
        Self {
            total: AtomicU64::new(0),
            cursor: AtomicU64::new(0),
            entries: (0..window).map(|_| AtomicU64::new(EMPTY)).collect(),
            ceiling: (u64::MAX >> count_bits) / (window as u64).max(1),
            count_bits,
        }
    }

    /// Returns the number of latencies that the ring can hold.
    pub fn window(&self) -> usize {
        self.entries.len()
    }

    /// Returns the latency, in nanoseconds, as which every longer one counts.
    pub fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// Adds a latency in nanoseconds. Wait-free; any thread may call it at any time.
    ///
    /// The latency is dropped when its entry is still being written by a thread that was suspended
    /// there while others filled the whole ring.
    pub fn push(&self, latency: u64) {
        self.push_shared(latency);
    }

    /// Like [`push`](Self::push), and returns the resulting total; `None` when the latency was
    /// dropped.
    pub(super) fn push_shared(&self, latency: u64) -> Option<u64> {
        let window = self.entries.len() as u64;
        if window == 0 {
            return None;
        }
        let entry = &self.entries[(self.cursor.fetch_add(1, Relaxed) % window) as usize];
        let new = latency.min(self.ceiling) + 1;
        // BUSY makes this thread the entry's only writer. Acquire pairs with the Release below: the
        // entry's last writer has added to the total before we subtract, so no sum is negative.
        // No model needs this Acquire: loom adds to the total in the order in which it runs the two
        // steps.
        let old = entry.swap(BUSY, Acquire);
        if old == BUSY {
            return None;
        }
        let delta = self.delta(old, new);
        let total = self.total.fetch_add(delta, Relaxed).wrapping_add(delta);
        // No model needs this Release: for the same reason as the Acquire of the swap.
        entry.store(new, Release);
        Some(total)
    }

    /// Adds a latency in nanoseconds while no other thread pushes. Wait-free, without a
    /// read-modify-write instruction. If other threads push nevertheless, latencies are lost, and
    /// nothing worse happens.
    #[inline]
    pub fn push_exclusive(&self, latency: u64) {
        let window = self.entries.len();
        if window == 0 {
            return;
        }
        let cursor = self.cursor.load(Relaxed) as usize;
        // Divides once per lap, not once per latency.
        let index = if cursor < window { cursor } else { cursor % window };
        self.cursor.store(index as u64 + 1, Relaxed);
        let entry = &self.entries[index];
        let new = latency.min(self.ceiling) + 1;
        let old = entry.load(Relaxed);
        entry.store(new, Relaxed);
        self.total.store(self.total.load(Relaxed).wrapping_add(self.delta(old, new)), Relaxed);
    }

    /// Removes every latency but those being written. Any thread may call it if all push by
    /// [`push`](Self::push); otherwise only the one that pushes. Takes as many steps as the window is
    /// long.
    pub fn clear(&self) {
        for entry in &self.entries {
            // As in `push_shared`.
            // No model needs this Acquire: for the same reason as there.
            let old = entry.swap(BUSY, Acquire);
            if old == BUSY {
                continue;
            }
            if old != EMPTY {
                let latency = (old - 1) << self.count_bits;
                self.total.fetch_sub(latency + 1, Relaxed);
            }
            // No model needs this Release: for the same reason as the Acquire.
            entry.store(EMPTY, Release);
        }
    }

    /// Returns up to `count` latencies, no more than the window, newest first; `None` for each that is
    /// missing or being written.
    pub(super) fn latest(&self, count: usize) -> impl Iterator<Item = Option<u64>> {
        let next =
            (self.cursor.load(Relaxed) as usize).checked_rem(self.entries.len()).unwrap_or(0);
        let (last, first) = self.entries.split_at(next);
        last.iter().rev().chain(first.iter().rev()).take(count).map(|entry| {
            match entry.load(Relaxed) {
                EMPTY | BUSY => None,
                value => Some(value - 1),
            }
        })
    }

    /// Returns what replacing `old` with `new` adds to the total.
    #[inline]
    fn delta(&self, old: u64, new: u64) -> u64 {
        match old {
            EMPTY => ((new - 1) << self.count_bits) + 1,
            old => new.wrapping_sub(old) << self.count_bits,
        }
    }

    /// Returns the sum in nanoseconds and the number of the latencies in the ring, as of one instant.
    #[inline]
    pub fn sum_and_count(&self) -> (u64, u64) {
        self.split(self.total.load(Relaxed))
    }

    /// Returns the mean of the latencies in the ring, in nanoseconds; `None` while it is empty.
    #[inline]
    pub fn mean(&self) -> Option<u64> {
        let (sum, count) = self.sum_and_count();
        sum.checked_div(count)
    }

    /// Splits a total into sum and count.
    #[inline]
    pub(super) fn split(&self, total: u64) -> (u64, u64) {
        (total >> self.count_bits, total & !(u64::MAX << self.count_bits))
    }

    /// Returns the standard error of the [mean](Self::mean) as a share of it: how far the mean is off by
    /// chance. `None` with fewer than two latencies. For use off the path of tasks: reads the ring.
    pub fn relative_error(&self) -> Option<f64> {
        let latencies = self.latest(self.window()).flatten().map(|latency| latency as f64);
        let (count, sum, squares) = latencies.fold((0.0, 0.0, 0.0), |(count, sum, squares), x| {
            (count + 1.0, sum + x, squares + x * x)
        });
        let mean: f64 = sum / count;
        let variance = (squares / count - mean * mean).max(0.0) / (count - 1.0);
        (count > 1.0 && mean > 0.0).then(|| variance.sqrt() / mean)
    }

    /// Returns the latency, in nanoseconds, that a share `q` (0 to 1) of those in the ring does not
    /// exceed; `None` while it is empty. A `q` beyond the bounds counts as the nearest one. For
    /// reports: copies and partly sorts the ring.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let mut latencies: Vec<u64> = self
            .entries
            .iter()
            .map(|entry| entry.load(Relaxed))
            .filter(|value| !matches!(*value, EMPTY | BUSY))
            .map(|value| value - 1)
            .collect();
        if latencies.is_empty() {
            return None;
        }
        let rank = (q.clamp(0.0, 1.0) * latencies.len() as f64).ceil() as usize;
        let (_, latency, _) = latencies.select_nth_unstable(rank.saturating_sub(1));
        Some(*latency)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    #[test]
    fn windows_out_of_bounds_are_rejected() {
        assert!(LatencyRing::new(0).is_err());
        assert!(LatencyRing::new(65_537).is_err());
        assert_eq!(LatencyRing::new(65_536).unwrap().window(), 65_536);
    }

    #[test]
    fn latest_returns_the_newest_first_and_at_most_the_window() {
        let ring = LatencyRing::new(3).unwrap();
        let latest = |count| ring.latest(count).collect::<Vec<_>>();
        assert_eq!(latest(2), [None, None]);
        [7, 0].iter().for_each(|latency| ring.push_exclusive(*latency));
        assert_eq!(latest(4), [Some(0), Some(7), None]);
        [9, 8].iter().for_each(|latency| ring.push_exclusive(*latency));
        assert_eq!(latest(2), [Some(8), Some(9)]);
        assert_eq!(latest(4), [Some(8), Some(9), Some(0)]);
    }

    #[test]
    fn a_latency_of_zero_counts() {
        let ring = LatencyRing::new(4).unwrap();
        assert_eq!(ring.mean(), None);
        ring.push(0);
        assert_eq!(ring.mean(), Some(0));
        ring.push_exclusive(0);
        assert_eq!(ring.sum_and_count(), (0, 2));
    }

    #[test]
    fn latencies_above_the_ceiling_count_as_the_ceiling() {
        for window in [1, 100, 65_536] {
            let ring = LatencyRing::new(window).unwrap();
            for _ in 0..2 * window {
                ring.push(u64::MAX);
            }
            assert_eq!(ring.mean(), Some(ring.ceiling()));
        }
    }

    #[test]
    fn a_disabled_ring_keeps_nothing() {
        let ring = LatencyRing::with_window(0);
        ring.push(5);
        ring.push_exclusive(5);
        assert_eq!((ring.mean(), ring.quantile(0.5)), (None, None));
    }

    #[test]
    fn several_writers_keep_sum_and_entries_consistent() {
        let ring = Arc::new(LatencyRing::new(64).unwrap());
        std::thread::scope(|scope| {
            for writer in 0..4u64 {
                let ring = &ring;
                scope.spawn(move || (0..10_000).for_each(|i| ring.push(1_000 + writer + i % 3)));
            }
        });
        let (sum, count) = ring.sum_and_count();
        let entries: u64 = ring.entries.iter().map(|entry| entry.load(Relaxed) - 1).sum();
        assert_eq!((sum, count), (entries, 64));
    }

    proptest! {
        #[test]
        fn the_mean_is_the_mean_of_the_window(
            window in 1usize..40,
            latencies in prop::collection::vec((0u64..1 << 40, any::<bool>()), 0..200),
        ) {
            // Either way of pushing, but not mixed: they share the cursor.
            let exclusive = latencies.first().is_some_and(|(_, exclusive)| *exclusive);
            let ring = LatencyRing::new(window).unwrap();
            let mut model = std::collections::VecDeque::new();
            for (latency, _) in latencies {
                if exclusive { ring.push_exclusive(latency) } else { ring.push(latency) }
                model.push_back(latency);
                if model.len() > window {
                    model.pop_front();
                }
                prop_assert_eq!(ring.mean(), Some(model.iter().sum::<u64>() / model.len() as u64));
            }
            let mut sorted: Vec<_> = model.into_iter().collect();
            sorted.sort_unstable();
            prop_assert_eq!(ring.quantile(1.0), sorted.last().copied());
            prop_assert_eq!(ring.quantile(0.0), sorted.first().copied());
            prop_assert_eq!(
                ring.quantile(0.5),
                (!sorted.is_empty()).then(|| sorted[sorted.len().div_ceil(2) - 1])
            );
        }
    }
}
