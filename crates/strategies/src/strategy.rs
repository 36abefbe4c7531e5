use std::fmt;
use std::sync::Arc;

use raddle_core::{Candidates, Roster, TaskProfile};

/// Picks a worker for a task by reading statistics, never waiting.
///
/// A strategy keeps what it needs to pick (a sequence, a schedule) and nothing that was learnt of
/// the workers: that is theirs, so that strategies can be swapped under traffic.
///
/// ```
/// use raddle_core::{Candidates, Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, Strategy};
///
/// /// Always the first worker that may serve the task.
/// #[derive(Debug)]
/// struct First;
///
/// impl Strategy for First {
///     fn name(&self) -> &'static str {
///         "first"
///     }
///     fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
///         0
///     }
/// }
///
/// let roster = Roster::builder().workers(3, WorkerSpec::general()).build()?;
/// let reservation = Balancer::new(First).select(&TaskProfile::default(), &roster)?;
/// assert_eq!(reservation.worker().name(), "general-0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Strategy: fmt::Debug + Send + Sync {
    /// The name, as in configuration.
    fn name(&self) -> &'static str;

    /// The index of the candidate to take, below `candidates.len()`, which is at least 1. What is
    /// higher counts as the last.
    ///
    /// Called by many threads at a time on the way of every task: takes no lock, allocates
    /// nothing, waits for nobody.
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize;

    /// Works out anew what may be worked out off the selection path. Called from time to time,
    /// and before a roster is first used; may allocate.
    fn refresh(&self, roster: &Roster) {
        let _ = roster;
    }

    /// Whether picks read the age of tasks in flight, so that selections must note the time.
    fn reads_age(&self) -> bool {
        false
    }

    /// Whether idle workers may take what it gave to others: not where it picks a worker for what
    /// it is good at. Right for strategies that are blind to a task's size, as the worker that is
    /// idle first is then the one to have it.
    fn lets_steal(&self) -> bool {
        false
    }

    /// Whether it picks by the [key](TaskProfile::key) of a task, so that the runtime may ask it
    /// whose a key is to be of which no task is left. It still runs the tasks of a key in order.
    fn routes_keys(&self) -> bool {
        false
    }

    /// The weights by which it picks, by the workers' positions, where it has any: for reports.
    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        let _ = roster;
        None
    }
}

/// A pointer to a strategy is that strategy.
macro_rules! is_what_it_points_to {
    ($($pointer:ident),+) => {$(
        impl<S: Strategy + ?Sized> Strategy for $pointer<S> {
            fn name(&self) -> &'static str {
                (**self).name()
            }
            fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
                (**self).pick(task, candidates)
            }
            fn refresh(&self, roster: &Roster) {
                (**self).refresh(roster);
            }
            fn reads_age(&self) -> bool {
                (**self).reads_age()
            }
            fn lets_steal(&self) -> bool {
                (**self).lets_steal()
            }
            fn routes_keys(&self) -> bool {
                (**self).routes_keys()
            }
            fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
                (**self).weights(roster)
            }
        }
    )+};
}

is_what_it_points_to!(Box, Arc);
