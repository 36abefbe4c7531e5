use raddle_core::{Candidates, Signals};

/// Returns the index of a candidate with the lowest score, ties broken evenly at random. O(n),
/// wait-free; one pass in the common cases of a single best candidate or of many.
///
/// If scores change meanwhile, the choice may only move to a candidate that was, or has become, as
/// good.
#[inline]
pub(crate) fn lowest(candidates: &Candidates<'_>, score: impl Fn(Signals<'_>) -> u64) -> usize {
    let count = candidates.len();
    let (mut index, mut found, mut ties) = (0, 0, 0);
    let mut best = u64::MAX;
    candidates.signals().for_each(|signals| {
        let score = score(signals);
        // Written so that one comparison tells all.
        let may_tie = usize::from(score <= best);
        if score < best {
            (best, found, ties) = (score, index, 0);
        }
        ties += may_tie;
        index += 1;
    });
    if ties <= 1 {
        return found;
    }
    if ties == count {
        return fastrand::usize(..count);
    }
    let is_best = |index: usize| candidates.signals_at(index).is_some_and(|s| score(s) <= best);
    // If there are many ties, a few random draws find one of them, each equally likely.
    if ties * DRAWS >= count {
        for _ in 0..2 * DRAWS {
            let drawn = fastrand::usize(..count);
            if is_best(drawn) {
                return drawn;
            }
        }
    }
    // If there are few, one is chosen by its number and found in a second pass.
    let mut to_pass = fastrand::usize(..ties);
    let mut last = found;
    for index in (found..count).filter(|index| is_best(*index)) {
        last = index;
        if to_pass == 0 {
            break;
        }
        to_pass -= 1;
    }
    last
}

/// Returns the index of a candidate with the lowest score among [`NEARBY`] consecutive ones from a
/// random one on, ties broken at random. O(1), wait-free.
pub(crate) fn lowest_nearby(
    candidates: &Candidates<'_>,
    score: impl Fn(Signals<'_>) -> u64,
) -> usize {
    let count = candidates.len();
    let first = fastrand::usize(..count);
    let mut lowest = Lowest::of(first, u64::MAX);
    for index in (first..count).chain(0..first).take(NEARBY) {
        if let Some(score) = candidates.signals_at(index).map(&score) {
            lowest.enter(index, score);
        }
    }
    lowest.index
}

/// The candidate with the lowest score of those that have entered, each of several equally likely.
pub(crate) struct Lowest {
    pub(crate) index: usize,
    pub(crate) score: u64,
    ties: u32,
}

impl Lowest {
    /// The first candidate.
    pub(crate) fn of(index: usize, score: u64) -> Self {
        Self { index, score, ties: 1 }
    }

    #[inline]
    pub(crate) fn enter(&mut self, index: usize, score: u64) {
        if score < self.score {
            *self = Self::of(index, score);
        } else if score == self.score {
            self.ties += 1;
            if fastrand::u32(..self.ties) == 0 {
                self.index = index;
            }
        }
    }
}

/// How many candidates [`lowest_nearby`] reads.
pub(crate) const NEARBY: usize = 128;

/// The expected number of draws up to which drawing is cheaper than a second pass.
const DRAWS: usize = 4;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::roster;

    const SEED: u64 = 0x6c6f_7765_7374;

    /// With many workers, so that a few ties are not found by drawing.
    #[test]
    fn a_few_ties_are_found_equally_often() {
        fastrand::seed(SEED);
        let roster = roster(600);
        let candidates = roster.candidates(None);
        for best in [vec![599], vec![0, 1, 2], vec![7, 300, 598, 599]] {
            let busy = (0..600).filter(|index| !best.contains(index));
            let held: Vec<_> = busy.map(|index| candidates.take(index, None).unwrap()).collect();
            let mut times = vec![0usize; 600];
            (0..4_000).for_each(|_| times[lowest(&candidates, |signals| signals.in_flight())] += 1);
            let fair = 4_000 / best.len();
            for index in best {
                let off = times[index].abs_diff(fair);
                assert!(off < 160, "seed {SEED:#x}: {} of {fair} at {index}", times[index]);
            }
            drop(held);
        }
    }
}
