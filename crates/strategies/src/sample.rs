//! Distinct indices drawn at random.

use raddle_core::random::below;

/// Returns two distinct indices below `count`, each ordered pair equally likely up to the
/// resolution of 32 random bits; zeros if there are fewer than two.
#[inline]
pub(crate) fn two(count: usize) -> (usize, usize) {
    if count < 2 {
        return (0, 0);
    }
    let random = fastrand::u64(..);
    let first = below((random >> 32) as u32, count);
    let second = below(random as u32, count - 1);
    (first, second + usize::from(second >= first))
}

/// Returns three distinct indices below `count`, each order equally likely as in [`two`], and 32
/// random bits. If there are fewer than three, zeros follow.
#[inline]
pub(crate) fn three(count: usize) -> ([usize; 3], u32) {
    let random = fastrand::u64(..);
    let (first, second) = two(count);
    if count < 3 {
        return ([first, second, 0], random as u32);
    }
    let third = below((random >> 32) as u32, count - 2);
    // Without a branch, which would be mispredicted half of the time.
    let third = third + usize::from(third >= first.min(second));
    let third = third + usize::from(third >= first.max(second));
    ([first, second, third], random as u32)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    const SEED: u64 = 0x7361_6d70_6c65;

    /// Asserts that each ordered draw of `length` out of `count` is equally frequent, within five
    /// standard deviations.
    fn assert_even(count: usize, length: usize, draw: impl Fn() -> Vec<usize>) {
        fastrand::seed(SEED);
        let kinds: usize = (count - length + 1..=count).product();
        let draws = 2_000 * kinds;
        let mut seen: HashMap<Vec<usize>, usize> = HashMap::new();
        (0..draws).for_each(|_| *seen.entry(draw()).or_default() += 1);
        assert_eq!(seen.len(), kinds, "seed {SEED:#x}: {length} of {count}");
        for (drawn, times) in seen {
            assert!(times.abs_diff(2_000) < 224, "seed {SEED:#x}: {drawn:?} {times} times");
            assert!(drawn.iter().all(|index| *index < count));
            assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), length, "{drawn:?}");
        }
    }

    #[test]
    fn every_pair_is_equally_likely() {
        for count in [2, 3, 7] {
            assert_even(count, 2, || {
                let (first, second) = two(count);
                vec![first, second]
            });
        }
    }

    #[test]
    fn every_order_of_three_is_equally_likely() {
        for count in [3, 4, 6] {
            assert_even(count, 3, || three(count).0[..count.min(3)].to_vec());
        }
    }

    #[test]
    fn if_there_are_fewer_all_are_drawn() {
        assert_eq!((two(0), two(1)), ((0, 0), (0, 0)));
        assert_eq!((three(0).0, three(1).0), ([0; 3], [0; 3]));
        assert_even(2, 2, || three(2).0[..2].to_vec());
    }
}
