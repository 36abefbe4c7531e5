//! Operations for the crates that run workers. **Unstable:** not covered by semantic versioning.
//!
//! They move tasks between accounts and recorders between threads. Used wrongly, they break the
//! law that every admitted task ends exactly once.

use std::sync::Arc;

pub use crate::boost::{Boosts, SizeClass};
pub use crate::clock::ClockInternals;
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

    /// Notes that the handler begins to wait inside the runtime. Only the worker's thread calls it.
    fn begin_wait(&self);

    /// Notes that the handler has waited inside the runtime for this many nanoseconds.
    fn end_wait(&self, nanos: u64);

    /// Removes the expected duration of a task, as it was admitted, from the work ahead of this
    /// worker; does nothing when it is 0. Call it before [`withdraw`](Self::withdraw).
    fn withdraw_work_of(&self, expected_duration: u64);

    /// Returns whether selections that see all ends see no task in flight here: those that were set
    /// aside do not count.
    fn has_room(&self) -> bool;

    /// Returns the number of tasks admitted and not withdrawn, with the top bit set if the worker is
    /// closed. One relaxed load: it may be older than other figures.
    fn admission_mark(&self) -> u64;
}

/// What selections knew about a running task when it paused.
#[derive(Debug)]
pub struct PausedTask {
    busy_since: u64,
    expected_duration: u64,
}

impl PausedTask {
    /// Returns the expected duration, in nanoseconds, as it counts for the work ahead of the worker;
    /// 0 when unknown.
    pub fn expected_duration(&self) -> u64 {
        self.expected_duration
    }
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

    /// Notes that the running task pauses: other tasks start and end before it goes on.
    fn pause_running(&mut self) -> PausedTask;

    /// Notes that a task goes on which has paused for this many nanoseconds.
    fn resume_running(&mut self, paused: &PausedTask, nanos: u64);
}

impl WorkerInternals for Worker {
    fn replace_recorder(self: &Arc<Self>) -> SerialRecorder {
        self.seize_recorder();
        self.stats().take_back_aside();
        let mut recorder = SerialRecorder::new(Arc::clone(self));
        recorder.publish();
        recorder
    }

    fn withdraw(&self) {
        if self.stats().admissions().withdraw() {
            self.stats().list_if_idle();
        }
    }

    fn begin_wait(&self) {
        self.stats().begin_wait();
    }

    fn end_wait(&self, nanos: u64) {
        self.stats().end_wait(nanos);
    }

    fn withdraw_work_of(&self, expected_duration: u64) {
        self.stats().admissions().withdraw_work(expected_duration);
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.stats().has_room()
    }

    #[inline]
    fn admission_mark(&self) -> u64 {
        self.stats().admissions().mark()
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

    fn pause_running(&mut self) -> PausedTask {
        let stats = self.worker().stats();
        PausedTask {
            busy_since: stats.pulse().busy_since(),
            expected_duration: stats.work().take_running(),
        }
    }

    fn resume_running(&mut self, paused: &PausedTask, nanos: u64) {
        if paused.busy_since != 0 {
            let pulse = self.worker().stats().pulse();
            pulse.set_busy_since(paused.busy_since.saturating_add(nanos));
        }
        self.set_running(paused.expected_duration);
    }
}
