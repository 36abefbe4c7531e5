use std::f64::consts::LN_2;
use std::time::Duration;

use super::writer::{Exclusive, Shared, Writer};
use crate::{Tracking, TrackingError, nanos};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A latency that rises at once and falls slowly: a decaying average, sensitive to peaks.
///
/// With `d` the value so far, decayed by the time since the latency before, a latency `x` makes it
/// `x` where it is above `d`, else `d + (x - d) (1 - w)`, where `w` is the decay over that time.
/// Reading decays too, and changes nothing: a value that is read a million times is what it would
/// be when read once. The rule is that of Finagle's `P2CPeakEwma`, but for two things: there every
/// reading is written back, and what comes of a latency depends on how often one has read before
/// it; and there a latency just below the value raises it, here a longer latency always makes
/// a value as high or higher.
///
/// # Decay
/// By half each `tau ln 2`, which is `e^-(t / tau)`, and linear within a half: exact at whole
/// halves, never below the true decay and at most 6.2 % above it. Two exact operations on floats
/// and no call to a mathematical library, so that every machine has the same values.
///
/// # Cost
/// Value and time are one atomic word, so no reading is torn. [`push`](Self::push), for several
/// writers, is wait-free: at most eight compare-exchanges, then the latency is dropped.
/// [`push_exclusive`](Self::push_exclusive) is a load and a store, [`get`](Self::get) a load.
/// Nothing allocates.
///
/// # Bounds
/// The value is an `f32`: seven digits. The time is kept modulo 2^32 parts of a 1,024th of a half:
/// a value that was not written for 4 million halves (34 days where tau is 1 s) minus 65,536 (13
/// hours) reads, until they are over, as if it had just been written. A clock that goes back by up
/// to as many halves does not decay; by more, and the value counts as old until the next latency.
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
    /// The value's bits, at least those of 1.0, above the time of the last latency in ticks; 0
    /// while there is none.
    word: AtomicU64,
    /// Ticks a nanosecond, in 2^-64.
    rate: u64,
}

/// Ticks until a value is half of what it was.
const HALF: u32 = 1 << HALF_BITS;
const HALF_BITS: u32 = 10;
/// Ticks by which a clock may have gone back.
const BACK: u32 = 1 << (16 + HALF_BITS);
/// After so many halves nothing is left of the longest latency.
const MOST_HALVES: u32 = 64;

impl PeakLatency {
    /// One that falls to `1/e` in `decay`.
    ///
    /// # Errors
    /// When `decay` is not within [the bounds](Tracking::peak_decay).
    pub fn new(decay: Duration) -> Result<Self, TrackingError> {
        Tracking { peak_decay: decay, ..Tracking::default() }.validate()?;
        Ok(Self::of(decay))
    }

    /// The same where the bounds have been checked.
    pub(super) fn of(decay: Duration) -> Self {
        let half = nanos(decay) as f64 * LN_2;
        let rate = 2f64.powi(64) * f64::from(HALF) / half;
        Self { word: AtomicU64::new(0), rate: rate as u64 }
    }

    /// Adds a latency in nanoseconds that ended at the clock's `at`; nothing where that is 0, as
    /// it is unknown. Wait-free; any thread may call it at any time. A latency that meets others
    /// eight times is dropped.
    pub fn push(&self, latency: u64, at: u64) {
        self.record::<Shared>(latency, at);
    }

    /// Adds a latency in nanoseconds while no other thread pushes. Wait-free, without any
    /// read-modify-write instruction. Latencies are lost, and nothing worse, when other threads
    /// push all the same.
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

    /// The value in nanoseconds at the clock's `now`, at least 1; `None` before the first latency.
    #[inline]
    pub fn get(&self, now: u64) -> Option<u64> {
        let (value, since) = unpacked(self.word.load(Relaxed))?;
        let left = value * decay(elapsed(since, self.tick(now)));
        // By way of an `i64`, to which a float is converted in half the time.
        Some((left as i64).max(1) as u64)
    }

    /// A time in ticks, modulo 2^32.
    #[inline]
    fn tick(&self, at: u64) -> u32 {
        // A multiplication: a division by the tick's length takes longer than all the rest.
        ((u128::from(at) * u128::from(self.rate)) >> 64) as u32
    }
}

/// What a latency makes of the word.
#[inline]
fn after(word: u64, latency: f32, tick: u32) -> u64 {
    let value = match unpacked(word) {
        None => latency,
        // Most latencies: no time has passed, as far as ticks tell.
        Some((value, since)) if since == tick => latency.max(value),
        Some((value, since)) => {
            let left = decay(elapsed(since, tick));
            let old = value * left;
            // At least the latency, whatever the rounding.
            latency.max(latency + (old - latency) * left)
        }
    };
    u64::from(value.to_bits()) << 32 | u64::from(tick)
}

