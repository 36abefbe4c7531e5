use raddle_core::{Candidates, Signals, TaskProfile};
use thiserror::Error;

use crate::Strategy;
use crate::lowest::lowest;
use crate::power_of_two::two;
use crate::rendezvous::{Highest, owner};

/// The candidate that the task's key belongs to while it has room, otherwise the next in the key's
/// own order.
///
/// - **Rule:** [rendezvous hashing](crate::rendezvous) of the key and the workers' ids, in
///   proportion to their [weights](raddle_core::WorkerSpec::weight), puts the candidates into an
///   order that is the key's own. The first of it that has fewer tasks in flight than its capacity
///   is picked: `ceil((1 + eps) * mean * w)`, where `mean` is all tasks in flight with this one, by
///   the sum of the weights `w`. So while no worker has more than its share and a part, a key has
///   one worker; a key that is hot goes to a second and a third, always the same. A worker that
///   comes or goes moves the keys that are to be its own, or were, about one in n, and besides only
///   tasks that overflow. A worker that fails more often than not takes no overflow while another
///   has room. A task without a key: of two at random, the one with fewer in flight.
/// - **Source:** Mirrokni, Thorup, Zadimoghaddam: *Consistent Hashing with Bounded Loads*, SODA
///   2018 (arXiv 1608.01350, 2016), with the order of rendezvous hashing for that of a ring.
/// - **Cost:** O(n), wait-free, at most three passes, nothing allocated: over the ids, which nobody
///   writes, and nothing more where the key's worker is idle; else over all counts in flight; and
///   over both, where that worker has no room.
/// - **Made for:** workers with a cache, a session or a file by key, where a few hot keys must not
///   drown one of them.
/// - **Traps:** a worker that fails at once keeps its own keys: eject it, and they go to others
///   until it is back. A hung one is given the tasks of its keys up to its capacity, and no more;
///   but where `n <= 1 + eps`, as in a pool of one or with a large bound, there is no capacity. A
///   worker that is slow is given as much in flight as a fast one, by its weight. Without an end of
///   tasks no worker is ever above its capacity; as others end theirs the mean falls and one may
///   be, until its own end. Threads that pick at one instant may exceed it by one task each. A
///   worker that leaves for good and comes again has another id, and other keys.
///
/// In a pool of `raddle-runtime` tasks of a key are run in order whatever the strategy. There the
/// strategy picks the worker of a group of keys, one of a thousand, whenever no task of the group
/// is left, and the tasks that come before those have ended follow them. So a hot key stays with
/// one worker, and the others find one with room.
///
/// ```
/// use raddle_core::{Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, BoundedHash};
///
/// let roster = Roster::builder().workers(4, WorkerSpec::general()).build()?;
/// let balancer = Balancer::new(BoundedHash::with_bound(0.5)?);
/// let task = TaskProfile::default().key(42);
/// let first = balancer.select(&task, &roster)?.position();
/// assert_eq!(balancer.select(&task, &roster)?.position(), first, "a key has one worker");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BoundedHash {
    eps: f64,
}

/// A bound that is not one.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error(
    "the bound is {0}, allowed is a finite number above 0: by how much a worker may be above its \
     share, 0.25 for a quarter"
)]
pub struct BoundError(pub f64);

const CLOSED: u64 = Signals::CLOSED;

impl BoundedHash {
    /// By how much of its share a worker may be above it, by default. Less spreads better, more
    /// keeps keys together.
    pub const BOUND: f64 = 0.25;

    /// No worker is given more than its share and a quarter.
    pub const fn new() -> Self {
        Self { eps: Self::BOUND }
    }

    /// No worker is given more than `1 + eps` of its share, rounded up.
    ///
    /// # Errors
    /// Unless `eps` is finite and above 0.
    pub fn with_bound(eps: f64) -> Result<Self, BoundError> {
        if eps.is_finite() && eps > 0.0 { Ok(Self { eps }) } else { Err(BoundError(eps)) }
    }

