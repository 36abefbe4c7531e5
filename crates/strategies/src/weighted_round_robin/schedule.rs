//! Turns weights into the order of a rotation.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Returns the order of one round in which each worker takes its number of turns: nginx's smooth
/// weighted round robin, which spreads a worker's turns over the round. 5, 1, 1 gives
/// 0 0 1 0 2 0 0.
///
/// nginx compares the credits of all workers at each turn. Here those with equally many turns form a
/// class, in which they take turns one after the other, so only the first of each class is compared.
/// O(n log n + turns x classes); the round is as long as the sum of the turns.
pub(super) fn smooth_order(turns: &[u32]) -> impl Iterator<Item = u32> {
    let total: i64 = turns.iter().map(|turns| i64::from(*turns)).sum();
    // Each worker with the turns that it has taken.
    let mut classes = BTreeMap::<u32, VecDeque<(u32, i64)>>::new();
    for (index, turns) in (0..).zip(turns) {
        classes.entry(*turns).or_default().push_back((index, 0));
    }
    let mut classes: Vec<_> = classes.into_iter().collect();
    (1..=total).filter_map(move |turn| {
        // Each turn earns a worker as much credit as it has turns, and costs its taker a round's.
        let credit = |(turns, workers): &(u32, VecDeque<(u32, i64)>)| {
            let (index, taken) = *workers.front()?;
            Some((turn * i64::from(*turns) - taken * total, Reverse(index)))
        };
        let (_, workers) = classes.iter_mut().max_by_key(|class| credit(class))?;
        let (index, taken) = workers.pop_front()?;
        workers.push_back((index, taken + 1));
        Some(index)
    })
}

/// Returns the maximum length of a round: fine enough to tell weights 1 to 100 apart in a small
/// pool, short enough to be computed in milliseconds for a thousand workers.
fn longest(workers: usize) -> usize {
    (8 * workers).max(1024)
}

/// How many classes of equal turns a round may have before turns are rounded.
const CLASSES: usize = 64;
/// The significant bits of rounded turns. The error, up to a sixteenth, is less than that of a whole
/// number of turns where a round has eight per worker.
const BITS: u32 = 5;

/// Returns how many turns each worker takes in one round, in proportion to the weights and at
/// least one. Whole weights whose round is short enough are kept exactly, unless very many differ.
pub(super) fn turns(weights: &[f64]) -> Vec<u32> {
    let longest = longest(weights.len()) as u64;
    let turns = exact_turns(weights, longest).unwrap_or_else(|| rounded_turns(weights, longest));
    if turns.iter().collect::<BTreeSet<_>>().len() <= CLASSES {
        return turns;
    }
    // A number of classes in O(log n) remains, which keeps the round in O(n log n).
    let round = |turns: u32| {
        let shift = (u32::BITS - turns.leading_zeros()).saturating_sub(BITS);
        turns >> shift << shift
    };
    turns.into_iter().map(round).collect()
}

fn rounded_turns(weights: &[f64], longest: u64) -> Vec<u32> {
    // A weight may be any float, since parameters can be used without having been validated.
    let bounded = |weight: &f64| if *weight > 0.0 { weight.min(1e100) } else { 0.0 };
    let sum: f64 = weights.iter().map(bounded).sum();
    // Each worker has one turn; the rest is shared by weight.
    let to_share = (longest - weights.len() as u64) as f64;
    weights.iter().map(|weight| 1 + (bounded(weight) / sum * to_share) as u32).collect()
}

