use std::sync::Arc;

use raddle_core::{Roster, Worker, WorkerId, WorkerSpec, nanos};
use raddle_strategies::{Ejection, EjectionError, OutlierDetector};
use raddle_sync::thread::ThreadId;

use crate::worker::SerialLease;

/// What is known about a pool's workers and no dispatch needs.
pub(super) struct Membership {
    /// The threads that run the workers.
    pub(super) assignments: Vec<Assignment>,
    /// What [`resize`](crate::Pool::resize) adds.
    pub(super) template: WorkerSpec,
    /// Workers that `resize` has numbered.
    pub(super) numbered: usize,
    /// Workers that will be closed when they own no key any more.
    pub(super) retiring: Vec<WorkerId>,
    /// Ejects failing workers, if the pool was built to.
    pub(super) reviews: Option<Reviews>,
}

/// A worker and the thread that runs it.
pub(super) struct Assignment {
    pub(super) worker: Arc<Worker>,
    /// Revoked while no thread runs the worker.
    pub(super) lease: Arc<SerialLease>,
    pub(super) thread: ThreadId,
    pub(super) quarantined: bool,
}

impl Membership {
    pub(super) fn new(template: WorkerSpec, reviews: Option<Reviews>) -> Self {
        Self { assignments: Vec::new(), template, numbered: 0, retiring: Vec::new(), reviews }
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
