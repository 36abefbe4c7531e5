//! Bounded random choice without a division.

/// Returns a number below `bound`, drawn by 32 random bits: about evenly distributed, as good as
/// 32 bits allow for the bound. Returns 0 when `bound` is 0.
///
/// Multiplies and shifts instead of dividing: Lemire, *Fast Random Integer Generation in an
/// Interval*, 2019, without the rejection step that makes it exact.
///
/// ```
/// use raddle_core::random::below;
///
/// assert_eq!([0, 1 << 31, u32::MAX].map(|bits| below(bits, 10)), [0, 5, 9]);
/// ```
#[inline]
pub fn below(bits: u32, bound: usize) -> usize {
    ((u64::from(bits) * bound as u64) >> 32) as usize
}
