use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::nanos;
use crate::stats::Admissions;
use crate::{Capability, Completion, KeyAge, Outcome, Worker, WorkerId};

/// A selected worker, already counted as in flight.
///
/// A reservation ends in one of four ways, all of them wait-free:
///
/// - [`finish`](Self::finish) records how the task ended;
/// - [`detach`](Self::detach) leaves the task in flight, to be ended by the worker's id;
/// - [`hand_over`](Self::hand_over) leaves it in flight, to be ended by the worker's own thread;
/// - dropping the reservation releases it.
#[derive(Debug)]
#[must_use = "dropping a reservation releases it"]
pub struct Reservation<'r> {
    worker: &'r Arc<Worker>,
    /// The worker's admissions, so that a release need not read the worker.
    admissions: &'r Admissions,
    target: Target,
    /// The task's expected duration, as it was counted.
    expected_duration: u64,
}

/// Where a task goes, packed into one word.
///
/// | bits | content |
/// |---|---|
/// | 0 to 31 | the worker's position in its roster |
/// | 32 to 47 | 0, or the index of the requested capability plus one |
/// | 48 to 51 | the [packed](KeyAge::pack) age of the task's key |
///
/// Fields of several sizes that are moved together are stored narrow and loaded wide, which stalls
/// for longer than the counting takes.
#[derive(Clone, Copy, Debug)]
struct Target(u64);

impl Target {
    #[inline]
    fn new(position: usize, capability: Option<Capability>) -> Self {
        let requested = capability.map_or(0, |capability| capability.index() as u64 + 1);
        Self(u64::from(position as u32) | requested << 32)
    }

    #[inline]
    fn position(self) -> usize {
        self.0 as u32 as usize
    }

    fn capability(self) -> Option<Capability> {
        Capability::from_index(usize::from((self.0 >> 32) as u16).checked_sub(1)?)
    }

    #[inline]
    fn key_age(self) -> Option<KeyAge> {
        KeyAge::unpack(self.0 >> 48)
    }
}

/// A [`Reservation`] that keeps its worker alive, independent of the roster's lifetime.
#[derive(Debug)]
#[must_use = "dropping a reservation releases it"]
pub struct OwnedReservation {
    worker: Arc<Worker>,
    target: Target,
    expected_duration: u64,
    /// Whether a borrowed reservation has taken over.
    settled: bool,
}

impl<'r> Reservation<'r> {
    /// Counts a task as in flight at `worker`, which is at `position` in its roster. Returns `None`
    /// when the worker is closed. Wait-free, allocates nothing.
    #[inline]
    pub fn take(
        worker: &'r Arc<Worker>,
        position: usize,
        capability: Option<Capability>,
    ) -> Option<Self> {
        Self::at(worker, worker.stats().admissions(), position, capability)
    }

    /// Like [`take`](Self::take), for callers that already have the worker's admissions.
    #[inline]
    pub(crate) fn at(
        worker: &'r Arc<Worker>,
        admissions: &'r Admissions,
        position: usize,
        capability: Option<Capability>,
    ) -> Option<Self> {
        let target = Target::new(position, capability);
        // Not `then_some`, which would drop, and so release, the reservation on refusal.
        admissions.admit().then(|| Self { worker, admissions, target, expected_duration: 0 })
    }

    /// Like [`take`](Self::take). If the worker had nothing in flight, also notes the clock's
    /// `now`, from which the age of the worker's oldest task then counts.
    ///
    /// For workers without a thread that notes its progress. If the calling thread is suspended
    /// within this call, that age is too long for a while, and never too short.
    #[inline]
    pub fn take_at(
        worker: &'r Arc<Worker>,
        position: usize,
        capability: Option<Capability>,
        now: u64,
    ) -> Option<Self> {
        if worker.stats().in_flight() == 0 {
            worker.stats().pulse().set_busy_since(now);
        }
        Self::take(worker, position, capability)
    }

    /// Counts the [expected duration](crate::TaskProfile::expected_duration) of the task, in
    /// nanoseconds, as work ahead of the worker until the task ends or the reservation is released.
    /// Replaces a duration counted before.
    ///
    /// A duration above 4.9 hours counts as 4.9 hours. If more than 78 hours are ahead of one
    /// worker, selections see too little.
    #[inline]
    pub fn expecting(mut self, expected_duration: u64) -> Self {
        if expected_duration != self.expected_duration {
            self.admissions.withdraw_work(self.expected_duration);
            self.admissions.admit_work(expected_duration);
            self.expected_duration = expected_duration;
        }
        self
    }

    /// Notes that the worker is given a task with a key of this hash, if it
    /// [remembers keys](crate::WorkerStats::remember_keys). Call it at most once, for a task whose
    /// key the strategy knew. Wait-free.
    #[inline]
    pub fn noting_key(mut self, key: u64) -> Self {
        if let Some(age) = self.worker.stats().note_key(key) {
            self.target.0 |= KeyAge::pack(Some(age)) << 48;
        }
        self
    }

