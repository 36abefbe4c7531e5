use raddle_core::{Candidates, Worker};

/// The index of a candidate with the lowest score, ties broken evenly at random. O(n), wait-free.
///
/// The ties are counted in a first pass and one of them is found again in a second, which starts
/// at the first tie: at most one random number a selection. Scores that change in between can
/// only move the choice to another candidate that was, or has become, as good.
#[inline]
pub(crate) fn lowest<S: PartialOrd>(
    candidates: &Candidates<'_>,
    score: impl Fn(&Worker) -> S,
) -> usize {
    let mut workers = candidates.iter().enumerate();
    let Some((mut found, worker)) = workers.next() else {
        return 0;
    };
    let mut best = score(worker);
    let mut ties = 1usize;
    for (index, worker) in workers {
        let score = score(worker);
        if score < best {
            (best, found, ties) = (score, index, 1);
        } else if score == best {
            ties += 1;
        }
    }
    if ties == 1 {
        return found;
    }
    let mut to_pass = fastrand::usize(..ties);
    for (index, worker) in candidates.iter().enumerate().skip(found) {
        if score(worker) <= best {
            found = index;
            if to_pass == 0 {
                break;
            }
            to_pass -= 1;
        }
    }
    found
}
