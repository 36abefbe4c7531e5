use raddle_core::{Candidates, Signals, TaskProfile};

use crate::{Strategy, retry, sample};

/// Picks the better of two random candidates.
///
/// - **Rule:** of two distinct random candidates, the one with the lower `(q + 1) / w`, where `q`
///   is the number of tasks in flight and `w` the worker's own
///   [weight](raddle_core::WorkerSpec::weight) (0 counts as 1). A worker that fails more often than
///   not ([`Signals::is_failing`](raddle_core::Signals::is_failing)) loses against one that does
///   not, unless that [has expired](raddle_core::Signals::has_expired), and a closed one against
///   all. A lone candidate is taken.
/// - **Source:** Mitzenmacher, *The power of two choices in randomized load balancing*, IEEE TPDS
///   12(10), 2001: the longest of n queues is of the order of log log n, where one choice gives
///   log n / log log n.
/// - **Use it for:** many workers at the highest rate; statistics that are late, since callers with
///   the same view do not herd onto the same worker.
/// - **Cost:** O(1), wait-free, no shared state: three cache lines, one random number.
/// - **Weak points:** an idle worker that is not drawn stays idle: with many workers at load 0.9
///   the mean sojourn is 2.6 times the service time, where one queue for all takes 1.0 to 1.4.
///   Weights compare two workers and are no shares: a worker is drawn with probability two in n at
///   most, which also bounds what one that swallows tasks can get.
#[derive(Clone, Copy, Debug, Default)]
pub struct PowerOfTwo;

impl PowerOfTwo {
    /// Creates the strategy.
    pub fn new() -> Self {
        Self
    }
}

impl Strategy for PowerOfTwo {
    fn name(&self) -> &'static str {
        "power_of_two"
    }

    #[inline]
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        two(candidates)
    }

    fn lets_steal(&self) -> bool {
        true
    }
}

/// Returns the better of two distinct random candidates; 0 if there are fewer.
#[inline]
pub(crate) fn two(candidates: &Candidates<'_>) -> usize {
    two_by(candidates, better)
}

