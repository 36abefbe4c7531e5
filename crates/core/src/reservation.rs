use std::mem;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::clock::nanos;
use crate::stats::Admissions;
use crate::{Capability, Completion, Outcome, Worker, WorkerId};

/// A worker that was selected, already counted as in flight.
///
/// It ends in one of three ways: [`finish`](Self::finish) records how the task ended;
/// [`detach`](Self::detach) leaves the place taken, for whoever ends the task later by the
/// worker's id; dropping it gives the place back. All are wait-free.
#[derive(Debug)]
#[must_use = "a reservation that is dropped releases it"]
pub struct Reservation<'r> {
    worker: &'r Arc<Worker>,
    /// The worker's, at hand.
    admissions: &'r Admissions,
    place: Place,
    /// The task's size, as it was counted.
    expected_duration: u64,
}

/// Where the worker stands in its roster (bits 0 to 31) and what the task asked for (bits 32 to
/// 47: 0 for nothing, else the capability's index plus one). One word: fields of several sizes
/// that are moved together are stored narrow and loaded wide, which stalls for longer than the
/// counting takes.
#[derive(Clone, Copy, Debug)]
struct Place(u64);

impl Place {
    #[inline]
    fn new(position: usize, capability: Option<Capability>) -> Self {
        let asked = capability.map_or(0, |capability| capability.index() as u64 + 1);
        Self(u64::from(position as u32) | asked << 32)
    }

    #[inline]
    fn position(self) -> usize {
        self.0 as u32 as usize
    }

    fn capability(self) -> Option<Capability> {
        Capability::from_index((self.0 >> 32).checked_sub(1)? as usize)
    }
}

/// A [`Reservation`] that keeps its worker alive, free of the roster's lifetime.
#[derive(Debug)]
#[must_use = "a reservation that is dropped releases it"]
pub struct OwnedReservation {
    worker: Arc<Worker>,
    place: Place,
    expected_duration: u64,
    /// Whether the place is no longer this reservation's to give back.
    settled: bool,
}

/// The end of a task that could not be recorded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The roster has no such worker.
    #[error("worker {0} is not in the roster")]
    UnknownWorker(WorkerId),
    /// No task of the worker was left to be ended by its id: it was recorded twice, or its
    /// reservation was not detached.
    #[error("worker {0} has no detached task in flight; each is recorded once")]
    NothingInFlight(WorkerId),
    /// The worker's thread records its tasks itself.
    #[error("worker {0} is recorded by its own thread; record only the workers you run yourself")]
    HasRecorder(WorkerId),
}

impl<'r> Reservation<'r> {
    /// Takes a place at `worker`, which stands at `position` in its roster; `None` when the
    /// worker is closed. Wait-free, allocates nothing.
    #[inline]
    pub fn take(
        worker: &'r Arc<Worker>,
        position: usize,
        capability: Option<Capability>,
    ) -> Option<Self> {
        Self::at(worker, worker.stats().admissions(), position, capability)
    }

    /// The same with the worker's admissions at hand.
    #[inline]
    pub(crate) fn at(
        worker: &'r Arc<Worker>,
        admissions: &'r Admissions,
        position: usize,
        capability: Option<Capability>,
    ) -> Option<Self> {
        let place = Place::new(position, capability);
        // Not `then_some`: a reservation that is made and dropped gives a place back.
        admissions.admit().then(|| Self { worker, admissions, place, expected_duration: 0 })
    }

    /// The same, and notes the clock's `now` where the worker had nothing in flight: for workers
    /// whose own thread does not tell their progress.
    ///
    /// The age of a worker's oldest task counts from here. A thread suspended within this call
    /// makes that age too long for a while, never too short.
    #[inline]
    pub fn take_at(
        worker: &'r Arc<Worker>,
        position: usize,
        capability: Option<Capability>,
        now: u64,
    ) -> Option<Self> {
        if worker.stats().in_flight() == 0 {
            worker.stats().set_busy_since(now);
        }
        Self::take(worker, position, capability)
    }

    /// Counts the [size](crate::TaskProfile::expected_duration) of the task as work ahead of the worker, until
    /// the task ends or the place is given back. In place of a size that was counted before. A size above 4.9 hours
    /// counts as that, and where a worker has more than 78 hours ahead it is taken for less.
    #[inline]
    pub fn expecting(mut self, expected_duration: u64) -> Self {
        if expected_duration != self.expected_duration {
            self.admissions.withdraw_work(self.expected_duration);
            self.admissions.admit_work(expected_duration);
            self.expected_duration = expected_duration;
        }
        self
    }

