use std::sync::Arc;

use raddle_sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A bit a lane, 64 to a word: whether its worker is listed as idle. All are at first.
///
/// Who picks reads them and writes where one is stale; who makes a worker idle, where it is not
/// listed. They are beside each other, as a search with nobody idle reads them all.
#[derive(Clone, Debug)]
pub(super) struct IdleBits(Arc<[AtomicU64]>);

/// Lanes to a word.
pub(crate) const PER_WORD: usize = u64::BITS as usize;

impl IdleBits {
    pub(super) fn new(lanes: usize) -> Self {
        Self((0..lanes.div_ceil(PER_WORD)).map(|_| AtomicU64::new(u64::MAX)).collect())
    }

    /// Those of the lanes from `word * PER_WORD` on; set, too, of lanes that are none.
    #[inline]
    pub(super) fn word(&self, word: usize) -> u64 {
        self.0[word].load(Relaxed)
    }

    #[inline]
    pub(super) fn is_set(&self, lane: usize) -> bool {
        self.word(lane / PER_WORD) & bit(lane) != 0
    }

    pub(super) fn set(&self, lane: usize) {
        // Release pairs with the Acquire of `clear`: who clears the bit anew, and says so in
        // `Admissions::unlisted`, comes after who has taken that back to set it.
        self.0[lane / PER_WORD].fetch_or(bit(lane), Release);
    }

    /// Whether it was set.
    pub(super) fn clear(&self, lane: usize) -> bool {
        self.0[lane / PER_WORD].fetch_and(!bit(lane), Acquire) & bit(lane) != 0
    }
}

#[inline]
fn bit(lane: usize) -> u64 {
    1 << (lane % PER_WORD)
}

/// Which bit of `word` is the one with `n` set bits below it; `n` is below the number of set bits.
/// A few dozen instructions, whatever the word.
pub(crate) fn nth_set_bit(word: u64, mut n: u32) -> u32 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    debug_assert!(n < word.count_ones());
    // The set bits of each byte, then of each byte and those below it.
    let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let up_to = ((nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(ONES);
    // A top bit for each byte up to which there are more than n: none of the sums exceeds 64, so
    // that no subtraction borrows from the next.
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
    fn bits_are_set_at_first_and_each_is_its_lane_alone() {
        let bits = IdleBits::new(130);
        assert_eq!([0, 1, 2].map(|word| bits.word(word)), [u64::MAX; 3]);
        assert!(bits.clear(64) && !bits.clear(64), "told by the first alone");
        assert!(bits.clear(129));
        assert_eq!([0, 1, 2].map(|word| bits.word(word)), [u64::MAX, u64::MAX - 1, u64::MAX - 2]);
        bits.set(64);
        assert_eq!([1, 2].map(|word| bits.word(word)), [u64::MAX, u64::MAX - 2]);
    }

    #[test]
    fn every_bit_of_a_full_word_is_found() {
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
