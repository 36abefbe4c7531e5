//! When a strategy tries a worker again that it passes over for what was recorded about it.

use raddle_core::{Candidates, Signals};

/// A failing worker whose idle time is unknown is tried once in this many picks that meet it.
const FAILING_TRIED_IN: u16 = 16;
/// The same for any other.
const TRIED_IN: u16 = 1_024;

/// Tests whether the worker is idle and whatever counts against it has
/// [expired](Signals::has_expired).
#[cold]
pub(crate) fn is_due(signals: &Signals<'_>, candidates: &Candidates<'_>) -> bool {
    if signals.in_flight() != 0 {
        return false;
    }
    if signals.idle_for(u64::MAX) == 0 {
        let one_in = if signals.is_failing() { FAILING_TRIED_IN } else { TRIED_IN };
        return fastrand::u16(..one_in) == 0;
    }
    signals.has_expired(candidates.roster().clock().now())
}

/// Tests whether the worker fails and is not tried again.
#[inline]
pub(crate) fn is_avoided(signals: &Signals<'_>, candidates: &Candidates<'_>) -> bool {
    signals.is_failing() && !is_due(signals, candidates)
}

/// In this many of 256 selections, a strategy that reads all workers checks whether to try a random
/// one again: to check all of them in each selection would make it longer by half.
const CHECKS: u8 = 8;

/// Returns `best`, or now and then a random candidate that `may` be tried and is
/// [due](is_due). `now` is the time of the selection, or 0 if it is not at hand.
#[inline]
pub(crate) fn or_one_that_is_due(
    candidates: &Candidates<'_>,
    now: u64,
    best: usize,
    may: impl FnOnce(&Signals<'_>, &Signals<'_>) -> bool,
) -> usize {
    // A time is as good as a random number here, and cheaper. A time of 0 always passes.
    if top_byte(now) < CHECKS { one_that_is_due(candidates, now, best, may) } else { best }
}

/// Spreads times evenly, however far apart they are: the multiplier is 2^64 divided by the golden
/// ratio (Knuth, *The Art of Computer Programming* 3, 6.4).
#[inline]
fn top_byte(now: u64) -> u8 {
    (now.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

#[cold]
fn one_that_is_due(
    candidates: &Candidates<'_>,
    now: u64,
    best: usize,
    may: impl FnOnce(&Signals<'_>, &Signals<'_>) -> bool,
) -> usize {
    if now == 0 && fastrand::u8(..) >= CHECKS {
        return best;
    }
    let drawn = fastrand::usize(..candidates.len());
    match (candidates.signals_at(drawn), candidates.signals_at(best)) {
        (Some(one), Some(other)) if may(&one, &other) && is_due(&one, candidates) => drawn,
        _ => best,
    }
}