    /// The selected worker.
    #[inline]
    pub fn worker(&self) -> &'r Arc<Worker> {
        self.worker
    }

    /// Where the worker stands in the roster of the selection.
    #[inline]
    pub fn position(&self) -> usize {
        self.place.position()
    }

    /// Records the task's end and how long it took from the selection, or from its start where
    /// the caller knows that.
    pub fn finish(self, outcome: Outcome, took: Duration) {
        let capability = self.place.capability();
        let (service, expected_duration) = (nanos(took), self.expected_duration);
        let end = Completion { service, capability, expected_duration, ..Completion::new(outcome) };
        self.worker.end_shared(end);
        mem::forget(self);
    }

    /// Leaves the task in flight and returns the id to [record](Worker::record) its end by, with
    /// its size where it has one.
    pub fn detach(self) -> WorkerId {
        let id = self.worker.id();
        self.worker.stats().detach();
        mem::forget(self);
        id
    }

    /// Leaves the task in flight, to be ended by the worker's own
    /// [`Recorder`](crate::Recorder). To be called when the task is where the worker will find
    /// it; whether the worker sleeps and the caller must wake it.
    #[inline]
    #[must_use = "a worker that sleeps must be woken"]
    pub fn hand_over(self) -> bool {
        let must_wake = self.admissions.must_wake();
        mem::forget(self);
        must_wake
    }

    /// The same reservation, free of the roster's lifetime. Raises a reference count.
    pub fn into_owned(self) -> OwnedReservation {
        let (worker, place, expected_duration) =
            (Arc::clone(self.worker), self.place, self.expected_duration);
        mem::forget(self);
        OwnedReservation { worker, place, expected_duration, settled: false }
    }
}

impl Drop for Reservation<'_> {
    #[inline]
    fn drop(&mut self) {
        self.admissions.withdraw_work(self.expected_duration);
        if self.admissions.withdraw() {
            self.worker.stats().list_if_idle();
        }
    }
}

impl OwnedReservation {
    /// The selected worker.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// Where the worker stands in the roster of the selection.
    pub fn position(&self) -> usize {
        self.place.position()
    }

    /// As [`Reservation::finish`].
    pub fn finish(mut self, outcome: Outcome, took: Duration) {
        self.settle().finish(outcome, took);
    }

    /// As [`Reservation::detach`].
    pub fn detach(mut self) -> WorkerId {
        self.settle().detach()
    }

    /// Hands the place over to a borrowed reservation.
    fn settle(&mut self) -> Reservation<'_> {
        self.settled = true;
        Reservation {
            worker: &self.worker,
            admissions: self.worker.stats().admissions(),
            place: self.place,
            expected_duration: self.expected_duration,
        }
    }
}

impl Drop for OwnedReservation {
    fn drop(&mut self) {
        if !self.settled {
            drop(self.settle());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Roster, WorkerSpec};

    #[test]
    fn a_refused_reservation_gives_nothing_back() {
        let roster = Roster::builder().worker(WorkerSpec::new("w")).build().unwrap();
        let worker = &roster.members()[0].worker;
        let held = Reservation::take(worker, 0, None).unwrap();
        worker.close();
        for _ in 0..3 {
            assert!(Reservation::take(worker, 0, None).is_none());
        }
        assert_eq!((worker.stats().in_flight(), worker.stats().is_closed()), (1, true));
        held.finish(Outcome::Completed, Duration::ZERO);
        assert_eq!((worker.stats().in_flight(), worker.stats().is_closed()), (0, true));
        assert!(worker.stats().counts().is_balanced());
    }

    #[test]
    fn a_reservation_keeps_its_place_and_the_capability_that_it_was_taken_for() {
        let names = ["place-a", "place-b", "place-c"];
        let [_, second, third] = names.map(|name| Capability::intern(name).unwrap());
        let roster = Roster::builder().workers(3, WorkerSpec::general()).build().unwrap();
        let worker = &roster.members()[2].worker;
        let take = || Reservation::take(worker, 2, Some(third)).unwrap();
        let histories = || [None, Some(second), Some(third)].map(|of| worker.stats().history(of));
        let [general, other, before] = histories();
        take().finish(Outcome::Failed, Duration::ZERO);
        let [general_now, other_now, after] = histories();
        assert!(after < before, "{after} is not below {before}");
        assert_eq!((general_now, other_now), (general, other));

        let owned = take().into_owned();
        assert_eq!(owned.position(), 2);
        owned.finish(Outcome::Failed, Duration::ZERO);
        assert!(worker.stats().history(Some(third)) < after);
    }

    #[test]
    fn an_owned_reservation_is_one_place_too() {
        let roster = Roster::builder().worker(WorkerSpec::new("w")).build().unwrap();
        let worker = Arc::clone(&roster.members()[0].worker);
        let owned = || Reservation::take(&worker, 0, None).unwrap().into_owned();
        let held = [owned(), owned(), owned()];
        drop(roster);
        assert_eq!(worker.stats().in_flight(), 3);
        let [dropped, finished, detached] = held;
        drop(dropped);
        finished.finish(Outcome::Completed, Duration::ZERO);
        assert_eq!(worker.stats().in_flight(), 1);
        assert_eq!(detached.detach(), worker.id());
        assert_eq!((worker.stats().in_flight(), worker.stats().counts().admitted), (1, 2));
    }
}
