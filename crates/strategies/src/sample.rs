//! Distinct indices drawn at random.

/// Two distinct indices below `count`, each ordered pair as likely, but for what 32 random bits
/// cannot tell apart; the same one twice where there is no other.
#[inline]
pub(crate) fn two(count: usize) -> (usize, usize) {
    if count < 2 {
        return (0, 0);
    }
    let random = fastrand::u64(..);
    let scaled = |random: u64, count: usize| ((random * count as u64) >> 32) as usize;
    let first = scaled(random >> 32, count);
    let second = scaled(random & u64::from(u32::MAX), count - 1);
    (first, second + usize::from(second >= first))
}

/// `K` distinct indices below `count`, or all of them where they are fewer, each order as likely.
#[inline]
pub(crate) fn distinct<const K: usize>(count: usize) -> impl Iterator<Item = usize> {
    let mut drawn = [0; K];
    let mut ascending = [0; K];
    let wanted = K.min(count);
    for (number, drawn) in drawn.iter_mut().enumerate().take(wanted) {
        // One of those not drawn yet, by its rank among them.
        let mut index = fastrand::usize(..count - number);
        // Without a branch, here and below: it would be guessed wrong every other time.
        for passed in &ascending[..number] {
            index += usize::from(index >= *passed);
        }
        *drawn = index;
        ascending[number] = index;
        for place in (0..number).rev() {
            let (a, b) = (ascending[place], ascending[place + 1]);
            (ascending[place], ascending[place + 1]) = (a.min(b), a.max(b));
        }
    }
    drawn.into_iter().take(wanted)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const SEED: u64 = 0x7361_6d70_6c65;

    /// Asserts that each ordered draw of `length` out of `count` comes up as often as the others,
    /// within five standard deviations.
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
        }
    }

    #[test]
    fn every_pair_is_as_likely() {
        for count in [2, 3, 7] {
            assert_even(count, 2, || {
                let (first, second) = two(count);
                vec![first, second]
            });
            assert_even(count, 2, || distinct::<2>(count).collect());
        }
    }

    #[test]
    fn every_order_of_three_is_as_likely() {
        for count in [3, 4, 6] {
            assert_even(count, 3, || distinct::<3>(count).collect());
        }
    }

    #[test]
    fn where_there_are_fewer_all_are_drawn() {
        assert_eq!((two(0), two(1)), ((0, 0), (0, 0)));
        assert_eq!(distinct::<3>(0).count(), 0);
        assert_eq!(distinct::<3>(1).collect::<Vec<_>>(), [0]);
        assert_even(2, 2, || distinct::<3>(2).collect());
    }
}
