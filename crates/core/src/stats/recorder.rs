use std::sync::Arc;
use std::time::Duration;

use super::history::column;
use super::publisher::Publisher;
use super::writer::Exclusive;
use crate::{Capability, Completion, KeyAge, Worker, nanos};

/// The exclusive right to write a worker's statistics, for the thread that runs its tasks, one at a
/// time: [`start`](Self::start) and [`set_running`](Self::set_running) speak of the only running
/// task, and so does what selections see as stalled.
///
/// Created by [`Worker::recorder`], one at a time. Recording is wait-free, and ending a task uses no
/// read-modify-write instruction. Dropping the recorder returns the right.
#[derive(Debug)]
pub struct SerialRecorder {
    worker: Arc<Worker>,
    publisher: Publisher,
    /// Whether the running task was the first in so long a time that it tries the worker again.
    retried: bool,
    /// Whether the right to record belongs to another recorder by now.
    pub(crate) disowned: bool,
}

impl Worker {
    /// Returns the exclusive right to write this worker's statistics, for its thread; `None` while
    /// another thread has it.
    pub fn recorder(self: &Arc<Self>) -> Option<SerialRecorder> {
        self.take_recorder().then(|| SerialRecorder::new(Arc::clone(self)))
    }
}

impl SerialRecorder {
    pub(crate) fn new(worker: Arc<Worker>) -> Self {
        let publisher = Publisher::new(worker.stats());
        Self { publisher, worker, retried: false, disowned: false }
    }

    /// Returns the worker whose statistics this recorder writes.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// Allows ends that follow each other within `delay` to be published together. No delay by
    /// default.
    ///
    /// What selections read is on cache lines that they take from the worker each time it has
    /// written them. With a delay, [`Signals`](crate::Signals) count too many tasks in flight, and
    /// show older times and latencies, until the next end after that time, the next
    /// [`mark_idle`](Self::mark_idle), or [`publish`](Self::publish).
    /// [`WorkerStats`](crate::WorkerStats) remain exact.
    pub fn publish_within(&mut self, delay: Duration) {
        self.publisher.delay = nanos(delay);
    }

    /// Publishes all ends to selections now.
    #[inline]
    pub fn publish(&mut self) {
        self.publisher.flush(self.worker.stats());
    }

    /// Notes that a task started at the clock's `now`.
    #[inline]
    pub fn start(&mut self, now: u64) {
        if self.publisher.is_due(now) {
            let pulse = self.worker.stats().pulse();
            if pulse.busy_since() == 0 {
                self.retried = pulse.has_expired(now);
            }
            pulse.set_busy_since(now);
        }
    }

    /// Notes the expected duration, in nanoseconds, of the task that was [started](Self::start), so
    /// that selections know what remains of it; does nothing when it is 0. Valid until the task
    /// [ends](Self::end), with the same expected duration.
    #[inline]
    pub fn set_running(&mut self, expected_duration: u64) {
        if expected_duration != 0 {
            self.worker.stats().work().set_running(expected_duration);
        }
    }

    /// Notes that the worker has no task from the clock's `now` on.
    ///
    /// Call it after the last task: until then, or until the recorder is dropped, strategies that
    /// search for idle workers may not find this one.
    #[inline]
    pub fn mark_idle(&mut self, now: u64) {
        self.publish();
        // The next event is due at once.
        self.publisher.published_at = 0;
        let stats = self.worker.stats();
        stats.pulse().set_busy_since(0);
        stats.pulse().set_idle_since(now);
        stats.list_if_idle();
    }

    /// Records the end of one of the worker's admitted tasks.
    #[inline]
    pub fn end(&mut self, end: &Completion) {
        let publish = self.publisher.is_due(end.at);
        let stats = self.worker.stats();
        stats.record::<Exclusive>(end, publish, std::mem::take(&mut self.retried));
        if end.expected_duration != 0 {
            stats.work().end_exclusive(end.expected_duration);
        }
        if publish {
            // Found once, because the compiler would find it again after each store.
            let pulse = stats.pulse();
            if end.at != 0 {
                // Also the start of the next task: that comes too soon to be published again.
                pulse.set_busy_since(end.at);
            }
            self.publisher.end(stats, pulse, end.at);
        } else {
            self.publisher.defer(stats, column(end.capability) as u8);
        }
    }

    /// Sets a task aside that has [started](Self::start): the worker can take another one beside it, so
    /// selections no longer count it. It is still [in flight](crate::WorkerStats::in_flight), until
    /// [`end_aside`](Self::end_aside).
    ///
    /// A worker that runs up to n tasks side by side sets aside as many as run, up to n - 1.
    pub fn set_aside(&mut self) {
        self.publisher.set_aside(self.worker.stats());
    }

    /// Records the end of one of the tasks that were [set aside](Self::set_aside), whichever: they are
    /// only counted.
    pub fn end_aside(&mut self, end: &Completion) {
        let stats = self.worker.stats();
        stats.record::<Exclusive>(end, true, std::mem::take(&mut self.retried));
        if end.expected_duration != 0 {
            stats.work().end_exclusive(end.expected_duration);
        }
        stats.end_aside();
        if end.at != 0 {
            stats.pulse().set_busy_since(end.at);
        }
    }

    /// Notes that the handler of a task that is about to end has awaited something for this many
    /// nanoseconds of its service time, off the [core](crate::WorkerStats::core_time).
    pub fn add_awaited(&mut self, nanos: u64) {
        self.worker.stats().add_awaited(nanos);
    }

    /// Learns what keys [cost](crate::Baseline::cold_costs) from a success that has just
    /// [ended](Self::end): the [age](crate::Reservation::key_age) that its key had, the capability
    /// that it named, and its service time in nanoseconds.
    pub fn learn_cost(&self, age: KeyAge, capability: Option<Capability>, service: u64) {
        self.worker.stats().learn_cost(age, capability, service);
    }

    /// Notes that the thread is about to park, and returns whether it may. It may if the worker is
    /// not closed and nothing is in flight but the `deferred` tasks, which cannot run yet. Then the
    /// thread that submits the next task learns that it must wake the worker.
    pub fn try_park(&mut self, deferred: u64) -> bool {
        self.publish();
        let stats = self.worker.stats();
        stats.admissions().try_park(stats.pulse().endings.count() + deferred)
    }

    /// Notes that the thread is awake.
    pub fn unpark(&mut self) {
        self.worker.stats().admissions().must_wake();
    }
}

impl Drop for SerialRecorder {
    fn drop(&mut self) {
        if !self.disowned {
            self.publish();
            self.worker.return_recorder();
        }
    }
}
