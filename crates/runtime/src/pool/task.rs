use std::time::Duration;

use raddle_core::{Capability, CapabilityError, TaskProfile, nanos};
use raddle_strategies::reserve;

use super::routing::Loaded;
use super::shared::Shared;
use crate::envelope::Envelope;
use crate::mailbox::Refused;
use crate::reply::{self, ReplySender};
use crate::{Actor, AskResult, SendError};

/// A task to be given: its message and what routing and the worker may know of it.
///
/// Made by [`Pool::task`](crate::Pool::task), ended by [`tell`](Self::tell) or [`ask`](Self::ask).
#[must_use = "a task is given by `tell` or `ask`"]
pub struct Task<'p, A: Actor> {
    shared: &'p Shared<A>,
    routing: Loaded<'p, A>,
    msg: A::Msg,
    profile: TaskProfile,
    deadline: Option<Duration>,
    wrong: Option<CapabilityError>,
}

impl<'p, A: Actor> Task<'p, A> {
    #[inline]
    pub(super) fn new(shared: &'p Shared<A>, routing: Loaded<'p, A>, msg: A::Msg) -> Self {
        Self { shared, routing, msg, profile: TaskProfile::default(), deadline: None, wrong: None }
    }

    /// Asks for a worker of this capability, or a general one. A name is interned, which takes a
    /// shard lock: intern it once and pass the [`Capability`] where that counts.
    pub fn capability<C>(mut self, capability: C) -> Self
    where
        C: TryInto<Capability, Error: Into<CapabilityError>>,
    {
        match capability.try_into() {
            Ok(capability) => self.profile = self.profile.capability(capability),
            Err(error) => self.wrong = Some(error.into()),
        }
        self
    }

    /// The time from now after which the task is no longer worth starting: it then ends as
    /// [`Expired`](raddle_core::Outcome::Expired). The handler sees what is left.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.deadline = Some(within);
        self
    }

    /// Gives the task and wants no answer. Allocates nothing; waits only for room in a full
    /// mailbox, under [`Overflow::Block`](crate::Overflow::Block).
    ///
    /// # Errors
    /// Hands the message back when the task was not admitted.
    #[inline]
    pub fn tell(self) -> Result<(), SendError<A::Msg>> {
        self.send(None)
    }

    /// Gives the task and returns the answer to come. As [`tell`](Self::tell), and allocates one
    /// slot for the answer.
    ///
    /// # Errors
    /// Hands the message back when the task was not admitted.
    #[inline]
    pub fn ask(self) -> AskResult<A> {
        let (sender, reply) = reply::slot();
        self.send(Some(sender)).map(|()| reply)
    }

    #[inline]
    fn send(self, reply: Option<ReplySender<A::Reply, A::Error>>) -> Result<(), SendError<A::Msg>> {
        let Self { shared, routing, msg, profile, deadline, wrong } = self;
        if let Some(error) = wrong {
            return Err(shared.rejected(SendError::Capability { error, msg }));
        }
        let given_at = shared.clock.now();
        let profile = profile.given_at(given_at);
        let roster = &routing.roster;
        let reservation = match reserve(&*routing.strategy, &profile, roster) {
            Ok(reservation) => reservation,
            Err(error) => return Err(shared.rejected(SendError::from_select(error, msg))),
        };
        let envelope = Envelope {
            msg,
            reply,
            given_at,
            deadline: deadline.map(|within| given_at.saturating_add(nanos(within))),
            capability: profile.capability,
        };
        let mailbox = &routing.mailboxes[reservation.position()];
        mailbox.put(reservation, envelope, shared.overflow).map_err(|refused| {
            shared.rejected(match refused {
                Refused::Full(envelope) => SendError::Full(envelope.msg),
                Refused::Closed(envelope) => SendError::Closed(envelope.msg),
            })
        })
    }
}

impl<A: Actor> std::fmt::Debug for Task<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task")
            .field("profile", &self.profile)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
