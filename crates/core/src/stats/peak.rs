use std::f64::consts::LN_2;
use std::time::Duration;

use super::writer::{Exclusive, Shared, Writer};
use crate::{Tracking, TrackingError, nanos};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A latency that rises at once and falls slowly: a decaying average that is sensitive to peaks.
///
/// Let `d` be the current value, decayed by the time since the last latency, and `w` the decay over
/// that time. A latency `x` above `d` becomes the new value; otherwise the new value is
/// `d + (x - d) (1 - w)`. Reading decays the value too, but writes nothing, so the number of
/// reads does not matter.
///
/// The rule is that of Finagle's `P2CPeakEwma`, with two differences. There every read is written
/// back, so the effect of a latency depends on how often the value was read before it. And there a
/// latency just below the value raises it; here a longer latency always results in a value that is
/// as high or higher.
///
/// # Decay
/// The value halves every `tau ln 2`, as `e^-(t / tau)` does, and falls linearly in between: exact
/// after whole half-lives, never below the true decay and at most 6.2 % above it. It takes two exact
/// floating-point operations and no call to a math library, so every machine computes the same
/// values.
///
/// # Cost
/// Value and time share one atomic word, so no read is torn. [`push`](Self::push), for several
/// writers, is wait-free: at most eight compare-exchanges, then the latency is dropped.
/// [`push_exclusive`](Self::push_exclusive) is a load and a store, [`get`](Self::get) a load.
/// Nothing allocates.
///
/// # Bounds
/// The value is an `f32`: seven digits. The time is kept in ticks of 1/1,024 of a half-life, modulo
/// 2^32. A value that was not written for 4 million half-lives (34 days if tau is 1 s) minus 65,536
/// (13 hours) reads as if it had just been written, until those 65,536 are over. A clock that goes
/// back by up to 65,536 half-lives causes no decay; if it goes back further, the value counts as old
/// until the next latency.
///
/// ```
/// use std::time::Duration;
/// use raddle_core::PeakLatency;
///
/// const SECOND: u64 = 1_000_000_000;
/// let peak = PeakLatency::new(Duration::from_secs(1))?;
/// peak.push(2_000, SECOND);
/// peak.push(9_000, SECOND); // a peak counts at once
/// assert_eq!(peak.get(SECOND), Some(9_000));
/// let later = peak.get(2 * SECOND).unwrap_or_default(); // 9,000 / e, and no more than 6.2 % above
/// assert!((3_310..3_516).contains(&later));
/// # Ok::<(), raddle_core::TrackingError>(())
/// ```
#[derive(Debug)]
pub struct PeakLatency {
    /// Bits 32 to 63: the value as an `f32`, at least 1.0. Bits 0 to 31: the time of the last latency
    /// in ticks. 0 before the first.
    word: AtomicU64,
    /// Ticks per nanosecond, in units of 2^-64.
    rate: u64,
}

/// Ticks per half-life.
const HALF: u32 = 1 << HALF_BITS;
const HALF_BITS: u32 = 10;
/// The most ticks by which a clock may have gone back.
const BACK: u32 = 1 << (16 + HALF_BITS);
/// The number of half-lives after which nothing is left of the longest latency.
const MOST_HALVES: u32 = 64;

impl PeakLatency {
    /// Creates a latency that falls to `1/e` in `decay`.
    ///
    /// # Errors
    /// When `decay` is out of [its bounds](Tracking::peak_decay).
    pub fn new(decay: Duration) -> Result<Self, TrackingError> {
        Tracking { peak_decay: decay, ..Tracking::default() }.validate()?;
        Ok(Self::of(decay))
    }

    /// Like [`new`](Self::new), for a `decay` that has been checked.
    pub(super) fn of(decay: Duration) -> Self {
        let half = nanos(decay) as f64 * LN_2;
        let rate = 2f64.powi(64) * f64::from(HALF) / half;
        Self { word: AtomicU64::new(0), rate: rate as u64 }
    }

    /// Adds a latency in nanoseconds that ended at the clock's `at`; does nothing when that is 0, for
    /// unknown. Wait-free; any thread may call it at any time. A latency that collides with eight
    /// others is dropped.
    pub fn push(&self, latency: u64, at: u64) {
        self.record::<Shared>(latency, at);
    }

    /// Adds a latency in nanoseconds while no other thread pushes. Wait-free, without a
    /// read-modify-write instruction. If other threads push nevertheless, latencies are lost, and
    /// nothing worse happens.
    #[inline]
    pub fn push_exclusive(&self, latency: u64, at: u64) {
        self.record::<Exclusive>(latency, at);
    }

    #[inline]
    pub(super) fn record<W: Writer>(&self, latency: u64, at: u64) {
        if at != 0 {
            let (latency, tick) = ((latency as f32).max(1.0), self.tick(at));
            W::replace(&self.word, |word| after(word, latency, tick));
        }
    }

