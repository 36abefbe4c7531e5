use std::sync::OnceLock;

use crate::KeyAge;
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The keys whose tasks a worker was given lately: about the last 512, as 16-bit tags in 64 sets of 8.
///
/// Dispatchers write it with plain loads and stores. Of two that write the same set at once, one may
/// lose its key or leave one twice: a wrong guess of what is warm, which costs one task a longer
/// run. So does a key whose tag another key of its set has: one in 8,000, in a full table.
#[derive(Debug, Default)]
pub(super) struct RecentKeys {
    /// Of 1 KiB, allocated for strategies that ask for it.
    sets: OnceLock<Box<[Set; SETS]>>,
}

/// Eight tags, the latest first, from the lowest bits of the first word. 0 for none.
#[derive(Debug, Default)]
struct Set([AtomicU64; 2]);

const SETS: usize = 64;
const TAG_BITS: u32 = 16;
/// A tag of 1 in each of a word's four fields.
const ONES: u64 = 0x0001_0001_0001_0001;

impl KeyAge {
    /// Of a key that was found in a set's first word; see [`fields`].
    #[inline]
    fn in_first(found: u64) -> Self {
        Self::after(found.trailing_zeros() / TAG_BITS)
    }

    /// Of a key that was found in a set's second word, or nowhere.
    #[inline]
    fn in_second(found: u64) -> Self {
        // Without any bit set there are 64 trailing zeros, which is the age of a key that is not there.
        Self::after(4 + found.trailing_zeros() / TAG_BITS)
    }
}

impl RecentKeys {
    /// Allocates the table if it is not yet.
    pub(super) fn allocate(&self) {
        self.sets.get_or_init(|| Box::new(std::array::from_fn(|_| Set::default())));
    }

    /// Returns the number of keys in its set that are later; `None` without a table.
    #[inline]
    pub(super) fn age(&self, key: u64) -> Option<KeyAge> {
        let (set, tag) = place(key);
        let Set([first, second]) = &self.sets.get()?[set];
        let found = fields(first.load(Relaxed), tag);
        Some(match found {
            0 => KeyAge::in_second(fields(second.load(Relaxed), tag)),
            _ => KeyAge::in_first(found),
        })
    }

    /// Makes the key the latest of its set, in place of the oldest if it is not in there. Returns
    /// its age before; `None` without a table.
    #[inline]
    pub(super) fn note(&self, key: u64) -> Option<KeyAge> {
        let (set, tag) = place(key);
        let Set([first, second]) = &self.sets.get()?[set];
        let word = first.load(Relaxed);
        let found = fields(word, tag);
        if found != 0 {
            let age = KeyAge::in_first(found);
            // The latest key is not written again: a hot key's line stays shared.
            if age != KeyAge::LATEST {
                first.store(pushed(word, tag, found), Relaxed);
            }
            return Some(age);
        }
        let (rest, oldest) = (second.load(Relaxed), word >> (64 - TAG_BITS));
        let found = fields(rest, tag);
        first.store(word << TAG_BITS | tag, Relaxed);
        second.store(pushed(rest, oldest, found), Relaxed);
        Some(KeyAge::in_second(found))
    }

    pub(super) fn clear(&self) {
        for Set(words) in self.sets.get().into_iter().flat_map(|sets| sets.iter()) {
            words.iter().for_each(|word| word.store(0, Relaxed));
        }
    }
}

/// Returns the set and the tag of a key, from the upper bits of its product with the golden ratio
/// (Knuth, TAOCP, volume 3, 6.4).
#[inline]
fn place(key: u64) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 58) as usize, (hash >> 32 & 0xffff).max(1))
}

/// Returns a word whose lowest set bit is the highest bit of the first field that holds `tag`; 0 if
/// none does.
#[inline]
fn fields(word: u64, tag: u64) -> u64 {
    // The fields that are zero: Warren, Hacker's Delight, 6-1.
    let differs = word ^ (tag * ONES);
    differs.wrapping_sub(ONES) & !differs & (ONES << (TAG_BITS - 1))
}

/// Returns the word with `tag` in the lowest field, in place of the first of the `found` ones or, if
/// there is none, of the highest.
#[inline]
fn pushed(word: u64, tag: u64, found: u64) -> u64 {
    // The bits up to the field's highest; all, if none was found.
    let moved = found ^ found.wrapping_sub(1);
    word & !moved | word << TAG_BITS & moved | tag
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table() -> RecentKeys {
        let keys = RecentKeys::default();
        keys.allocate();
        keys
    }

    #[test]
    fn without_a_table_no_age_is_known() {
        let keys = RecentKeys::default();
        assert_eq!((keys.note(7), keys.note(7), keys.age(7)), (None, None, None));
        keys.clear();
        assert_eq!(table().note(7), Some(KeyAge::UNSEEN));
    }

    #[test]
    fn a_table_takes_one_kibibyte() {
        assert_eq!(size_of::<[Set; SETS]>(), 1024);
    }

    #[test]
    fn keys_that_are_alike_are_spread_over_the_sets() {
        for step in [1, 1 << 16, 1 << 48, 0x9e37_79b9_7f4a_7c15] {
            let keys = table();
            (0..256u64).for_each(|key| _ = keys.note(key.wrapping_mul(step)));
            let kept = |key: &u64| keys.age(key.wrapping_mul(step)) != Some(KeyAge::UNSEEN);
            let kept = (0..256).filter(kept).count();
            assert!(kept > 240, "{kept} of 256, in steps of {step:#x}");
        }
    }

    proptest! {
        /// A set is an exact list of the eight latest tags, whatever their order.
        #[test]
        fn a_set_keeps_its_eight_latest_keys(noted in prop::collection::vec(0..12usize, 0..200)) {
            let same_set: Vec<u64> = (0..).filter(|key| place(*key).0 == 5).take(12).collect();
            let (keys, mut latest) = (table(), Vec::new());
            let age = |at: Option<usize>| Some(at.map_or(KeyAge::UNSEEN, |at| KeyAge::after(at as u32)));
            for index in noted {
                let known = latest.iter().position(|at| *at == index);
                prop_assert_eq!(keys.note(same_set[index]), age(known));
                known.map(|at| latest.remove(at));
                latest.insert(0, index);
                latest.truncate(8);
                for (other, key) in same_set.iter().enumerate() {
                    let expected = age(latest.iter().position(|at| *at == other));
                    prop_assert_eq!(keys.age(*key), expected);
                }
            }
            keys.clear();
            prop_assert!(same_set.iter().all(|key| keys.age(*key) == Some(KeyAge::UNSEEN)));
        }
    }
}
