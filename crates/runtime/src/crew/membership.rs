use std::sync::Arc;

use raddle_core::{Health, Roster, Worker, WorkerId, WorkerSpec, nanos};
use raddle_strategies::{Ejection, EjectionError, OutlierDetector};
use raddle_sync::thread::ThreadId;

use crate::deadlock::Waiter;
use crate::lease::SerialLease;
use crate::watch::Ending;

/// What is known about a pool's workers and no dispatch needs.
pub(super) struct Membership {
    /// The threads that run the workers.
    pub(super) assignments: Vec<Assignment>,
    /// What [`resize`](crate::Pool::resize) adds.
    pub(super) template: WorkerSpec,
    /// Workers that will be closed when they own no key any more.
    pub(super) retiring: Vec<WorkerId>,
    /// Workers without an actor, until that has started again.
    pub(super) restarting: Vec<Arc<Worker>>,
    /// Ejects failing workers, if the pool was built to.
    pub(super) reviews: Option<Reviews>,
    /// The ends of workers that somebody watches.
    pub(super) watched: Vec<(WorkerId, Arc<Ending>)>,
}

/// A worker and the thread that runs it.
pub(super) struct Assignment {
    pub(super) worker: Arc<Worker>,
    /// Revoked while no thread runs the worker.
    pub(super) lease: Arc<SerialLease>,
    pub(super) waiter: Arc<Waiter>,
    pub(super) thread: ThreadId,
    pub(super) quarantined: bool,
}

impl Membership {
    pub(super) fn new(template: WorkerSpec, reviews: Option<Reviews>) -> Self {
        Self {
            assignments: Vec::new(),
            template,
            retiring: Vec::new(),
            restarting: Vec::new(),
            reviews,
            watched: Vec::new(),
        }
    }

    /// The health of a worker that does not drain.
    pub(super) fn health(&self, worker: &Arc<Worker>) -> Health {
        let is_it = |other: &Arc<Worker>| Arc::ptr_eq(other, worker);
        let mut assignments = self.assignments.iter();
        if assignments.any(|assignment| assignment.quarantined && is_it(&assignment.worker)) {
            Health::Quarantined
        } else if self.restarting.iter().any(is_it) {
            Health::Restarting
        } else if self.reviews.as_ref().is_some_and(|it| it.detector.has_ejected(worker.id())) {
            Health::Ejected
        } else {
            Health::Active
        }
    }
}

/// Reviews a pool's workers at an interval.
pub(super) struct Reviews {
    pub(super) detector: OutlierDetector,
    /// By the clock.
    pub(super) due: u64,
}

impl Reviews {
    /// Starts reviewing a roster's workers, by what they do from now on.
    pub(super) fn new(settings: Ejection, roster: &Roster) -> Result<Self, EjectionError> {
        let now = roster.clock().now();
        let mut detector = OutlierDetector::new(settings)?;
        // The first review has nothing to compare with, and judges no worker.
        detector.review(roster, now);
        Ok(Self { detector, due: now.saturating_add(nanos(settings.review_interval())) })
    }
}
