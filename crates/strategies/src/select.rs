use raddle_core::{Candidates, Capability, Reservation, Roster, TaskProfile, WorkerId};
use thiserror::Error;

use crate::Strategy;
use crate::power_of_two::two_of_the_others;

/// No worker could be selected.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelectError {
    /// The roster has no worker that takes tasks.
    #[error(
        "no worker takes tasks: the roster is empty or all its workers are draining; add a worker"
    )]
    NoWorker,
    /// No worker serves this capability.
    #[error(
        "no capable worker: none that takes tasks names `{capability}` and none is general; \
         add one, or correct the name"
    )]
    NoCapableWorker {
        /// The task's capability.
        capability: Capability,
    },
    /// Every candidate is closed, that is, about to end.
    #[error("every worker that could serve the task is closed")]
    Closed,
    /// Another worker was asked for, and only the one that has the task could serve it.
    #[error("no worker but {0} could serve the task; add another for a second copy")]
    NoOther(WorkerId),
}

impl SelectError {
    /// Returns why no worker of `roster` serves `capability`.
    #[cold]
    pub fn for_nobody(capability: Option<Capability>, roster: &Roster) -> Self {
        match capability {
            Some(capability) if !roster.candidates(None).is_empty() => {
                Self::NoCapableWorker { capability }
            }
            _ => Self::NoWorker,
        }
    }
}

/// Selects a worker by `strategy` and counts the task as in flight there.
///
/// This is for workers whose own thread [records](raddle_core::SerialRecorder). For others use a
/// [`Balancer`](crate::Balancer), which also notes the time if the strategy reads ages. Pass a
/// [`Prepared`](crate::Prepared) strategy if it prepares anything.
///
/// Wait-free for every strategy of this crate; allocates nothing. If the picked worker was closed
/// since the roster was made, any open one is taken, each as likely as another, in O(n).
///
/// # Errors
/// If no worker may take the task.
#[inline(always)]
pub fn reserve<'r>(
    strategy: &dyn Strategy,
    task: &TaskProfile,
    roster: &'r Roster,
) -> Result<Reservation<'r>, SelectError> {
    let capability = task.capability;
    reserve_by(strategy, task, roster, |candidates, index| candidates.take(index, capability))
}

/// Selects another worker than `but`, for a second copy of a task that `but` has.
///
/// If the strategy picks `but`, the task goes to the less loaded of two random others, so that no
/// worker is favoured for its position. Of two candidates it is always the other one. Otherwise
/// like [`reserve`].
///
/// ```
/// use raddle_core::{Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{LeastLoaded, reserve, reserve_other};
///
/// let roster = Roster::builder().workers(2, WorkerSpec::general()).build()?;
/// let task = TaskProfile::default();
/// let first = reserve(&LeastLoaded, &task, &roster)?;
/// let second = reserve_other(&LeastLoaded, &task, &roster, first.worker().id())?;
/// assert_ne!(first.position(), second.position());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If no worker may take the task, or only `but` may.
pub fn reserve_other<'r>(
    strategy: &dyn Strategy,
    task: &TaskProfile,
    roster: &'r Roster,
    but: WorkerId,
) -> Result<Reservation<'r>, SelectError> {
    let candidates = roster.candidates(task.capability);
    let count = candidates.len();
    if count == 0 {
        return Err(SelectError::for_nobody(task.capability, roster));
    }
    let is_it = |index: usize| candidates.worker(index).id() == but;
    let mut picked = strategy.pick(task, &candidates).min(count - 1);
    if is_it(picked) {
        picked = two_of_the_others(&candidates, picked).ok_or(SelectError::NoOther(but))?;
    }
    let take = |index: usize| {
        let reservation = candidates.take(index, task.capability);
        reservation.map(|reservation| reservation.expecting(task.expected_duration))
    };
    let take_other = |index: usize| if is_it(index) { None } else { take(index) };
    take(picked).map_or_else(|| another(&candidates, take_other), Ok)
}

/// Like [`reserve`], with another way to reserve a candidate.
#[inline(always)]
pub(crate) fn reserve_by<'r>(
    strategy: &dyn Strategy,
    task: &TaskProfile,
    roster: &'r Roster,
    take: impl Fn(&Candidates<'r>, usize) -> Option<Reservation<'r>>,
) -> Result<Reservation<'r>, SelectError> {
    let TaskProfile { capability, expected_duration, .. } = *task;
    let candidates = roster.candidates(capability);
    let count = candidates.len();
    if count == 0 {
        return Err(SelectError::for_nobody(capability, roster));
    }
    let picked = strategy.pick(task, &candidates).min(count - 1);
    let take = |index| take(&candidates, index);
    match take(picked) {
        Some(reservation) => Ok(reservation.expecting(expected_duration)),
        None => {
            another(&candidates, take).map(|reservation| reservation.expecting(expected_duration))
        }
    }
}

