use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Completion, Outcome, OwnedReservation, Reservation, Roster, Worker};

/// The account of one worker.
pub trait Account: Send + Sync + 'static {
    /// A task in flight; dropped, it is given back.
    type Place: Send + 'static;

    /// Takes a place, unless it is closed.
    fn reserve(self: &Arc<Self>) -> Option<Self::Place>;
    /// Ends a task.
    fn finish(place: Self::Place);
    /// Leaves a task in flight.
    fn detach(place: Self::Place);
    /// Ends a detached task, if there is one.
    fn record(&self) -> bool;
    /// Refuses every further one.
    fn close(&self);
    /// As reports read it.
    fn in_flight(&self) -> u64;
    /// The same as a selection reads it, which does not stop at 0.
    fn selectable(&self) -> u64;
    /// Tasks that have ended.
    fn completed(&self) -> u64;
}

/// The only worker of a roster.
fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

/// The account of a roster's only worker.
impl Account for Roster {
    type Place = OwnedReservation;

    fn reserve(self: &Arc<Self>) -> Option<Self::Place> {
        Reservation::take(only(self), 0, None).map(Reservation::into_owned)
    }
    fn finish(place: Self::Place) {
        place.finish(Outcome::Completed, Duration::ZERO);
    }
    fn detach(place: Self::Place) {
        place.detach();
    }
    fn record(&self) -> bool {
        let end = Completion::new(Outcome::Completed);
        only(self).record(&end).is_ok()
    }
    fn close(&self) {
        only(self).close();
    }
    fn in_flight(&self) -> u64 {
        only(self).stats().in_flight()
    }
    fn selectable(&self) -> u64 {
        self.candidates(None).signals().next().unwrap().in_flight()
    }
    fn completed(&self) -> u64 {
        only(self).stats().counts().completed
    }
}