    /// Forgets all latencies.
    pub(super) fn clear(&self) {
        self.word.store(0, Relaxed);
    }

    /// Returns the value in nanoseconds at the clock's `now`, at least 1; `None` before the first
    /// latency.
    #[inline]
    pub fn get(&self, now: u64) -> Option<u64> {
        let (value, since) = unpacked(self.word.load(Relaxed))?;
        let left = value * decay(elapsed(since, self.tick(now)));
        // A conversion by way of `i64` takes half the time.
        Some((left as i64).max(1) as u64)
    }

    /// Converts a time to ticks, modulo 2^32.
    #[inline]
    fn tick(&self, at: u64) -> u32 {
        // Multiplies, because a division by the tick's length takes longer than all the rest.
        ((u128::from(at) * u128::from(self.rate)) >> 64) as u32
    }
}

/// Returns the word after a latency.
#[inline]
fn after(word: u64, latency: f32, tick: u32) -> u64 {
    let value = match unpacked(word) {
        None => latency,
        // Most latencies arrive within the tick of the last one.
        Some((value, since)) if since == tick => latency.max(value),
        Some((value, since)) => {
            let left = decay(elapsed(since, tick));
            let old = value * left;
            // At least the latency in spite of rounding.
            latency.max(latency + (old - latency) * left)
        }
    };
    u64::from(value.to_bits()) << 32 | u64::from(tick)
}

#[inline]
fn unpacked(word: u64) -> Option<(f32, u32)> {
    (word != 0).then(|| (f32::from_bits((word >> 32) as u32), word as u32))
}

/// Returns the ticks from `since` to `now`; 0 if the clock went back.
#[inline]
fn elapsed(since: u32, now: u32) -> u32 {
    let ticks = now.wrapping_sub(since);
    if ticks > u32::MAX - BACK { 0 } else { ticks }
}

