//! The way of a task for one worker.

use raddle_core::{Reservation, TaskProfile, WorkerId};

use super::dispatch::{Dispatch, Placed, Sent};
use super::keyed::UNKNOWN;
use super::routing::Routing;
use super::{Routed, Router};
use crate::error::{Refusal, SendError};
use crate::settings::Policy;

impl<T: Routed> Router<T> {
    /// Sends a task to this worker, which alone may run it.
    ///
    /// # Errors
    /// Returns the task if it was not admitted. The caller then passes it to
    /// [`refused`](Self::refused).
    #[cold]
    pub(crate) fn send_to(
        &self,
        worker: WorkerId,
        routing: &Routing<T>,
        profile: &TaskProfile,
        task: T,
        policy: &Policy,
    ) -> Result<Placed, SendError<T>> {
        self.send_pinned(worker, routing, profile, task, policy, false).map(Sent::on_thread)
    }

    /// As [`send_to`](Self::send_to), but never blocks.
    ///
    /// # Errors
    /// Returns the task if it was not admitted and does not wait.
    #[cold]
    pub(crate) fn send_to_in_line(
        &self,
        worker: WorkerId,
        routing: &Routing<T>,
        profile: &TaskProfile,
        task: T,
        policy: &Policy,
    ) -> Result<Sent<T>, SendError<T>> {
        self.send_pinned(worker, routing, profile, task, policy, true)
    }

    fn send_pinned(
        &self,
        worker: WorkerId,
        routing: &Routing<T>,
        profile: &TaskProfile,
        mut task: T,
        policy: &Policy,
        in_line: bool,
    ) -> Result<Sent<T>, SendError<T>> {
        let position = |routing: &Routing<T>| {
            let position = routing.position_of(worker.short_id())?;
            let member = &routing.roster.members()[position];
            let is_it = member.worker.id() == worker && member.health.takes_tasks();
            is_it.then_some(position)
        };
        // The worker may have joined since the task was described.
        let latest;
        let (routing, position) = match position(routing) {
            Some(position) => (routing, Some(position)),
            None => {
                latest = self.routing().load();
                (&*latest, position(&latest))
            }
        };
        let unknown = || match self.control.is_closed() {
            true => Refusal::Closed,
            false => Refusal::NoSuchWorker { worker },
        };
        let Some(position) = position else { return Err(SendError::new(unknown(), task)) };
        let member = &routing.roster.members()[position].worker;
        if let Some(capability) = profile.capability
            && !member.capabilities().serves(Some(capability))
        {
            return Err(SendError::new(Refusal::NotCapable { worker, capability }, task));
        }
        let Some(reservation) = Reservation::take(member, position, profile.capability) else {
            return Err(SendError::new(unknown(), task));
        };
        let label = task.label().pinned();
        let class = self.sizes.of(profile, routing.roster.baseline()).unwrap_or(UNKNOWN);
        task.set_label(if self.sizes.are_used() { label.sized(class) } else { label });
        let reservation = reservation.expecting(profile.expected_duration);
        let (profile, strategy) = (*profile, None);
        let dispatch = Dispatch { router: self, routing, strategy, profile, policy, in_line };
        dispatch.put(reservation, task).or_else(|unsent| dispatch.unsent(unsent))
    }
}
