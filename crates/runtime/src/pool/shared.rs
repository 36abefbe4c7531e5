use std::sync::Arc;

use raddle_core::Clock;
use raddle_core::sync::Snapshot;
use raddle_core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::routing::Routing;
use crate::{Account, Actor, Overflow, SendError};

/// What dispatchers and the housekeeper share. It keeps no thread alive.
pub(crate) struct Shared<A: Actor> {
    pub(super) name: Box<str>,
    pub(super) clock: Clock,
    pub(super) overflow: Overflow,
    pub(super) routing: Snapshot<Routing<A>>,
    rejected: AtomicU64,
}

impl<A: Actor> Shared<A> {
    pub(super) fn new(name: &str, overflow: Overflow, routing: Routing<A>) -> Self {
        Self {
            name: name.into(),
            clock: routing.roster.clock().clone(),
            overflow,
            routing: Snapshot::new(Arc::new(routing)),
            rejected: AtomicU64::new(0),
        }
    }

    /// Counts a refused task on its way back to the caller.
    #[cold]
    pub(super) fn rejected(&self, error: SendError<A::Msg>) -> SendError<A::Msg> {
        self.rejected.fetch_add(1, Relaxed);
        error
    }

    pub(super) fn account(&self) -> Account {
        Account::of(&self.routing.load().roster, self.rejected.load(Relaxed))
    }

    /// Refuses every task from now on.
    pub(super) fn close(&self) {
        for mailbox in self.routing.load().mailboxes.iter() {
            mailbox.close();
        }
    }
}
