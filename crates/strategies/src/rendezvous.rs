//! Weighted rendezvous hashing (highest random weight): which worker a key belongs to, with as few
//! moves as possible when workers join or leave.
//!
//! A worker's score for a key is `-weight / ln(h)`, where `h` in (0, 1) is a hash of the key and
//! the worker's id. The key belongs to the worker with the highest score. A score does not depend
//! on other workers: one that leaves passes its keys on and moves no others, one that joins only
//! takes keys, and each has a share in proportion to its weight. A weight of 0 counts as 1.
//!
//! Sources: Thaler, Ravishankar: *Using Name-Based Mappings to Increase Hit Rates*, IEEE/ACM
//! Transactions on Networking 6 (1), 1998; the weights: Schindelhauer, Schomaker: *Weighted
//! Distributed Hash Tables*, SPAA 2005.

/// Returns the index of the candidate that the key belongs to, where each candidate is a worker's
/// id and weight; `None` without candidates. Their order does not matter.
///
/// Wait-free, O(n): a hash per candidate, and about log n logarithms. The last bits of a logarithm
/// may differ between platforms, which matters only if two scores agree to fifteen digits.
///
/// ```
/// use raddle_strategies::rendezvous::owner;
///
/// let workers = [(0, 1), (1, 1), (2, 4)];
/// let at = owner(7, workers).ok_or("there are workers")?;
/// // If another worker leaves, the key stays where it is.
/// let rest: Vec<_> = workers.into_iter().filter(|(id, _)| *id != (at as u32 + 1) % 3).collect();
/// let still = owner(7, rest.iter().copied()).ok_or("there are workers")?;
/// assert_eq!(rest[still], workers[at]);
/// # Ok::<(), &str>(())
/// ```
#[inline]
pub fn owner(key: u64, candidates: impl IntoIterator<Item = (u32, u32)>) -> Option<usize> {
    let mut highest = Highest::of(key);
    let mut index = 0;
    candidates.into_iter().for_each(|(id, weight)| {
        highest.enter(index, id, weight);
        index += 1;
    });
    highest.index()
}

/// Hashes a number; different numbers have different hashes. The finaliser of SplitMix64 (Steele,
/// Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014). Wait-free.
#[inline]
pub fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The worker with the highest score for a key, of those that have entered.
pub(crate) struct Highest {
    seed: u64,
    score: f64,
    /// Slightly below the score.
    to_beat: f64,
    id: u32,
    index: Option<usize>,
}

impl Highest {
    pub(crate) fn of(key: u64) -> Self {
        Self { seed: mix(key), score: 0.0, to_beat: 0.0, id: 0, index: None }
    }

    #[inline]
    pub(crate) fn enter(&mut self, index: usize, id: u32, weight: u32) {
        let hash = mix(self.seed ^ u64::from(id));
        // The upper 52 bits plus a half: distinct numbers, never 0 and never 1. Signed, because one
        // instruction converts that to a float.
        let h = ((hash >> 12) as i64 as f64 + 0.5) / (1u64 << 52) as f64;
        let weight = f64::from(weight.max(1));
        // Since -ln(h) >= 1 - h, most lose before their logarithm is computed.
        if weight >= self.to_beat * (1.0 - h) {
            self.score(index, id, -weight / h.ln());
        }
    }

    #[inline]
    fn score(&mut self, index: usize, id: u32, score: f64) {
        // Equal scores compare by id, so that the order never matters.
        if score > self.score || (score == self.score && id > self.id) {
            (self.score, self.to_beat) = (score, score * (1.0 - 1e-9));
            (self.id, self.index) = (id, Some(index));
        }
    }

    pub(crate) fn index(&self) -> Option<usize> {
        self.index
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    const PARTITIONS: u64 = 4096;

    /// Returns the id of each partition's owner.
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
    fn without_candidates_there_is_no_owner() {
        assert_eq!(owner(0, std::iter::empty()), None);
        assert_eq!(owner(7, std::iter::once((3, 0))), Some(0));
    }

    #[test]
    fn the_lowest_hash_is_valid() {
        // `mix` maps this to 0.
        let mut highest =
            Highest { seed: 0x9e37_79b9_7f4a_7c15u64.wrapping_neg(), ..Highest::of(0) };
        highest.enter(4, 0, 1);
        assert_eq!(highest.index(), Some(4));
    }

    #[test]
    fn equal_scores_are_won_by_the_highest_id() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut highest = Highest::of(7);
            order.iter().for_each(|id| highest.score(*id as usize, *id, 0.5));
            highest.score(3, 3, 0.25);
            highest.score(4, 2, 0.5);
            assert_eq!(highest.index(), Some(2), "{order:?}");
        }
    }

    #[test]
    fn shares_are_proportional_to_weight() {
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

    /// 2 to 12 workers with any ids and weights.
    fn memberships() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let weight = prop_oneof![0u32..10, any::<u32>()];
        btree_map(prop_oneof![0u32..20, any::<u32>()], weight, 2..12)
            .prop_map(|workers| workers.into_iter().collect())
    }

    /// The rule without the shortcut.
    fn owner_by_all_logarithms(key: u64, workers: &[(u32, u32)]) -> u32 {
        let scored = workers.iter().map(|&(id, weight)| {
            let h = ((mix(mix(key) ^ u64::from(id)) >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
            (-f64::from(weight.max(1)) / h.ln(), id)
        });
        scored.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).unwrap().1
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        // Read backwards: a worker that joins only takes partitions.
        #[test]
        fn only_the_partitions_of_a_worker_that_leaves_are_moved(
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
        fn no_skipped_logarithm_would_have_won(workers in memberships()) {
            for (key, owner) in (0..).zip(owners(&workers)) {
                prop_assert_eq!(owner, owner_by_all_logarithms(key, &workers), "key {}", key);
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
