//! Weighted rendezvous hashing (highest random weight): which worker a key belongs to, with as few
//! moves as possible when workers join or leave.
//!
//! A worker's score for a key is `-weight / ln(h)`, where `h` in (0, 1) is a hash of the key and
//! the [hash of the worker's name](raddle_core::Worker::name_hash). The key belongs to the worker with
//! the highest score. A score does not depend on other workers: one that leaves passes its keys on and
//! moves no others, one that joins only takes keys, and each has a share in proportion to its weight.
//! A weight of 0 counts as 1. Nor does a score depend on when a worker joined: processes that know the
//! same names agree, and a worker that leaves and comes back has its keys again.
//!
//! Sources: Thaler, Ravishankar: *Using Name-Based Mappings to Increase Hit Rates*, IEEE/ACM
//! Transactions on Networking 6 (1), 1998; the weights: Schindelhauer, Schomaker: *Weighted
//! Distributed Hash Tables*, SPAA 2005.

/// Returns the index of the candidate that the key belongs to, where each candidate is the hash of
/// a worker's name and its weight; `None` without candidates. Their order does not matter.
///
/// Wait-free, O(n): a hash per candidate, and a few logarithms if weights differ. The last bits of a
/// logarithm may differ between platforms, which matters only if two scores agree to fifteen digits.
///
/// ```
/// use raddle_strategies::rendezvous::owner;
///
/// let workers = ["a", "b", "c"].map(|name| (raddle_core::hash::of_name(name), 1));
/// let at = owner(7, workers).ok_or("there are workers")?;
/// // If another worker leaves, the key stays where it is.
/// let mut rest = workers.to_vec();
/// rest.remove((at + 1) % 3);
/// let still = owner(7, rest.iter().copied()).ok_or("there are workers")?;
/// assert_eq!(rest[still], workers[at]);
/// # Ok::<(), &str>(())
/// ```
#[inline]
pub fn owner(key: u64, candidates: impl IntoIterator<Item = (u64, u32)>) -> Option<usize> {
    let mut highest = Highest::of(key);
    for (index, (name, weight)) in candidates.into_iter().enumerate() {
        highest.enter(index, name, weight);
    }
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

/// Returns the hash of a key's seed and a worker's name, in (0, 1).
#[inline(always)]
fn hash(seed: u64, name: u64) -> f64 {
    // The upper 52 bits plus a half: distinct numbers, never 0 and never 1. Signed, because one
    // instruction converts that to a float.
    ((mix(seed ^ name) >> 12) as i64 as f64 + 0.5) / (1u64 << 52) as f64
}

/// The worker with the highest score for a key, of those that have entered.
pub(crate) struct Highest {
    seed: u64,
    /// Its hash with the key, and its weight; 0 before any has entered.
    h: f64,
    weight: f64,
    name: u64,
    index: Option<usize>,
    /// Slightly below its score; 0 while that was not needed.
    to_beat: f64,
}

/// How far below a score another one is certainly lower, whatever is rounded.
const BELOW: f64 = 1.0 - 1e-9;

impl Highest {
    pub(crate) fn of(key: u64) -> Self {
        Self { seed: mix(key), h: 0.0, weight: 0.0, name: 0, index: None, to_beat: 0.0 }
    }

    #[inline]
    pub(crate) fn enter(&mut self, index: usize, name: u64, weight: u32) {
        self.enter_hashed(index, name, hash(self.seed, name), f64::from(weight.max(1)));
    }

    #[inline]
    fn enter_hashed(&mut self, index: usize, name: u64, h: f64, weight: f64) {
        // Scores of one weight are in the order of the hashes, so workers of one weight need no
        // logarithm. Equal ones compare by name, so that the order never matters.
        let wins = if weight == self.weight {
            h > self.h || (h == self.h && name > self.name)
        } else {
            self.is_beaten_by(name, h, weight)
        };
        if wins {
            *self = Self { seed: self.seed, h, weight, name, index: Some(index), to_beat: 0.0 };
        }
    }

    #[inline(never)]
    fn is_beaten_by(&mut self, name: u64, h: f64, weight: f64) -> bool {
        if self.index.is_none() {
            return true;
        }
        // Since -ln(h) >= 1 - h, most lose before their logarithm is computed.
        if weight < self.to_beat * (1.0 - h) {
            return false;
        }
        let (score, own) = (-weight / h.ln(), -self.weight / self.h.ln());
        self.to_beat = own * BELOW;
        score > own || (score == own && name > self.name)
    }

    pub(crate) fn index(&self) -> Option<usize> {
        self.index
    }
}

/// Returns the indices of the first `N` candidates in the order of a key, the owner first. O(n): a hash
/// per candidate, and a logarithm for about `N ln n` of them.
pub(crate) fn first_in_order<const N: usize>(
    key: u64,
    candidates: impl IntoIterator<Item = (u64, u32)>,
) -> impl Iterator<Item = usize> {
    let seed = mix(key);
    // By descending score, then name.
    let mut first = [(0.0, 0, usize::MAX); N];
    candidates.into_iter().enumerate().for_each(|(index, (name, weight))| {
        let (h, weight) = (hash(seed, name), f64::from(weight.max(1)));
        // As in `Highest`.
        if weight >= first[N - 1].0 * BELOW * (1.0 - h) {
            let entry = (-weight / h.ln(), name, index);
            let at = first.partition_point(|other| (other.0, other.1) > (entry.0, entry.1));
            if let Some(from @ [_, ..]) = first.get_mut(at..) {
                from.rotate_right(1);
                from[0] = entry;
            }
        }
    });
    first.into_iter().map(|(.., index)| index).take_while(|index| *index != usize::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    const PARTITIONS: u64 = 4096;

    /// Returns the id of each partition's owner.
    fn owners(workers: &[(u64, u32)]) -> Vec<u64> {
        let owner = |partition| workers[owner(partition, workers.iter().copied()).unwrap()].0;
        (0..PARTITIONS).map(owner).collect()
    }

    fn assert_shares_by_weight(workers: &[(u64, u32)]) {
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
    fn equal_scores_are_won_by_the_highest_name_hash() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut highest = Highest::of(7);
            order.iter().for_each(|id| highest.enter_hashed(*id as usize, *id, 0.5, 1.0));
            highest.enter_hashed(3, 3, 0.25, 1.0);
            highest.enter_hashed(4, 2, 0.5, 1.0);
            assert_eq!(highest.index(), Some(2), "{order:?}");
        }
    }

    #[test]
    fn shares_are_proportional_to_weight() {
        for first in [0, 100, 1_000_000, u64::MAX - 7] {
            let workers = |weights: [u32; 8]| {
                weights.into_iter().zip(first..=u64::MAX).map(|(w, id)| (id, w))
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
    fn memberships() -> impl Strategy<Value = Vec<(u64, u32)>> {
        let weight = prop_oneof![0u32..10, any::<u32>()];
        btree_map(prop_oneof![0u64..20, any::<u64>()], weight, 2..12)
            .prop_map(|workers| workers.into_iter().collect())
    }

    /// The rule without the shortcut.
    fn owner_by_all_logarithms(key: u64, workers: &[(u64, u32)]) -> u64 {
        let scored = workers.iter().map(|&(id, weight)| {
            let h = ((mix(mix(key) ^ id) >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
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
        fn the_first_in_order_are_the_owners_once_those_before_them_have_left(
            workers in memberships(), key: u64,
        ) {
            let mut left = workers.clone();
            for index in first_in_order::<4>(key, workers.iter().copied()) {
                let owner = left.remove(owner(key, left.iter().copied()).unwrap());
                prop_assert_eq!(owner, workers[index]);
            }
            prop_assert_eq!(left.len(), workers.len().saturating_sub(4));
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
