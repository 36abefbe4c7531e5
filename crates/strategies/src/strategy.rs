use std::fmt;
use std::sync::Arc;

use raddle_core::{Candidates, Roster, TaskProfile};

use crate::StrategyError;

/// Picks a worker for a task by reading statistics, without waiting.
///
/// A strategy holds its parameters and at most what its own picks need, such as a rotation's
/// sequence number. What is learned about workers belongs to the workers, so a strategy can be
/// replaced under traffic without losing it.
///
/// ```
/// use raddle_core::{Candidates, Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Balancer, Strategy};
///
/// /// Picks the first worker that can serve the task.
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
/// let reservation = Balancer::new(First)?.select(&TaskProfile::default(), &roster)?;
/// assert_eq!(reservation.worker().name(), "general-0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Strategy: fmt::Debug + Send + Sync {
    /// Returns the name that configuration, events and reports use.
    fn name(&self) -> &'static str;

    /// Returns the index of the chosen candidate. There is at least one candidate; an index that
    /// is too high counts as the last one.
    ///
    /// Many threads call this at once, for every task. It must not lock, allocate or wait, and it
    /// must not panic, even if [`validate`](Self::validate) would fail.
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize;

    /// Returns a strategy that picks from this roster with everything computed in advance, or
    /// `None` (the default) if this strategy has nothing to compute.
    ///
    /// Called before a roster is published and about once a second after that, never on the path
    /// of a task: it may allocate and may take `O(n log n)`. [`Prepared`](crate::Prepared) keeps
    /// the result beside its roster. The returned strategy shares this one's state (so that a
    /// rotation continues), reports the same properties, and must also answer correctly for other
    /// rosters, at worst like this one unprepared.
    fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
        let _ = roster;
        None
    }

    /// Checks the parameters.
    ///
    /// Constructors and setters accept any value; this is called when a strategy is put to use, by
    /// [`Balancer::new`](crate::Balancer::new) or when a pool is given the strategy.
    ///
    /// # Errors
    /// If a parameter is outside its bounds.
    fn validate(&self) -> Result<(), StrategyError> {
        Ok(())
    }

    /// Returns whether picks read the age of tasks in flight, in which case selections note the
    /// time.
    fn reads_age(&self) -> bool {
        false
    }

    /// Returns whether idle workers may steal tasks that this strategy placed elsewhere.
    ///
    /// Return `true` if the strategy ignores how long a task takes, since the first worker to be
    /// idle is then the best place for it; `false` (the default) if it picks a worker for what
    /// that worker is good at.
    fn lets_steal(&self) -> bool {
        false
    }

    /// Returns whether picks depend on the task's [key](TaskProfile::key). A pool then asks this
    /// strategy for the worker of a key that has no unfinished task. The tasks of a key run in
    /// order either way.
    fn routes_keys(&self) -> bool {
        false
    }

    /// Returns whether picks [depend on keys](Self::routes_keys) so that a pool must pass the hash of
    /// the key itself. Otherwise it passes the number of its partition, one of a thousand groups of
    /// keys that go to a worker together.
    fn tells_keys_apart(&self) -> bool {
        false
    }

    /// Returns whether picks need what is [tracked](raddle_core::Tracking::enabled) about workers, and
    /// are blind without it. A pool refuses such a strategy if its tracking is off.
    fn needs_tracking(&self) -> bool {
        false
    }

    /// Returns the weights that picks use, by position in `roster`, if there are any; for reports.
    fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
        let _ = roster;
        None
    }
}

/// Implements [`Strategy`] for pointers to a strategy.
macro_rules! forward_to_pointee {
    ($($pointer:ident),+) => {$(
        impl<S: Strategy + ?Sized> Strategy for $pointer<S> {
            fn name(&self) -> &'static str {
                (**self).name()
            }
            fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
                (**self).pick(task, candidates)
            }
            fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
                (**self).prepare(roster)
            }
            fn validate(&self) -> Result<(), StrategyError> {
                (**self).validate()
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
            fn tells_keys_apart(&self) -> bool {
                (**self).tells_keys_apart()
            }
            fn needs_tracking(&self) -> bool {
                (**self).needs_tracking()
            }
            fn weights(&self, roster: &Roster) -> Option<Vec<f64>> {
                (**self).weights(roster)
            }
        }
    )+};
}

forward_to_pointee!(Box, Arc);
