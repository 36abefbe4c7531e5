use std::ops::Deref;
use std::sync::Arc;

use raddle_core::Roster;
use raddle_strategies::{Prepared, Shadow};
use raddle_sync::SnapshotGuard;

use crate::Actor;
use crate::envelope::Envelope;
use crate::mailbox::Mailbox;

/// Everything that a dispatch reads, replaced as a whole: one load gives a roster, its mailboxes
/// and a strategy that fit together.
pub(crate) struct Routing<A: Actor> {
    pub(crate) roster: Arc<Roster>,
    /// By the workers' positions in the roster.
    pub(crate) mailboxes: Arc<[Mailbox<Envelope<A>>]>,
    /// Prepared for the roster.
    pub(crate) strategy: Prepared,
    /// The strategy again, where another is scored beside it.
    pub(crate) shadow: Option<Arc<Shadow>>,
    /// Whether idle workers take tasks from others.
    pub(crate) stealing: bool,
}

impl<A: Actor> Routing<A> {
    /// The position of the worker with this seat.
    pub(crate) fn position_of(&self, seat: u16) -> Option<usize> {
        let members = self.roster.members();
        let is_it = |position: usize| {
            members.get(position).is_some_and(|member| member.worker.id().short_id() == seat)
        };
        // Seats are given in order and most rosters never lose a worker.
        let usual = usize::from(seat);
        if is_it(usual) { Some(usual) } else { (0..members.len()).find(|at| is_it(*at)) }
    }
}

impl<A: Actor> Clone for Routing<A> {
    fn clone(&self) -> Self {
        Self {
            roster: Arc::clone(&self.roster),
            mailboxes: Arc::clone(&self.mailboxes),
            strategy: self.strategy.clone(),
            shadow: self.shadow.clone(),
            stealing: self.stealing,
        }
    }
}

/// A routing, loaded for one task or kept by a handle.
pub(crate) enum Loaded<'p, A: Actor> {
    Now(SnapshotGuard<Routing<A>>),
    Kept(&'p Routing<A>),
}

impl<A: Actor> Deref for Loaded<'_, A> {
    type Target = Routing<A>;

    #[inline]
    fn deref(&self) -> &Routing<A> {
        match self {
            Self::Now(routing) => routing,
            Self::Kept(routing) => routing,
        }
    }
}