/// Reserves any open candidate in place of a closed one, each as likely as another: what the closed one
/// would have got goes to all others and not to its neighbour. O(n).
#[cold]
fn another<'r>(
    candidates: &Candidates<'r>,
    take: impl Fn(usize) -> Option<Reservation<'r>>,
) -> Result<Reservation<'r>, SelectError> {
    let count = candidates.len();
    let is_open =
        |index: &usize| candidates.signals_at(*index).is_some_and(|signals| !signals.is_closed());
    let open = (0..count).filter(is_open).count();
    let drawn = (0..count).filter(is_open).nth(fastrand::usize(..open.max(1))).unwrap_or(0);
    // It may have closed since.
    (drawn..count).chain(0..drawn).find_map(take).ok_or(SelectError::Closed)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::testing::{Always, roster};
    use crate::{LeastLoaded, Random, RoundRobin};

    const SEED: u64 = 0x7365_636f_6e64;

    fn other(strategy: &dyn Strategy, roster: &Roster, but: u32) -> Result<usize, SelectError> {
        let task = TaskProfile::default();
        reserve_other(strategy, &task, roster, WorkerId(but)).map(|taken| taken.position())
    }

    #[test]
    fn of_two_candidates_it_is_the_other_one() {
        let roster = roster(2);
        let strategies: [&dyn Strategy; 4] =
            [&Always(0), &Random, &LeastLoaded, &RoundRobin::new()];
        for strategy in strategies {
            for _ in 0..50 {
                assert_eq!(other(strategy, &roster, 0), Ok(1), "{}", strategy.name());
                assert_eq!(other(strategy, &roster, 1), Ok(0), "{}", strategy.name());
            }
        }
    }

    #[test]
    fn the_strategy_s_choice_stands_if_it_is_another() {
        let roster = roster(5);
        for but in [1, 2, 3, 4, 77] {
            assert_eq!(other(&Always(0), &roster, but), Ok(0));
        }
    }

    #[test]
    fn no_other_worker_is_favoured_if_the_strategy_picks_the_same_one() {
        fastrand::seed(SEED);
        let roster = roster(5);
        let mut shares = [0; 5];
        (0..8_000).for_each(|_| shares[other(&Always(0), &roster, 0).unwrap()] += 1);
        // 2,000 each, with a standard deviation of 39.
        let fair = shares[1..].iter().all(|share| (1_800..2_200).contains(share));
        assert!(fair && shares[0] == 0, "seed {SEED:#x}: {shares:?}");
    }

    #[test]
    fn an_index_that_is_too_high_counts_as_the_last() {
        let (roster, task) = (roster(3), TaskProfile::default());
        for beyond in [3, 4, usize::MAX] {
            let strategy = Always(beyond);
            let taken = [
                reserve(&strategy, &task, &roster).map(|taken| taken.position()),
                reserve_by(&strategy, &task, &roster, |candidates, index| {
                    candidates.take(index, None)
                })
                .map(|taken| taken.position()),
                other(&strategy, &roster, 0),
            ];
            assert_eq!(taken, [Ok(2), Ok(2), Ok(2)]);
        }
    }

    #[test]
    fn without_another_candidate_there_is_an_error() {
        assert_eq!(other(&Always(0), &roster(1), 0), Err(SelectError::NoOther(WorkerId(0))));
        assert_eq!(other(&Always(0), &roster(1), 7), Ok(0), "the worker is not a candidate");
        let empty = Roster::builder().build().unwrap();
        assert_eq!(other(&Always(0), &empty, 0), Err(SelectError::NoWorker));
    }

    #[test]
    fn closed_workers_and_the_task_s_own_worker_are_skipped() {
        let roster = roster(3);
        roster.members()[0].worker.close();
        for _ in 0..20 {
            assert_eq!(other(&Always(0), &roster, 1), Ok(2));
        }
        roster.members()[2].worker.close();
        assert_eq!(other(&Always(0), &roster, 1), Err(SelectError::Closed));
    }
}