#[inline]
fn unpacked(word: u64) -> Option<(f32, u32)> {
    (word != 0).then(|| (f32::from_bits((word >> 32) as u32), word as u32))
}

/// Ticks from one to the other; 0 where the clock went back.
#[inline]
fn elapsed(since: u32, now: u32) -> u32 {
    let ticks = now.wrapping_sub(since);
    if ticks > u32::MAX - BACK { 0 } else { ticks }
}

/// What is left of 1 after so many ticks. Exact: 11 bits times a power of two.
#[inline]
fn decay(ticks: u32) -> f32 {
    let halves = (ticks >> HALF_BITS).min(MOST_HALVES);
    let part = (2 * HALF - ticks % HALF) as f32;
    // 2^-halves, over the 2 HALF that `part` is too large by.
    part * f32::from_bits((127 - halves - HALF_BITS - 1) << (f32::MANTISSA_DIGITS - 1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    const TAU: Duration = Duration::from_secs(1);
    /// A half of it in nanoseconds.
    const HALF_LIFE: u64 = 693_147_181;
    /// Nanoseconds, a little more than a tick.
    const TICK: u64 = 680_000;
    const START: u64 = 1 << 40;

    fn peak() -> PeakLatency {
        PeakLatency::new(TAU).unwrap()
    }

    #[test]
    fn the_decay_is_never_below_the_true_one_and_at_most_6_2_percent_above() {
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
    fn latencies_of_nothing_and_of_for_ever_are_latencies() {
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
    fn a_clock_that_goes_back_does_not_decay() {
        let peak = peak();
        peak.push(1_000, START);
        assert_eq!(peak.get(START - 10 * HALF_LIFE), Some(1_000));
        peak.push(100, START - 10 * HALF_LIFE);
        assert_eq!(peak.get(START - 10 * HALF_LIFE), Some(1_000), "no time has passed");
        assert_eq!(peak.get(START - 9 * HALF_LIFE), Some(500), "it goes on from there");
    }

    #[test]
    fn the_wrap_of_the_time_is_where_the_documentation_says() {
        let peak = peak();
        peak.push(1_000, START);
        let after = |halves: u64| peak.get(START + halves * HALF_LIFE);
        let wrap = 1 << (32 - HALF_BITS);
        assert_eq!(after(wrap - 65_536 - 1), Some(1));
        assert_eq!(after(wrap - 65_536 + 1), Some(1_000));
        assert_eq!(after(wrap - 1), Some(1_000));
        assert_eq!(after(wrap + 20), Some(1));
        // Across the wrap of the ticks themselves nothing is to be seen.
        let edge = wrap * HALF_LIFE;
        peak.push(1_000, edge - HALF_LIFE);
        let across = peak.get(edge + HALF_LIFE).unwrap();
        assert!(across.abs_diff(250) <= 1, "{across}");
    }

    #[test]
    fn what_is_nearly_a_whole_turn_is_taken_for_a_clock_that_went_back() {
        let longest = u32::MAX - BACK;
        assert_eq!([longest, longest + 1].map(|now| elapsed(0, now)), [longest, 0]);
        assert_eq!([0, 1].map(|now| elapsed(BACK, now)), [0, 0]);
    }

    #[test]
    fn an_end_at_an_unknown_time_does_not_enter() {
        let peak = peak();
        peak.push(1_000, 0);
        peak.push_exclusive(1_000, 0);
        assert_eq!(peak.get(START), None);
    }

    #[test]
    fn a_million_reads_change_nothing() {
        let peak = peak();
        peak.push(1_000_000, START);
        let word = peak.word.load(Relaxed);
        let reads = (0..1_000_000).map(|i| peak.get(START + i * TICK)).collect::<Vec<_>>();
        assert!(reads.is_sorted_by(|a, b| a >= b), "read in the order of time it only falls");
        assert_eq!(peak.word.load(Relaxed), word);
        assert_eq!(peak.get(START), Some(1_000_000));
    }

    #[test]
    fn several_writers_lose_no_peak_that_did_not_meet_eight_others() {
        let peak = Arc::new(peak());
        std::thread::scope(|scope| {
            for writer in 0..2u64 {
                let peak = &peak;
                scope.spawn(move || (0..10_000).for_each(|i| peak.push(2 * i + writer, START)));
            }
        });
        // The last of each writer come when the other has ended, or meet one other at a time.
        assert!(peak.get(START).unwrap() >= 19_998);
    }

    proptest! {
        /// Law 6: a longer latency, a longer one before it and an earlier reading never make the
        /// value lower, and it is never below the last latency at the time of that.
        #[test]
        fn slower_is_never_better(
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
        fn both_ways_of_pushing_are_the_same(
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
