use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Completion, Outcome, OwnedReservation, Reservation, Roster, Worker};

/// The in-flight account of one worker.
pub trait Account: Send + Sync + 'static {
    /// A task in flight, released when dropped.
    type Reserved: Send + 'static;

    /// Reserves a task, unless the worker is closed.
    fn reserve(self: &Arc<Self>) -> Option<Self::Reserved>;
    /// Ends a task.
    fn finish(reserved: Self::Reserved);
    /// Leaves a task in flight.
    fn detach(reserved: Self::Reserved);
    /// Ends a detached task. Returns `false` if there is none.
    fn record(&self) -> bool;
    /// Refuses all further reservations.
    fn close(&self);
    /// Returns the tasks in flight, as reports read them.
    fn in_flight(&self) -> u64;
    /// Returns the tasks in flight, as selections read them: not clamped at 0.
    fn selectable(&self) -> u64;
    /// Returns the number of tasks that have ended.
    fn completed(&self) -> u64;
}

/// The only worker of a roster.
fn only(roster: &Roster) -> &Arc<Worker> {
    &roster.members()[0].worker
}

impl Account for Roster {
    type Reserved = OwnedReservation;

    fn reserve(self: &Arc<Self>) -> Option<Self::Reserved> {
        Reservation::take(only(self), 0, None).map(Reservation::into_owned)
    }
    fn finish(reserved: Self::Reserved) {
        reserved.finish(Outcome::Completed, Duration::ZERO);
    }
    fn detach(reserved: Self::Reserved) {
        reserved.detach();
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