/// Like [`two`], with another comparison.
#[inline]
pub(crate) fn two_by(
    candidates: &Candidates<'_>,
    better: impl Fn(&Candidates<'_>, usize, usize) -> usize,
) -> usize {
    match candidates.len() {
        0 | 1 => 0,
        count => {
            let (first, second) = sample::two(count);
            better(candidates, first, second)
        }
    }
}

/// Returns the better of two distinct random candidates other than the one at `but`, or the only
/// other one; `None` if there is none.
pub(crate) fn two_of_the_others(candidates: &Candidates<'_>, but: usize) -> Option<usize> {
    of_the_others(candidates, but, better)
}

/// Like [`two_of_the_others`], with another comparison.
pub(crate) fn of_the_others(
    candidates: &Candidates<'_>,
    but: usize,
    better: impl Fn(&Candidates<'_>, usize, usize) -> usize,
) -> Option<usize> {
    let count = candidates.len();
    if but >= count {
        return (count > 0).then(|| two_by(candidates, better));
    }
    let other = |index: usize| index + usize::from(index >= but);
    match count - 1 {
        0 => None,
        1 => Some(other(0)),
        others => {
            let (first, second) = sample::two(others);
            Some(better(candidates, other(first), other(second)))
        }
    }
}

#[inline]
pub(crate) fn better(candidates: &Candidates<'_>, first: usize, second: usize) -> usize {
    let (Some(one), Some(two)) = (candidates.signals_at(first), candidates.signals_at(second))
    else {
        return first;
    };
    if one.is_failing() | two.is_failing() {
        return better_of_failing(candidates, first, second);
    }
    let wins = cost(&two, one.weight()) < cost(&one, two.weight());
    // By a mask: which of two random candidates wins cannot be predicted, and a branch that is
    // mispredicted half of the time would take longer than everything else.
    first ^ ((first ^ second) & usize::from(wins).wrapping_neg())
}

/// Like [`better`], if at least one of them fails. Reads both again: if they were passed by reference,
/// `better` would keep them in memory, which costs it 29 instructions.
#[cold]
fn better_of_failing(candidates: &Candidates<'_>, first: usize, second: usize) -> usize {
    let (Some(one), Some(two)) = (candidates.signals_at(first), candidates.signals_at(second))
    else {
        return first;
    };
    let cost = |signals: &Signals<'_>, others_weight| {
        (signals.is_closed(), retry::is_avoided(signals, candidates), cost(signals, others_weight))
    };
    if cost(&two, one.weight()) < cost(&one, two.weight()) { second } else { first }
}

/// Returns `(q + 1) / w` times both weights, below the bit of a closed worker.
#[inline]
fn cost(signals: &Signals<'_>, others_weight: u32) -> u128 {
    let in_flight = signals.in_flight();
    let load = (u128::from(in_flight) + 1) * u128::from(others_weight);
    load | u128::from(in_flight >> 63) << CLOSED
}

/// A bit above the product of a count and a weight.
const CLOSED: u32 = 101;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::roster;
    use raddle_core::{Outcome, Reservation, Roster, WorkerSpec};
    use std::time::Duration;

    const SEED: u64 = 0x0070_326f_3263;

    fn take(roster: &Roster, position: usize) -> Reservation<'_> {
        Reservation::take(&roster.members()[position].worker, position, None).unwrap()
    }

    /// Counts how often each candidate is picked.
    fn counts(candidates: usize, picks: usize, mut pick: impl FnMut() -> usize) -> Vec<usize> {
        println!("seed {SEED:#x}");
        fastrand::seed(SEED);
        let mut counts = vec![0; candidates];
        (0..picks).for_each(|_| counts[pick()] += 1);
        counts
    }

    #[test]
    fn pairs_are_distinct_and_equally_likely() {
        for count in [2, 3, 5] {
            let pairs = counts(count * count, 100_000, || {
                let (first, second) = sample::two(count);
                assert!(first != second && first < count && second < count);
                first * count + second
            });
            let fair = 100_000 / (count * (count - 1));
            for (pair, drawn) in pairs.into_iter().enumerate() {
                let expected = if pair / count == pair % count { 0 } else { fair };
                assert!(drawn.abs_diff(expected) * 20 <= fair, "{count}: {pair}: {drawn}");
            }
        }
    }

    #[test]
    fn a_lone_candidate_is_taken() {
        assert_eq!(two(&roster(1).candidates(None)), 0);
    }

    #[test]
    fn every_other_candidate_is_drawn() {
        let roster = roster(4);
        let candidates = roster.candidates(None);
        for but in 0..4 {
            let counts = counts(4, 12_000, || two_of_the_others(&candidates, but).unwrap());
            for (index, count) in counts.into_iter().enumerate() {
                let expected = if index == but { 0 } else { 4_000 };
                assert!(usize::abs_diff(count, expected) < 300, "{but}: {index}: {count}");
            }
        }
        assert!(two_of_the_others(&candidates, 4).is_some_and(|index| index < 4));
    }

    #[test]
    fn the_better_of_the_others_is_taken_if_there_is_one() {
        let three = roster(3);
        let _busy = take(&three, 1);
        for _ in 0..50 {
            assert_eq!(two_of_the_others(&three.candidates(None), 0), Some(2));
        }
        let pair = roster(2);
        assert_eq!(two_of_the_others(&pair.candidates(None), 0), Some(1));
        assert_eq!(two_of_the_others(&pair.candidates(None), 1), Some(0));
        let one = roster(1);
        assert_eq!(two_of_the_others(&one.candidates(None), 0), None);
        assert_eq!(two_of_the_others(&one.candidates(None), 1), Some(0));
        let none = Roster::builder().build().unwrap();
        assert_eq!(two_of_the_others(&none.candidates(None), 0), None);
    }

    /// Returns which of two workers are picked; the pair is always both.
    fn of_two(weights: [u32; 2], in_flight: [usize; 2]) -> Vec<usize> {
        let specs = weights.into_iter().zip(["a", "b"]);
        let roster = specs
            .fold(Roster::builder(), |builder, (weight, name)| {
                builder.worker(WorkerSpec::new(name).weight(weight))
            })
            .build()
            .unwrap();
        let held = |position: usize| (0..in_flight[position]).map(move |_| position);
        let _held: Vec<_> =
            held(0).chain(held(1)).map(|position| take(&roster, position)).collect();
        let mut picks: Vec<_> = (0..60).map(|_| two(&roster.candidates(None))).collect();
        picks.sort_unstable();
        picks.dedup();
        picks
    }

    #[test]
    fn load_is_relative_to_weight() {
        assert_eq!(of_two([1, 1], [0, 0]), [0, 1], "ties are at random");
        assert_eq!(of_two([1, 1], [1, 0]), [1]);
        assert_eq!(of_two([4, 1], [2, 0]), [0], "3 / 4 is less than 1");
        assert_eq!(of_two([4, 1], [3, 0]), [0, 1], "4 / 4 is 1");
        assert_eq!(of_two([4, 1], [4, 0]), [1], "5 / 4 is more");
        assert_eq!(of_two([0, 1], [0, 0]), [0, 1], "0 counts as 1");
        assert_eq!(of_two([0, u32::MAX], [0, 9]), [1]);
        assert_eq!(of_two([u32::MAX, u32::MAX], [3, 2]), [1]);
    }

    #[test]
    fn a_failing_worker_loses_and_a_closed_one_loses_against_all() {
        let roster = roster(2);
        for _ in 0..50 {
            take(&roster, 0).finish(Outcome::Failed, Duration::ZERO);
        }
        roster.members()[0].worker.recorder().unwrap().mark_idle(roster.clock().now());
        let held: Vec<_> = (0..9).map(|_| take(&roster, 1)).collect();
        for _ in 0..50 {
            assert_eq!(two(&roster.candidates(None)), 1, "whatever it has in flight");
        }
        roster.members()[1].worker.close();
        for _ in 0..50 {
            assert_eq!(two(&roster.candidates(None)), 0, "failing is better than closed");
        }
        drop(held);
        assert_eq!(two(&roster.candidates(None)), 0);
    }
}
