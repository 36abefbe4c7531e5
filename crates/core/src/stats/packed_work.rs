//! Words that hold the sum and the number of expected durations.
//!
//! | bits | content |
//! |---|---|
//! | 0 to 47 | sum of the expected durations, in nanoseconds |
//! | 48 to 63 | number of tasks that have one |
//!
//! One word counts what was admitted, another what has ended. Each wraps around as one number; their
//! difference is exact as long as what is in flight fits.

const SUM_BITS: u32 = 48;
const SUM: u64 = (1 << SUM_BITS) - 1;
/// The largest expected duration in nanoseconds (4.9 hours), so that sixteen of them fit.
pub(super) const MAX_EXPECTED: u64 = (1 << 44) - 1;

/// Returns what a task with a non-zero expected duration adds to a word.
#[inline]
pub(super) fn entry(expected_duration: u64) -> u64 {
    (1 << SUM_BITS) + clamped(expected_duration)
}

#[inline]
pub(super) fn clamped(expected_duration: u64) -> u64 {
    expected_duration.min(MAX_EXPECTED)
}

/// The tasks in flight that have an expected duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedWork {
    /// The low bits of their number.
    pub(super) count: u16,
    pub(super) sum: u64,
}

impl PackedWork {
    /// Unpacks the difference of two words. A negative difference counts as no tasks.
    #[inline]
    pub(super) fn of(difference: i64) -> Self {
        let word = difference.max(0).cast_unsigned();
        Self { count: (word >> SUM_BITS) as u16, sum: word & SUM }
    }
}

/// Returns the sum in the difference of two words, with its sign.
pub(super) fn signed_sum(difference: i64) -> i64 {
    (difference << (64 - SUM_BITS)) >> (64 - SUM_BITS)
}
