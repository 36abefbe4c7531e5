use raddle_core::Candidates;

/// Of two candidates other than the one at `but`, drawn at random, the one with fewer tasks in
/// flight; of only one, that one, and of none, `but`. O(1), wait-free.
///
/// As good as even at random: where both have as many, the first one drawn is taken. A closed worker
/// counts as the most loaded one there is.
#[inline]
pub(crate) fn better_of_two(candidates: &Candidates<'_>, but: usize) -> usize {
    let others = match candidates.len() {
        0 | 1 => return but,
        2 => return 1 - but.min(1),
        count => count - 1,
    };
    // The numbers from `but` on stand for the candidates behind it.
    let other = |number: usize| number + usize::from(number >= but);
    let first = fastrand::usize(..others);
    let second = fastrand::usize(..others - 1);
    let (first, second) = (other(first), other(second + usize::from(second >= first)));
    let in_flight = |index| candidates.signals_at(index).map_or(u64::MAX, |s| s.in_flight());
    if in_flight(second) < in_flight(first) { second } else { first }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::roster;
    use raddle_core::Reservation;

    const SEED: u64 = 0x6f74_6865_7273;
    const DRAWS: usize = 20_000;

    /// How often each of so many was drawn.
    fn shares(workers: usize, but: usize, held: &[usize]) -> Vec<usize> {
        fastrand::seed(SEED);
        let roster = roster(workers);
        let candidates = roster.candidates(None);
        let _held: Vec<Reservation<'_>> =
            held.iter().map(|index| candidates.take(*index, None).unwrap()).collect();
        let mut shares = vec![0; workers];
        (0..DRAWS).for_each(|_| shares[better_of_two(&candidates, but)] += 1);
        shares
    }

    #[test]
    fn the_others_have_equal_shares_and_the_one_none() {
        for (workers, but) in [(2, 0), (2, 1), (3, 1), (5, 0), (5, 2), (5, 4)] {
            let shares = shares(workers, but, &[]);
            assert_eq!(shares[but], 0);
            let fair = DRAWS as f64 / (workers - 1) as f64;
            for share in (0..workers).filter(|index| *index != but).map(|index| shares[index]) {
                // Five standard deviations at the most.
                let off = (share as f64 - fair).abs();
                assert!(off < 5.0 * fair.sqrt(), "seed {SEED:#x}, {workers} but {but}: {shares:?}");
            }
        }
    }

    #[test]
    fn of_the_two_the_less_loaded_one_is_taken() {
        // Of three others the loaded one is never the better of a pair.
        assert_eq!(shares(4, 1, &[3])[3], 0);
        // Of two others both are drawn each time.
        assert_eq!(shares(3, 0, &[1]), [0, 0, DRAWS]);
    }

    #[test]
    fn alone_it_is_itself() {
        let roster = roster(1);
        assert_eq!(better_of_two(&roster.candidates(None), 0), 0);
    }
}