fn exact_turns(weights: &[f64], longest: u64) -> Option<Vec<u32>> {
    if weights.iter().all(|weight| *weight == 0.0) {
        return Some(vec![1; weights.len()]);
    }
    let whole = |weight: &f64| {
        (weight.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(weight))
            .then_some(*weight as u64)
    };
    let whole: Vec<u64> = weights.iter().map(whole).collect::<Option<_>>()?;
    let divisor = whole.iter().copied().reduce(greatest_common_divisor)?;
    let fits = whole.iter().sum::<u64>() / divisor <= longest;
    fits.then(|| whole.iter().map(|weight| (weight / divisor) as u32).collect())
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(weights: &[f64]) -> String {
        smooth_order(&turns(weights)).map(|index| (b'a' + index as u8) as char).collect()
    }

    #[test]
    fn a_round_has_up_to_a_thousand_turns_or_eight_per_worker() {
        assert_eq!([1, 128, 129, 1_024].map(longest), [1_024, 1_024, 1_032, 8_192]);
    }

    /// nginx's algorithm, word for word.
    fn smooth_order_by_all_credits(turns: &[u32]) -> Vec<u32> {
        let total: i64 = turns.iter().map(|turns| i64::from(*turns)).sum();
        let mut credit = vec![0i64; turns.len()];
        let turn = |_| {
            let mut best = 0;
            for index in 0..credit.len() {
                credit[index] += i64::from(turns[index]);
                if credit[index] > credit[best] {
                    best = index;
                }
            }
            credit[best] -= total;
            best as u32
        };
        (0..total).map(turn).collect()
    }

    #[test]
    fn many_different_weights_are_rounded_into_few_classes() {
        let weights: Vec<_> = (0..4_000).map(|index| 0.1 + f64::from(index) / 100.0).collect();
        let rounded = turns(&weights);
        assert!(rounded.iter().collect::<BTreeSet<_>>().len() <= CLASSES, "{rounded:?}");
        let exact = rounded_turns(&weights, longest(4_000) as u64);
        for (rounded, exact) in rounded.iter().zip(exact) {
            assert!(*rounded >= 1 && rounded.abs_diff(exact) * 16 <= exact, "{rounded} of {exact}");
        }
        // Each has a class of its own.
        let weights: Vec<_> = (1..=300).map(f64::from).chain(vec![1.0; 10_000]).collect();
        let rounded = turns(&weights);
        assert!(rounded.iter().collect::<BTreeSet<_>>().len() <= 100);
        let total: u32 = rounded.iter().sum();
        assert_eq!(smooth_order(&rounded).count() as u32, total);
    }

    #[test]
    fn whole_weights_give_the_smooth_order() {
        assert_eq!(order(&[5.0, 1.0, 1.0]), "aabacaa");
        assert_eq!(order(&[50.0, 10.0, 10.0]), "aabacaa");
        assert_eq!(order(&[7.0, 7.0]), "ab");
        assert_eq!(order(&[0.0, 0.0, 0.0]), "abc");
        assert_eq!(order(&[u32::MAX.into(), u32::MAX.into()]), "ab");
    }

    #[test]
    fn the_smallest_weight_is_not_starved_by_the_largest() {
        for least in [0.0, 1.0] {
            let turns = turns(&[f64::from(u32::MAX), least]);
            assert_eq!(turns[1], 1);
            assert!((1000..1024).contains(&turns[0]), "{turns:?}");
        }
    }

    #[test]
    fn meaningless_weights_give_a_bounded_round() {
        let inf = f64::INFINITY;
        for weights in [[f64::NAN, 1.0], [inf, inf], [-1.0, -2.0], [-1.0, 3.5], [inf, 1.0]] {
            let turns = turns(&weights);
            let bound = 1..=longest(2) as u32;
            assert!(turns.iter().all(|turns| bound.contains(turns)), "{weights:?}: {turns:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_nginx_s(turns in prop::collection::vec(1u32..20, 1..40)) {
            let order: Vec<_> = smooth_order(&turns).collect();
            prop_assert_eq!(order, smooth_order_by_all_credits(&turns));
        }

        #[test]
        fn every_round_is_bounded_and_fair(weights in prop::collection::vec(0.0f64..100.0, 1..60)) {
            let turns = turns(&weights);
            let round: u64 = turns.iter().map(|turns| u64::from(*turns)).sum();
            prop_assert!(round <= longest(weights.len()) as u64);
            let mut taken = vec![0u32; turns.len()];
            smooth_order(&turns).for_each(|index| taken[index as usize] += 1);
            prop_assert_eq!(&taken, &turns);
            let sum: f64 = weights.iter().sum();
            for (weight, turns) in weights.iter().zip(&turns) {
                prop_assert!(*turns >= 1);
                if sum > 0.0 {
                    let (share, fair) = (f64::from(*turns) / round as f64, weight / sum);
                    let slack = weights.len() as f64 / round as f64 + 0.01;
                    prop_assert!((share - fair).abs() <= slack, "{share} for {fair}");
                }
            }
        }
    }
}
