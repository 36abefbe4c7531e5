use std::ops::Deref;
use std::sync::Arc;

use raddle_core::Roster;
use raddle_core::sync::SnapshotGuard;
use raddle_strategies::Strategy;

use crate::Actor;
use crate::envelope::Envelope;
use crate::mailbox::Mailbox;

/// Everything that a dispatch reads, replaced as a whole: one load gives a roster, its mailboxes
/// and a strategy that fit together.
pub(crate) struct Routing<A: Actor> {
    pub(crate) roster: Arc<Roster>,
    /// By the workers' positions in the roster.
    pub(crate) mailboxes: Arc<[Mailbox<Envelope<A>>]>,
    pub(crate) strategy: Arc<dyn Strategy>,
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
