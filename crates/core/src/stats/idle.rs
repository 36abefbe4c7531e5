use std::sync::Arc;

use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// One bit per row, 64 to a word: whether the worker is listed as idle. All bits are set at first.
///
/// Selectors read the bits and clear stale ones; whoever makes a worker idle sets its bit if it is
/// clear. The words are contiguous, because a search that finds no idle worker reads them all.
#[derive(Clone, Debug)]
pub(crate) struct IdleBits(Arc<[AtomicU64]>);

/// Rows per word.
pub(crate) const PER_WORD: usize = u64::BITS as usize;

impl IdleBits {
    pub(super) fn new(rows: usize) -> Self {
        Self((0..rows.div_ceil(PER_WORD)).map(|_| AtomicU64::new(u64::MAX)).collect())
    }

    /// Returns the bits of the rows from `word * PER_WORD` on. A worker that received a task since may
    /// still be listed; an idle one is listed or about to be. Bits beyond the last row are set.
    #[inline]
    pub(crate) fn word(&self, word: usize) -> u64 {
        self.0[word].load(Relaxed)
    }

    #[inline]
    pub(crate) fn is_set(&self, row: usize) -> bool {
        self.word(row / PER_WORD) & bit(row) != 0
    }

    pub(crate) fn set(&self, row: usize) {
        // Release pairs with the Acquire of `clear`: whoever clears the bit again, and notes that in
        // `Admissions::unlisted`, comes after the thread that reset `unlisted` to set the bit.
        self.0[row / PER_WORD].fetch_or(bit(row), Release);
    }

    /// Clears a bit; returns whether it was set.
    pub(super) fn clear(&self, row: usize) -> bool {
        self.0[row / PER_WORD].fetch_and(!bit(row), Acquire) & bit(row) != 0
    }
}

#[inline]
fn bit(row: usize) -> u64 {
    1 << (row % PER_WORD)
}

/// Returns the bit of `word` that has `n` set bits below it, where `n` is less than the number of
/// set bits. A few dozen instructions for any word.
pub(crate) fn nth_set_bit(word: u64, mut n: u32) -> u32 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    debug_assert!(n < word.count_ones());
    // Counts the set bits of each byte, then of each byte and those below it.
    let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let up_to = ((nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(ONES);
    // Sets the top bit of each byte up to which there are more than n. No sum exceeds 64, so no
    // subtraction borrows from the next byte.
    let enough = ((up_to | TOPS) - (u64::from(n) + 1) * ONES) & TOPS;
    let shift = enough.trailing_zeros() / 8 * 8;
    n -= ((up_to << 8) >> shift) as u8 as u32;
    let mut byte = word >> shift & 0xff;
    for _ in 0..n {
        byte &= byte - 1;
    }
    shift + byte.trailing_zeros()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_are_set_at_first_and_change_one_row_each() {
        let bits = IdleBits::new(130);
        assert_eq!([0, 1, 2].map(|word| bits.word(word)), [u64::MAX; 3]);
        assert!(bits.clear(64) && !bits.clear(64), "only the first call cleared it");
        assert!(bits.clear(129));
        assert_eq!([0, 1, 2].map(|word| bits.word(word)), [u64::MAX, u64::MAX - 1, u64::MAX - 2]);
        bits.set(64);
        assert_eq!([1, 2].map(|word| bits.word(word)), [u64::MAX, u64::MAX - 2]);
    }

    #[test]
    fn every_bit_of_a_full_word_is_found_by_rank() {
        for n in 0..64 {
            assert_eq!(nth_set_bit(u64::MAX, n), n);
            assert_eq!(nth_set_bit(1 << n, 0), n);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_nth_set_bit_is_found(word: u64, sparse: u64) {
            for word in [word, word & sparse, word | sparse, word & sparse & word.rotate_left(7)] {
                let set = (0..64).filter(|bit| word >> bit & 1 != 0);
                for (n, bit) in (0..).zip(set) {
                    prop_assert_eq!(nth_set_bit(word, n), bit, "{:#x}", word);
                }
            }
        }
    }
}
