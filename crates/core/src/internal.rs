//! Operations for the crates that run workers. **Unstable:** not covered by semantic versioning.
//!
//! They move tasks between accounts and recorders between threads. Used wrongly, they break the
//! law that every admitted task ends exactly once.

use std::sync::Arc;

use crate::{SerialRecorder, Worker};

/// Corrections of a worker's account, by whoever runs it.
pub trait WorkerInternals {
    /// Takes over the exclusive right to record from a thread that is known to write no more: it
    /// hangs outside of the statistics, and will [disown](RecorderInternals::disown) its own
    /// recorder. In any other case the statistics become wrong.
    fn replace_recorder(self: &Arc<Self>) -> SerialRecorder;

    /// Removes a task from this worker's account without an end: it was shed, or another worker
    /// has adopted it. Call it once for a task that was admitted here and will not end here.
    fn withdraw(&self);

    /// Removes the expected duration of a task, as it was admitted, from the work ahead of this
    /// worker; does nothing when it is 0. Call it before [`withdraw`](Self::withdraw).
    fn withdraw_work_of(&self, expected_duration: u64);
}

/// Corrections of a worker's account, by its own thread.
pub trait RecorderInternals {
    /// Gives up the right to record without returning it, because another thread has
    /// [replaced](WorkerInternals::replace_recorder) this recorder.
    fn disown(self);

    /// Moves a task from the account of `from` to this worker's. Neither in-flight count is too low
    /// meanwhile.
    fn adopt(&mut self, from: &Worker);

    /// Moves the expected duration of a task from the account of `from` to this worker's. Call it
    /// before [`adopt`](Self::adopt).
    fn adopt_work(&mut self, from: &Worker, expected_duration: u64);

    /// Removes the expected duration of the running task from the work ahead of this worker,
    /// because that task's thread was given up. Call it before [`WorkerInternals::withdraw`].
    fn withdraw_running(&mut self);
}

impl WorkerInternals for Worker {
    fn replace_recorder(self: &Arc<Self>) -> SerialRecorder {
        self.seize_recorder();
        let mut recorder = SerialRecorder::new(Arc::clone(self));
        recorder.publish();
        recorder
    }

    fn withdraw(&self) {
        if self.stats().admissions().withdraw() {
            self.stats().list_if_idle();
        }
    }

    fn withdraw_work_of(&self, expected_duration: u64) {
        self.stats().admissions().withdraw_work(expected_duration);
    }
}

impl RecorderInternals for SerialRecorder {
    fn disown(mut self) {
        self.disowned = true;
    }

    fn adopt(&mut self, from: &Worker) {
        self.worker().stats().admissions().adopt();
        from.withdraw();
    }

    fn adopt_work(&mut self, from: &Worker, expected_duration: u64) {
        self.worker().stats().admissions().admit_work(expected_duration);
        from.withdraw_work_of(expected_duration);
    }

    fn withdraw_running(&mut self) {
        let stats = self.worker().stats();
        let expected_duration = stats.work().take_running();
        stats.admissions().withdraw_work(expected_duration);
    }
}
