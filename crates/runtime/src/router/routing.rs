use std::ops::Deref;
use std::sync::Arc;

use raddle_core::{Counts, Health, Roster};
use raddle_strategies::{Prepared, Shadow};
use raddle_sync::SnapshotGuard;

use crate::inlet::Inlet;
use crate::keys::ShortId;

/// The least queued work, in nanoseconds, for which a parked sibling is woken to steal: waking a
/// thread costs its waker ten microseconds and takes thirty.
const WORTH_WAKING: u64 = 50_000;

/// Everything that a dispatch reads, replaced as a whole: one load gives a roster, its inlets and a
/// strategy that fit together.
pub(crate) struct Routing<T> {
    pub(super) plan: Plan,
    /// By position in the roster.
    pub(crate) inlets: Arc<[Inlet<T>]>,
}

/// What of a routing does not depend on the task.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) roster: Arc<Roster>,
    /// Prepared for the roster.
    pub(crate) strategy: Prepared,
    /// The strategy again, if another one is scored beside it.
    pub(crate) shadow: Option<Arc<Shadow>>,
    /// Whether idle workers take tasks from others.
    pub(crate) stealing: bool,
    /// What the workers counted that have left the roster.
    pub(crate) departed: Counts,
    /// The number of plans published before this one.
    pub(crate) version: u64,
}

impl Plan {
    /// This plan with another roster, for which its strategy is not prepared yet.
    pub(super) fn with_roster(&self, roster: Roster) -> Self {
        Self { roster: Arc::new(roster), ..self.clone() }
    }

    /// The position of the worker with this short id.
    pub(crate) fn position_of(&self, worker: ShortId) -> Option<usize> {
        let members = self.roster.members();
        let is_it = |position: usize| {
            members.get(position).is_some_and(|member| member.worker.id().short_id() == worker)
        };
        // Ids are given in order, and most rosters never lose a worker.
        let usual = usize::from(worker);
        if is_it(usual) { Some(usual) } else { (0..members.len()).find(|at| is_it(*at)) }
    }

    /// The position of a parked worker that may steal from the worker at `position`, if that has
    /// enough queued.
    #[cold]
    pub(super) fn thief_for(&self, position: usize) -> Option<usize> {
        let members = self.roster.members();
        let worker = &members[position].worker;
        let ahead = worker.stats().in_flight().saturating_sub(1);
        if ahead.saturating_mul(worker.stats().recent_mean()) < WORTH_WAKING {
            return None;
        }
        (position + 1..members.len()).chain(0..position).find(|sibling| {
            let member = &members[*sibling];
            !matches!(member.health, Health::Ejected | Health::Starting)
                && member.worker.stats().is_parked()
                && member.worker.capabilities() == worker.capabilities()
        })
    }
}

impl<T> Routing<T> {
    pub(crate) fn inlet_of(&self, worker: ShortId) -> Option<&Inlet<T>> {
        self.position_of(worker).map(|position| &self.inlets[position])
    }
}

impl<T> Deref for Routing<T> {
    type Target = Plan;

    #[inline(always)]
    fn deref(&self) -> &Plan {
        &self.plan
    }
}

/// A routing that was loaded for one task, or that a [`LocalPool`](crate::LocalPool) keeps.
pub(crate) enum Loaded<'p, T> {
    Now(SnapshotGuard<Routing<T>>),
    Kept(&'p Routing<T>),
}

impl<T> Deref for Loaded<'_, T> {
    type Target = Routing<T>;

    #[inline]
    fn deref(&self) -> &Routing<T> {
        match self {
            Self::Now(routing) => routing,
            Self::Kept(routing) => routing,
        }
    }
}
