use std::ops::Deref;
use std::sync::Arc;

use raddle_core::Roster;

use crate::Strategy;

/// A strategy that is [prepared](Strategy::prepare) for one roster.
///
/// Keep it in the same snapshot as the roster, and replace both together. It dereferences to the
/// strategy that picks, so a selection costs no more than with a plain `Arc<dyn Strategy>`:
///
/// ```
/// use std::sync::Arc;
/// use raddle_core::{Roster, TaskProfile, WorkerSpec};
/// use raddle_strategies::{Prepared, WeightedRoundRobin, reserve};
///
/// let roster = Roster::builder().workers(3, WorkerSpec::general()).build()?;
/// let prepared = Prepared::new(Arc::new(WeightedRoundRobin::new()), &roster);
/// let first = reserve(&*prepared, &TaskProfile::default(), &roster)?;
///
/// let roster = roster.with_workers(&[WorkerSpec::new("added")])?;
/// let prepared = prepared.refreshed(&roster); // the rotation continues
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prepared {
    strategy: Arc<dyn Strategy>,
    /// The strategy itself if it has nothing to prepare.
    picker: Arc<dyn Strategy>,
}

impl Prepared {
    /// Prepares `strategy` for `roster`. Allocates.
    pub fn new(strategy: Arc<dyn Strategy>, roster: &Roster) -> Self {
        let picker = strategy.prepare(roster).unwrap_or_else(|| Arc::clone(&strategy));
        Self { strategy, picker }
    }

    /// Prepares the same strategy again, for a new roster or new statistics. Allocates.
    #[must_use]
    pub fn refreshed(&self, roster: &Roster) -> Self {
        Self::new(Arc::clone(&self.strategy), roster)
    }

    /// Returns whether the strategy computed something for this roster. If not, there is nothing
    /// to replace after a refresh.
    pub fn is_specific(&self) -> bool {
        !Arc::ptr_eq(&self.strategy, &self.picker)
    }

    /// Returns the strategy as it was before it was prepared.
    pub fn strategy(&self) -> &Arc<dyn Strategy> {
        &self.strategy
    }
}

impl Deref for Prepared {
    type Target = dyn Strategy;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &*self.picker
    }
}