/// Returns what is left of 1 after `ticks`. Exact: 11 bits times a power of two.
#[inline]
fn decay(ticks: u32) -> f32 {
    let halves = (ticks >> HALF_BITS).min(MOST_HALVES);
    let part = (2 * HALF - ticks % HALF) as f32;
    // Multiplies by 2^-halves and divides by the 2 HALF by which `part` is scaled.
    part * f32::from_bits((127 - halves - HALF_BITS - 1) << (f32::MANTISSA_DIGITS - 1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    const TAU: Duration = Duration::from_secs(1);
    /// The half-life in nanoseconds.
    const HALF_LIFE: u64 = 693_147_181;
    /// Nanoseconds, a little more than a tick.
    const TICK: u64 = 680_000;
    const START: u64 = 1 << 40;

    fn peak() -> PeakLatency {
        PeakLatency::new(TAU).unwrap()
    }

    #[test]
    fn the_decay_is_at_most_6_2_percent_above_the_true_one_and_never_below() {
        let mut last = f32::INFINITY;
        let mut most = 0f64;
        for ticks in 0..40 * HALF {
            let left = decay(ticks);
            assert!(left < last, "it falls with every tick: {ticks}");
            last = left;
            let exact = (-f64::from(ticks) / f64::from(HALF) * LN_2).exp();
            let ratio = f64::from(left) / exact;
            assert!(ratio > 1.0 - 1e-12, "{ticks}: {ratio}");
            most = most.max(ratio);
        }
        assert!((1.061..1.062).contains(&most), "{most}");
        assert_eq!((decay(0), decay(HALF), decay(10 * HALF)), (1.0, 0.5, 1.0 / 1024.0));
        assert!(decay(u32::MAX) * (u64::MAX as f32) <= 1.0, "nothing is left at the end");
    }

    #[test]
    fn a_peak_counts_at_once_and_falls_with_time() {
        let peak = peak();
        assert_eq!(peak.get(START), None);
        peak.push(1_000_000, START);
        peak.push(8_000_000, START);
        peak.push(1_000_000, START);
        assert_eq!(peak.get(START), Some(8_000_000), "no time has passed");
        let half = peak.get(START + HALF_LIFE).unwrap();
        assert!(half.abs_diff(4_000_000) < 8_000, "{half}");
        // Half of the way from 4 ms to 1 ms.
        peak.push_exclusive(1_000_000, START + HALF_LIFE);
        let value = peak.get(START + HALF_LIFE).unwrap();
        assert!(value.abs_diff(2_500_000) < 10_000, "{value}");
    }

    #[test]
    fn the_shortest_and_the_longest_latency_count() {
        let peak = peak();
        peak.push(0, START);
        assert_eq!(peak.get(START), Some(1));
        assert_eq!(peak.get(u64::MAX), Some(1));
        peak.push(u64::MAX, START);
        assert_eq!(peak.get(START), Some(i64::MAX as u64), "292 years");
        peak.push(0, START + 100 * HALF_LIFE);
        assert_eq!(peak.get(START + 100 * HALF_LIFE), Some(1));
    }

    #[test]
    fn a_clock_that_goes_back_causes_no_decay() {
        let peak = peak();
        peak.push(1_000, START);
        assert_eq!(peak.get(START - 10 * HALF_LIFE), Some(1_000));
        peak.push(100, START - 10 * HALF_LIFE);
        assert_eq!(peak.get(START - 10 * HALF_LIFE), Some(1_000), "no time has passed");
        assert_eq!(peak.get(START - 9 * HALF_LIFE), Some(500), "it decays from there");
    }

    #[test]
    fn the_time_wraps_where_the_documentation_says() {
        let peak = peak();
        peak.push(1_000, START);
        let after = |halves: u64| peak.get(START + halves * HALF_LIFE);
        let wrap = 1 << (32 - HALF_BITS);
        assert_eq!(after(wrap - 65_536 - 1), Some(1));
        assert_eq!(after(wrap - 65_536 + 1), Some(1_000));
        assert_eq!(after(wrap - 1), Some(1_000));
        assert_eq!(after(wrap + 20), Some(1));
        // The wrap of the tick counter itself is invisible.
        let edge = wrap * HALF_LIFE;
        peak.push(1_000, edge - HALF_LIFE);
        let across = peak.get(edge + HALF_LIFE).unwrap();
        assert!(across.abs_diff(250) <= 1, "{across}");
    }

    #[test]
    fn nearly_a_whole_wrap_counts_as_a_clock_that_went_back() {
        let longest = u32::MAX - BACK;
        assert_eq!([longest, longest + 1].map(|now| elapsed(0, now)), [longest, 0]);
        assert_eq!([0, 1].map(|now| elapsed(BACK, now)), [0, 0]);
    }

    #[test]
    fn a_latency_at_an_unknown_time_is_ignored() {
        let peak = peak();
        peak.push(1_000, 0);
        peak.push_exclusive(1_000, 0);
        assert_eq!(peak.get(START), None);
    }

    #[test]
    fn a_million_reads_write_nothing() {
        let peak = peak();
        peak.push(1_000_000, START);
        let word = peak.word.load(Relaxed);
        let reads = (0..1_000_000).map(|i| peak.get(START + i * TICK)).collect::<Vec<_>>();
        assert!(reads.is_sorted_by(|a, b| a >= b), "it only falls over time");
        assert_eq!(peak.word.load(Relaxed), word);
        assert_eq!(peak.get(START), Some(1_000_000));
    }

    #[test]
    fn several_writers_lose_no_peak_without_eight_collisions() {
        let peak = Arc::new(peak());
        std::thread::scope(|scope| {
            for writer in 0..2u64 {
                let peak = &peak;
                scope.spawn(move || (0..10_000).for_each(|i| peak.push(2 * i + writer, START)));
            }
        });
        // The last push of each writer comes after the other has ended, or collides with one at a time.
        assert!(peak.get(START).unwrap() >= 19_998);
    }

    proptest! {
        /// Law 6: neither a longer latency, nor a longer one before it, nor an earlier read lowers the
        /// value, which is never below the last latency at its own time.
        #[test]
        fn a_longer_latency_never_lowers_the_value(
            pushes in prop::collection::vec((0u64..1 << 40, 0u64..3 * HALF_LIFE), 1..30),
            which in any::<prop::sample::Index>(),
            by in 1u64..1 << 40,
            read in 0u64..5 * HALF_LIFE,
        ) {
            let (peak, slower) = (peak(), peak());
            let which = which.index(pushes.len());
            let mut at = START;
            for (number, (latency, wait)) in pushes.iter().enumerate() {
                at += wait;
                peak.push(*latency, at);
                slower.push(latency + if number == which { by } else { 0 }, at);
                prop_assert!(peak.get(at).unwrap() as f32 >= (*latency as f32).max(1.0));
            }
            prop_assert!(slower.get(at + read) >= peak.get(at + read));
            prop_assert!(peak.get(at + read) >= peak.get(at + read + TICK));
        }

        #[test]
        fn both_ways_of_pushing_agree(
            pushes in prop::collection::vec((any::<u64>(), 0u64..HALF_LIFE), 1..30),
        ) {
            let (shared, exclusive) = (peak(), peak());
            let mut at = START;
            for (latency, wait) in pushes {
                at += wait;
                shared.push(latency, at);
                exclusive.push_exclusive(latency, at);
                prop_assert_eq!(shared.get(at), exclusive.get(at));
            }
        }
    }
}
