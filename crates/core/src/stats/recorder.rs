use std::sync::Arc;

use super::writer::Exclusive;
use crate::{Finished, Worker};

/// The one writer of a worker's statistics: its thread.
///
/// Made by [`Worker::recorder`], one at a time. Recording is wait-free and uses no
/// read-modify-write instruction.
#[derive(Debug)]
pub struct Recorder {
    worker: Arc<Worker>,
}

impl Recorder {
    pub(crate) fn new(worker: Arc<Worker>) -> Self {
        Self { worker }
    }

    /// The worker whose statistics this writes.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// Notes that a task was started at the clock's `now`.
    #[inline]
    pub fn start(&mut self, now: u64) {
        self.worker.stats().set_busy_since(now);
    }

    /// Notes that the worker has nothing to do from the clock's `now` on.
    #[inline]
    pub fn rest(&mut self, now: u64) {
        self.worker.stats().set_busy_since(0);
        self.worker.stats().set_idle_since(now);
    }

    /// Records the end of one of the worker's admitted tasks.
    #[inline]
    pub fn end(&mut self, end: &Finished) {
        let Worker { stats, tracking, baseline, .. } = &*self.worker;
        stats.record::<Exclusive>(end, tracking, baseline);
        stats.pulse().endings.end_exclusive();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.worker.return_recorder();
    }
}
