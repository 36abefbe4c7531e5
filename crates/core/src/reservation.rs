use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::clock::nanos;
use crate::{Capability, Finished, Outcome, Worker, WorkerId};

/// A worker that was selected, already counted as in flight.
///
/// It ends in one of three ways: [`finish`](Self::finish) records how the task ended;
/// [`detach`](Self::detach) leaves the place taken, for whoever ends the task later by the
/// worker's id; dropping it gives the place back. All are wait-free.
#[derive(Debug)]
#[must_use = "a reservation that is dropped gives its place back"]
pub struct Reservation<'r> {
    worker: Held<'r>,
    position: usize,
    capability: Option<Capability>,
    /// Whether the place is no longer this reservation's to give back.
    settled: bool,
}

#[derive(Debug)]
enum Held<'r> {
    Borrowed(&'r Arc<Worker>),
    Owned(Arc<Worker>),
}

impl Held<'_> {
    #[inline]
    fn get(&self) -> &Arc<Worker> {
        match self {
            Self::Borrowed(worker) => worker,
            Self::Owned(worker) => worker,
        }
    }
}

/// The end of a task that could not be recorded.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The roster has no such worker.
    #[error("worker {0} is not in the roster")]
    UnknownWorker(WorkerId),
    /// The worker has nothing left to end: the task was recorded twice, or never selected.
    #[error("worker {0} has no task in flight; each selected task is recorded once")]
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
        // Not `then_some`: a reservation that is made and dropped gives a place back.
        worker.stats().admit().then(|| Self {
            worker: Held::Borrowed(worker),
            position,
            capability,
            settled: false,
        })
    }

    /// The same, and notes the time: for workers whose own thread does not.
    ///
    /// The age of a worker's oldest task counts from here when it had none. A thread suspended
    /// within this call makes that age too long for a while, never too short.
    #[inline]
    pub fn take_at(
        worker: &'r Arc<Worker>,
        position: usize,
        capability: Option<Capability>,
        now: u64,
    ) -> Option<Self> {
        if worker.stats().in_flight() == 0 {
            worker.stats().progressed(now);
        }
        Self::take(worker, position, capability)
    }

    /// The selected worker.
    #[inline]
    pub fn worker(&self) -> &Arc<Worker> {
        self.worker.get()
    }

    /// Where the worker stands in the roster of the selection.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Records the task's end and how long it took from the selection, or from its start where
    /// the caller knows that.
    pub fn finish(mut self, outcome: Outcome, took: Duration) {
        self.settled = true;
        let end = Finished {
            outcome,
            wait: 0,
            service: nanos(took),
            capability: self.capability,
        };
        self.worker().end_shared(&end);
    }

    /// Leaves the task in flight and returns the id to record its end by.
    #[inline]
    pub fn detach(mut self) -> WorkerId {
        self.settled = true;
        self.worker().id()
    }

    /// The same reservation, free of the roster's lifetime. Raises a reference count.
    pub fn into_owned(mut self) -> Reservation<'static> {
        self.settled = true;
        Reservation {
            worker: Held::Owned(Arc::clone(self.worker())),
            position: self.position,
            capability: self.capability,
            settled: false,
        }
    }
}

impl Drop for Reservation<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.settled {
            self.worker().stats().withdraw();
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
        let worker = &roster.workers()[0].worker;
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
}
