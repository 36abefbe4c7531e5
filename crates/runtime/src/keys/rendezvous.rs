//! Which worker a partition belongs to, with as few moves as can be when workers come and go.

use super::mix;

/// Which of the `candidates`, each a worker's id and weight, owns the partition: the position among
/// them of the one with the highest score, `None` when there are none.
///
/// Weighted rendezvous hashing: a worker's score is `-weight / ln(h)`, where `h` in (0, 1) is a hash
/// of the partition and its id. It depends on nobody else, so a worker that goes leaves its
/// partitions to the others and moves none of theirs, one that comes only takes, and each has a
/// share by its weight. A weight of 0 counts as 1. The candidates' order does not matter.
///
/// Wait-free: two hashes and a logarithm a candidate. The last bits of a logarithm may differ between
/// platforms, which decides nothing unless two scores are equal to fifteen digits.
///
/// Sources: Thaler, Ravishankar: *Using Name-Based Mappings to Increase Hit Rates*, IEEE/ACM
/// Transactions on Networking 6 (1), 1998; the weights: Schindelhauer, Schomaker: *Weighted
/// Distributed Hash Tables*, SPAA 2005.
pub fn owner(partition: usize, candidates: impl Iterator<Item = (u32, u32)>) -> Option<usize> {
    let scores = candidates.map(|(id, weight)| (score(partition, id, weight), id));
    // By id when scores are equal, so that the order does not decide even then.
    let highest =
        scores.enumerate().max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    highest.map(|(index, _)| index)
}

fn score(partition: usize, id: u32, weight: u32) -> f64 {
    let hash = mix(mix(partition as u64) ^ u64::from(id));
    // The upper 52 bits and a half: never 0 and never 1, and each a number of its own.
    let h = ((hash >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    -f64::from(weight.max(1)) / h.ln()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    const PARTITIONS: usize = 4096;

    /// The id of each partition's owner.
    fn owners(workers: &[(u32, u32)]) -> Vec<u32> {
        let owner = |partition| workers[owner(partition, workers.iter().copied()).unwrap()].0;
        (0..PARTITIONS).map(owner).collect()
    }

    fn assert_shares_by_weight(workers: &[(u32, u32)]) {
        let owners = owners(workers);
        let sum: f64 = workers.iter().map(|worker| f64::from(worker.1.max(1))).sum();
        for &(id, weight) in workers {
            let share = owners.iter().filter(|owner| **owner == id).count() as f64;
            let fair = PARTITIONS as f64 * f64::from(weight.max(1)) / sum;
            let off = (share / fair - 1.0).abs();
            assert!(off < 0.2, "worker {id} of {workers:?} has {share} partitions for {fair}");
        }
    }

    #[test]
    fn nobody_owns_nothing() {
        assert_eq!(owner(0, std::iter::empty()), None);
        assert_eq!(owner(7, std::iter::once((3, 0))), Some(0));
    }

    #[test]
    fn shares_go_by_weight() {
        for first in [0, 100, 1_000_000, u32::MAX - 7] {
            let workers = |weights: [u32; 8]| {
                weights.into_iter().zip(first..=u32::MAX).map(|(w, id)| (id, w))
            };
            assert_shares_by_weight(&workers([1; 8]).collect::<Vec<_>>());
            assert_shares_by_weight(&workers([0; 8]).collect::<Vec<_>>());
            assert_shares_by_weight(&workers([1, 2, 3, 1, 2, 3, 1, 2]).collect::<Vec<_>>());
            assert_shares_by_weight(&workers([u32::MAX; 8]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn owners_are_the_same_in_every_run() {
        let workers = [(0, 1), (1, 1), (2, 2), (3, 4)];
        let first: Vec<_> = owners(&workers).into_iter().take(16).collect();
        assert_eq!(first, [3, 1, 3, 3, 3, 0, 3, 3, 2, 0, 3, 3, 0, 1, 0, 2]);
    }

    /// From 2 to 12 workers with ids and weights of any size.
    fn memberships() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let weight = prop_oneof![0u32..10, any::<u32>()];
        btree_map(prop_oneof![0u32..20, any::<u32>()], weight, 2..12)
            .prop_map(|workers| workers.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        // Read backwards it says that a worker which comes only takes.
        #[test]
        fn only_the_partitions_of_a_worker_that_goes_are_moved(
            workers in memberships(), goes in any::<prop::sample::Index>(),
        ) {
            let mut rest = workers.clone();
            let gone = rest.remove(goes.index(workers.len())).0;
            for (before, after) in owners(&workers).into_iter().zip(owners(&rest)) {
                prop_assert!(before == after || before == gone, "moved from {before} to {after}");
            }
        }

        #[test]
        fn a_worker_that_gains_weight_only_takes(
            workers in memberships(), gains in any::<prop::sample::Index>(), more in 1u32..100,
        ) {
            let mut heavier = workers.clone();
            let gains = &mut heavier[gains.index(workers.len())];
            gains.1 = gains.1.saturating_add(more);
            let gained = gains.0;
            for (before, after) in owners(&workers).into_iter().zip(owners(&heavier)) {
                prop_assert!(before == after || after == gained, "moved from {before} to {after}");
            }
        }

        #[test]
        fn the_order_of_the_candidates_does_not_matter(
            (workers, shuffled) in memberships()
                .prop_flat_map(|workers| (Just(workers.clone()), Just(workers).prop_shuffle())),
        ) {
            prop_assert_eq!(owners(&workers), owners(&shuffled));
        }
    }
}
