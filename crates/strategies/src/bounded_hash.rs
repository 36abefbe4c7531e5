use raddle_core::{Candidates, Signals, TaskProfile};

use crate::lowest::lowest;
use crate::power_of_two::two;
use crate::rendezvous::{Highest, first_in_order, owner};
use crate::{Strategy, StrategyError, retry};

/// Picks the worker that a task's key belongs to while it has room, otherwise the next one in the
/// key's own order.
///
/// - **Rule:** [rendezvous hashing](crate::rendezvous) of the key and the workers' names, in
///   proportion to their [weights](raddle_core::WorkerSpec::weight), orders the candidates for each
///   key. The first one with fewer tasks in flight than its capacity is picked. The capacity is
///   `ceil((1 + eps) * mean * w)`, where `mean` is all tasks in flight, including this one, divided
///   by the sum of the weights `w`. So a key has one worker unless that worker is above its share,
///   and a hot key spills to a second and a third, always the same ones. A worker that joins or
///   leaves moves about one key in n, and only those that become or were its own. A worker that
///   fails more often than not takes no overflow while another has room, until that [has
///   expired](raddle_core::Signals::has_expired). A task without a key goes
///   to the one of two random candidates that has fewer in flight.
/// - **Source:** Mirrokni, Thorup, Zadimoghaddam: *Consistent Hashing with Bounded Loads*, SODA
///   2018 (arXiv 1608.01350, 2016), with the order of rendezvous hashing instead of a ring's.
/// - **Use it for:** workers that cache, or keep a session or file, by key, where a few hot keys
///   must not overload one of them.
/// - **Cost:** O(n), wait-free, no allocation. One pass reads the hashes of the names, which nothing
///   writes. If the key's worker is not idle, a second pass reads all counts in flight. If that worker
///   has no room, a third one reads both; among more than 128 workers it reads the hashes and four
///   workers, and a fourth pass reads all only if none of the four has room.
/// - **Weak points:** a worker that fails at once keeps its own keys until it is ejected. A hung
///   worker gets the tasks of its keys up to its capacity; if `n <= 1 + eps`, as in a pool of one
///   or with a large bound, there is no capacity. A slow worker may have as much in flight as a
///   fast one. Capacity limits admission only: as other workers finish, the mean falls, and a
///   worker may be above its capacity until it finishes too. Threads that pick at the same moment
///   may exceed it by one task each.
///
/// In a pool of `raddle-runtime`, the tasks of a key run in order under any strategy. There the
/// strategy picks the worker for a partition, one of a thousand groups of keys, whenever no task of
/// the partition is unfinished, and later tasks follow until that is the case again. So a hot key
/// stays with one worker, and the others find one with room.
///
/// ```
/// use raddle_core::{Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, BoundedHash};
///
/// let roster = Roster::builder().workers(4, WorkerSpec::general()).build()?;
/// let balancer = Balancer::new(BoundedHash::with_bound(0.5))?;
/// let task = TaskProfile::default().key(42);
/// let first = balancer.select(&task, &roster)?.position();
/// assert_eq!(balancer.select(&task, &roster)?.position(), first, "a key has one worker");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BoundedHash {
    eps: f64,
}

const CLOSED: u64 = Signals::CLOSED;

impl BoundedHash {
    /// The default bound: how far a worker may be above its share. A lower bound spreads tasks
    /// better, a higher one keeps keys together.
    pub const BOUND: f64 = 0.25;

    /// Creates the strategy with the bound [`BOUND`](Self::BOUND).
    pub const fn new() -> Self {
        Self::with_bound(Self::BOUND)
    }

    /// Creates the strategy with another bound, finite and above 0: no worker is given more than
    /// `1 + eps` times its share, rounded up.
    pub const fn with_bound(eps: f64) -> Self {
        Self { eps }
    }

    fn pick_by_key(&self, key: u64, candidates: &Candidates<'_>) -> usize {
        let weights = candidates.weights();
        let home = owner(key, weights.iter().copied()).unwrap_or(0);
        let in_flight = in_flight(candidates, home);
        if in_flight == 0 {
            return home;
        }
        let (mut tasks, mut sum) = (0, 0);
        let mut weights_left = weights.iter();
        candidates.signals().for_each(|signals| {
            let weight = weights_left.next().map_or(0, |(_, weight)| u64::from((*weight).max(1)));
            let in_flight = signals.in_flight();
            let open = u64::from(in_flight < CLOSED);
            tasks += open * in_flight;
            sum += open * weight;
        });
        // A whole number is below a ceiling exactly if it is below the number itself.
        let room = Room { tasks: (1.0 + self.eps) * (tasks + 1) as f64, sum: sum as f64 };
        match room.is_left(in_flight, weights[home].1) {
            true => home,
            false => overflow(key, candidates, room),
        }
    }
}