    /// Returns the [age](crate::WorkerStats::key_age) of the key that was
    /// [noted](Self::noting_key), before that; `None` if none was, or the worker remembers no keys.
    #[inline]
    pub fn key_age(&self) -> Option<KeyAge> {
        self.target.key_age()
    }

    /// Returns the selected worker.
    #[inline]
    pub fn worker(&self) -> &'r Arc<Worker> {
        self.worker
    }

    /// Returns the worker's position in the roster of the selection.
    #[inline]
    pub fn position(&self) -> usize {
        self.target.position()
    }

    /// Records the task's end and the time that it took since the selection, or since its start if
    /// the caller knows that.
    pub fn finish(self, outcome: Outcome, took: Duration) {
        let capability = self.target.capability();
        let (service, expected_duration) = (nanos(took), self.expected_duration);
        let end = Completion { service, capability, expected_duration, ..Completion::new(outcome) };
        self.worker.end_shared(end);
        if let (Outcome::Completed, Some(age)) = (outcome, self.key_age()) {
            self.worker.stats().learn_cost(age, capability, service);
        }
        mem::forget(self);
    }

    /// Leaves the task in flight, and returns the id by which its end must be
    /// [recorded](Worker::record), with its expected duration if it has one.
    pub fn detach(self) -> WorkerId {
        let id = self.worker.id();
        self.worker.stats().detached.add();
        mem::forget(self);
        id
    }

    /// Leaves the task in flight, to be ended by the worker's own [`SerialRecorder`](crate::SerialRecorder).
    /// Call it once the task is where the worker will find it. Returns whether the worker sleeps, in
    /// which case the caller must wake it.
    #[inline]
    #[must_use = "a worker that sleeps must be woken"]
    pub fn hand_over(self) -> bool {
        let must_wake = self.admissions.must_wake();
        mem::forget(self);
        must_wake
    }

    /// Converts the reservation into one that is independent of the roster's lifetime. Increments a
    /// reference count.
    pub fn into_owned(self) -> OwnedReservation {
        let (worker, target, expected_duration) =
            (Arc::clone(self.worker), self.target, self.expected_duration);
        mem::forget(self);
        OwnedReservation { worker, target, expected_duration, settled: false }
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
    /// Returns the selected worker.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// Returns the worker's position in the roster of the selection.
    pub fn position(&self) -> usize {
        self.target.position()
    }

    /// Records the task's end: see [`Reservation::finish`].
    pub fn finish(mut self, outcome: Outcome, took: Duration) {
        self.settle().finish(outcome, took);
    }

    /// Leaves the task in flight: see [`Reservation::detach`].
    pub fn detach(mut self) -> WorkerId {
        self.settle().detach()
    }

    /// Moves the responsibility to a borrowed reservation.
    fn settle(&mut self) -> Reservation<'_> {
        self.settled = true;
        Reservation {
            worker: &self.worker,
            admissions: self.worker.stats().admissions(),
            target: self.target,
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
    fn a_refused_reservation_releases_nothing() {
        let roster = Roster::builder().worker(WorkerSpec::new("w")).build().unwrap();
        let worker = &roster.members()[0].worker;
        let reserved = Reservation::take(worker, 0, None).unwrap();
        worker.close();
        for _ in 0..3 {
            assert!(Reservation::take(worker, 0, None).is_none());
        }
        assert_eq!((worker.stats().in_flight(), worker.stats().is_closed()), (1, true));
        reserved.finish(Outcome::Completed, Duration::ZERO);
        assert_eq!((worker.stats().in_flight(), worker.stats().is_closed()), (0, true));
        assert!(worker.stats().counts().is_balanced());
    }

    #[test]
    fn a_reservation_remembers_its_position_and_capability() {
        let names = ["target-a", "target-b", "target-c"];
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
    fn owned_reservations_count_as_one_task_each() {
        let roster = Roster::builder().worker(WorkerSpec::new("w")).build().unwrap();
        let worker = Arc::clone(&roster.members()[0].worker);
        let owned = || Reservation::take(&worker, 0, None).unwrap().into_owned();
        let reserved = [owned(), owned(), owned()];
        drop(roster);
        assert_eq!(worker.stats().in_flight(), 3);
        let [dropped, finished, detached] = reserved;
        drop(dropped);
        finished.finish(Outcome::Completed, Duration::ZERO);
        assert_eq!(worker.stats().in_flight(), 1);
        assert_eq!(detached.detach(), worker.id());
        assert_eq!((worker.stats().in_flight(), worker.stats().counts().admitted), (1, 2));
    }
}