    fn pick_by_key(&self, key: u64, candidates: &Candidates<'_>) -> usize {
        let weights = candidates.weights();
        let home = owner(key, weights.iter().map(|(id, weight)| (id.0, *weight))).unwrap_or(0);
        let in_flight = in_flight(candidates, home);
        if in_flight == 0 {
            return home;
        }
        let (mut tasks, mut sum) = (0, 0);
        let mut ids = weights.iter();
        candidates.signals().for_each(|signals| {
            let weight = ids.next().map_or(0, |(_, weight)| u64::from((*weight).max(1)));
            let in_flight = signals.in_flight();
            let open = u64::from(in_flight < CLOSED);
            tasks += open * in_flight;
            sum += open * weight;
        });
        // For a whole number, to be below the ceiling is to be below.
        let room = Room { capacity: (1.0 + self.eps) * (tasks + 1) as f64 / sum as f64 };
        match room.is_left(in_flight, weights[home].1) {
            true => home,
            false => overflow(key, candidates, room),
        }
    }
}

/// The capacity of a worker with a weight of 1.
#[derive(Clone, Copy)]
struct Room {
    capacity: f64,
}

impl Room {
    #[inline]
    fn is_left(self, in_flight: u64, weight: u32) -> bool {
        in_flight < CLOSED && (in_flight as f64) < self.capacity * f64::from(weight.max(1))
    }
}

fn in_flight(candidates: &Candidates<'_>, index: usize) -> u64 {
    candidates.signals_at(index).map_or(CLOSED, |signals| signals.in_flight())
}

/// The first in the key's order that has room: rather one that does not fail.
#[cold]
fn overflow(key: u64, candidates: &Candidates<'_>, room: Room) -> usize {
    let (mut sound, mut failing) = (Highest::of(key), Highest::of(key));
    let mut ids = (0..).zip(candidates.weights());
    candidates.signals().for_each(|signals: Signals<'_>| {
        let Some((index, &(id, weight))) = ids.next() else { return };
        if room.is_left(signals.in_flight(), weight) {
            let highest = if signals.is_failing() { &mut failing } else { &mut sound };
            highest.enter(index, id.0, weight);
        }
    });
    // Somebody had room, unless others have taken it in between, or all are closed.
    let next = sound.index().or(failing.index());
    next.unwrap_or_else(|| lowest(candidates, |signals| signals.in_flight()))
}

impl Default for BoundedHash {
    fn default() -> Self {
        Self::new()
    }
}

impl Strategy for BoundedHash {
    fn name(&self) -> &'static str {
        "bounded_hash"
    }

    #[inline]
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        match task.key {
            Some(key) => self.pick_by_key(key, candidates),
            None => two(candidates),
        }
    }

    fn routes_keys(&self) -> bool {
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::{picks, roster};

    #[test]
    fn a_bound_is_finite_and_above_zero() {
        for eps in [0.0, -0.25, f64::NAN, f64::INFINITY] {
            let error = BoundedHash::with_bound(eps).unwrap_err();
            assert!(error.to_string().starts_with(&format!("the bound is {eps}, allowed is")));
        }
        for eps in [f64::MIN_POSITIVE, 0.25, 7.0, f64::MAX] {
            assert_eq!(BoundedHash::with_bound(eps).unwrap().eps, eps);
        }
        assert_eq!(BoundedHash::default().eps, BoundedHash::BOUND);
    }

    #[test]
    fn who_is_closed_has_no_room_however_wide_the_bound() {
        let strategy = BoundedHash::with_bound(f64::MAX).unwrap();
        let (roster, task) = (roster(2), TaskProfile::default().key(7));
        let home = picks(&strategy, &task, &roster, 1)[0];
        roster.members()[home].worker.close();
        assert_eq!(picks(&strategy, &task, &roster, 10), [1 - home; 10]);
    }

    #[test]
    fn the_two_are_different_and_every_pair_is_as_likely() {
        fastrand::seed(0x6b65_796c);
        let roster = roster(4);
        // With a task at each but one, that one is taken by every pair that it is in: half of them.
        let held: Vec<_> =
            (0..3).map(|index| roster.candidates(None).take(index, None).unwrap()).collect();
        let picks = picks(&BoundedHash::new(), &TaskProfile::default(), &roster, 10_000);
        let idle = picks.iter().filter(|index| **index == 3).count();
        assert!((4_700..5_300).contains(&idle), "{idle} of 10000");
        drop(held);
    }
}