/// A worker's capacity is `tasks * weight / sum`. Not divided, since a quotient is rounded.
#[derive(Clone, Copy)]
struct Room {
    tasks: f64,
    sum: f64,
}

impl Room {
    #[inline]
    fn is_left(self, in_flight: u64, weight: u32) -> bool {
        in_flight < CLOSED && in_flight as f64 * self.sum < self.tasks * f64::from(weight.max(1))
    }
}

fn in_flight(candidates: &Candidates<'_>, index: usize) -> u64 {
    candidates.signals_at(index).map_or(CLOSED, |signals| signals.in_flight())
}

/// How many workers in a key's order are tried before all are read, if there are more than `MANY`:
/// finding each takes some logarithms, which few workers do not save.
const TRIED: usize = 4;
const MANY: usize = 128;

/// Returns the first in the key's order that has room, if possible one that does not fail.
#[cold]
fn overflow(key: u64, candidates: &Candidates<'_>, room: Room) -> usize {
    if candidates.len() <= MANY {
        return overflow_of_all(key, candidates, room);
    }
    let weights = candidates.weights();
    // Finding the first few reads no statistics, and one of them nearly always has room.
    let mut first = first_in_order::<TRIED>(key, weights.iter().copied());
    let has_room = |index: &usize| {
        candidates.signals_at(*index).is_some_and(|signals| {
            room.is_left(signals.in_flight(), weights[*index].1)
                && !retry::is_avoided(&signals, candidates)
        })
    };
    first.find(has_room).unwrap_or_else(|| overflow_of_all(key, candidates, room))
}

fn overflow_of_all(key: u64, candidates: &Candidates<'_>, room: Room) -> usize {
    let (mut sound, mut failing) = (Highest::of(key), Highest::of(key));
    let mut names = (0..).zip(candidates.weights());
    candidates.signals().for_each(|signals: Signals<'_>| {
        let Some((index, &(name, weight))) = names.next() else { return };
        if room.is_left(signals.in_flight(), weight) {
            let avoided = retry::is_avoided(&signals, candidates);
            let highest = if avoided { &mut failing } else { &mut sound };
            highest.enter(index, name, weight);
        }
    });
    // There was room somewhere, unless others have taken it since or all workers are closed.
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

    fn validate(&self) -> Result<(), StrategyError> {
        let (within, eps) = (self.eps.is_finite() && self.eps > 0.0, self.eps);
        StrategyError::unless(within, self.name(), "bound", eps, "a finite number above 0")
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
        let (roster, task) = (roster(3), TaskProfile::default().key(1));
        let busy = |index| roster.candidates(None).take(index, None).unwrap();
        let _busy = [0, 1, 2].map(busy);
        for eps in [0.0, -0.25, f64::NAN, f64::INFINITY] {
            let strategy = BoundedHash::with_bound(eps);
            let error = strategy.validate().unwrap_err().to_string();
            let expected =
                format!("bound of bounded_hash is {eps}, allowed is a finite number above 0");
            assert_eq!(error, expected);
            assert!(picks(&strategy, &task, &roster, 9).into_iter().all(|index| index < 3));
        }
        for eps in [f64::MIN_POSITIVE, 0.25, 7.0, f64::MAX] {
            assert!(BoundedHash::with_bound(eps).validate().is_ok());
        }
        assert_eq!(BoundedHash::default().eps, BoundedHash::BOUND);
    }

    #[test]
    fn a_closed_worker_has_no_room_however_wide_the_bound() {
        let strategy = BoundedHash::with_bound(f64::MAX);
        let (roster, task) = (roster(2), TaskProfile::default().key(7));
        let home = picks(&strategy, &task, &roster, 1)[0];
        roster.members()[home].worker.close();
        assert_eq!(picks(&strategy, &task, &roster, 10), [1 - home; 10]);
    }

    #[test]
    fn without_a_key_every_pair_is_equally_likely() {
        fastrand::seed(0x6b65_796c);
        let roster = roster(4);
        // The only idle worker wins every pair that it is in, which is half of them.
        let held: Vec<_> =
            (0..3).map(|index| roster.candidates(None).take(index, None).unwrap()).collect();
        let picks = picks(&BoundedHash::new(), &TaskProfile::default(), &roster, 10_000);
        let idle = picks.iter().filter(|index| **index == 3).count();
        assert!((4_700..5_300).contains(&idle), "{idle} of 10000");
        drop(held);
    }
}
