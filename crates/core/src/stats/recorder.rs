use std::sync::Arc;
use std::time::Duration;

use super::writer::Exclusive;
use crate::{Capability, Completion, Worker, nanos};

/// The one writer of a worker's statistics: its thread.
///
/// Made by [`Worker::recorder`], one at a time. Recording is wait-free, and ending a task uses no
/// read-modify-write instruction.
#[derive(Debug)]
pub struct Recorder {
    worker: Arc<Worker>,
    disowned: bool,
    /// For how many nanoseconds selections may not hear of an end.
    delay: u64,
    /// The clock at the last end that selections could hear of; 0 when the worker rests.
    published_at: u64,
    /// Ends that selections could hear of.
    published: u64,
    /// Those since.
    pending: u64,
    /// The capability whose history has changed since selections have heard of it.
    untold: Option<Option<Capability>>,
}

impl Recorder {
    pub(crate) fn new(worker: Arc<Worker>) -> Self {
        let stats = worker.stats();
        let published = stats.pulse().endings.count();
        // Those of a thread whose place this one takes.
        let pending = stats.counters.kept.count().saturating_sub(published);
        Self {
            worker,
            disowned: false,
            delay: 0,
            published_at: 0,
            published,
            pending,
            untold: None,
        }
    }

    /// The worker whose statistics this writes.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// Lets selections hear of the ends of tasks that come within `delay` of each other together: what
    /// they read is on cache lines that they take from the worker each time it has written them.
    ///
    /// Until the next end after that time, the next [`rest`](Self::mark_idle), or
    /// [`publish`](Self::publish), [`Signals`](crate::Signals) count too many in flight and tell of
    /// times and latencies before. [`WorkerStats`](crate::WorkerStats) are exact. No delay at first.
    pub fn publish_within(&mut self, delay: Duration) {
        self.delay = nanos(delay);
    }

    /// Lets selections hear of all ends now.
    #[inline]
    pub fn publish(&mut self) {
        if self.pending != 0 {
            let Worker { stats, baseline, .. } = &*self.worker;
            self.published = stats.publish(self.pending, baseline);
            self.pending = 0;
            self.tell(None);
        }
    }

    /// Notes that a task was started at the clock's `now`.
    #[inline]
    pub fn start(&mut self, now: u64) {
        if self.is_due(now) {
            self.worker.stats().set_busy_since(now);
        }
    }

    /// Whether selections are to hear of what is so at this time; always where it is unknown.
    #[inline]
    fn is_due(&self, now: u64) -> bool {
        // Also where the clock went back.
        now.wrapping_sub(self.published_at) >= self.delay || now == 0
    }

    /// Notes the size of the task that was [started](Self::start), where it has one: selections then
    /// know what is left of it. Until it [ends](Self::end), with that same size.
    #[inline]
    pub fn run(&mut self, expected_duration: u64) {
        if expected_duration != 0 {
            self.worker.stats().work().run(expected_duration);
        }
    }

    /// Notes that the worker has nothing to do from the clock's `now` on.
    ///
    /// To be called after the last task that there was: until then, or until the recorder is
    /// dropped, strategies that look for idle workers may not find this one.
    #[inline]
    pub fn mark_idle(&mut self, now: u64) {
        self.publish();
        self.published_at = 0;
        let stats = self.worker.stats();
        stats.set_busy_since(0);
        stats.set_idle_since(now);
        stats.list_if_idle();
    }

    /// Records the end of one of the worker's admitted tasks.
    #[inline]
    pub fn end(&mut self, end: &Completion) {
        let publish = self.is_due(end.at);
        let Worker { stats, tracking, baseline, .. } = &*self.worker;
        stats.record::<Exclusive>(end, tracking, baseline, publish);
        if end.expected_duration != 0 {
            stats.work().end_exclusive(end.expected_duration);
        }
        if publish {
            if end.at != 0 {
                // The start of the next, which is not due.
                stats.set_busy_since(end.at);
            }
            self.published = stats.pulse().endings.end_exclusive(self.pending + 1);
            (self.pending, self.published_at) = (0, end.at);
            self.tell(None);
        } else {
            self.pending += 1;
            stats.counters.kept.keep(self.published + self.pending);
            self.tell(Some(end.capability));
        }
    }

    /// Lets selections hear of the history that is untold, unless it is that which is now.
    #[inline]
    fn tell(&mut self, untold: Option<Option<Capability>>) {
        if self.untold == untold {
            return;
        }
        if let Some(capability) = std::mem::replace(&mut self.untold, untold) {
            self.worker.stats().publish_history(capability);
        }
    }
}

impl Recorder {
    /// Ends this right without giving it back: its worker's thread is no longer the one that
    /// records, as another [took its place](Worker::replace_recorder).
    pub fn disown(mut self) {
        self.disowned = true;
    }

    /// Notes that the thread is about to sleep, which it may when this is `true`: then no more
    /// than the `held` tasks, which cannot be run yet, are in flight, the worker is not closed,
    /// and whoever gives it the next task is told to wake it.
    pub fn try_park(&mut self, held: u64) -> bool {
        self.publish();
        self.worker.stats().try_park(held)
    }

    /// Notes that the thread is awake.
    pub fn unpark(&mut self) {
        self.worker.stats().admissions().must_wake();
    }

    /// Counts the size of a task that was `from`'s as this worker's. To be called before
    /// [`adopt`](Self::adopt).
    pub fn adopt_work(&mut self, from: &Worker, expected_duration: u64) {
        self.worker.stats().admissions().admit_work(expected_duration);
        from.withdraw_work_of(expected_duration);
    }

    /// Takes the size of the running task off the work ahead of this worker: that task's thread was
    /// given up. To be called before [`Worker::give_up`].
    pub fn withdraw_running(&mut self) {
        let stats = self.worker.stats();
        let expected_duration = stats.work().take_running();
        stats.admissions().withdraw_work(expected_duration);
    }

    /// Counts a task that was `from`'s as this worker's. In flight is never too low meanwhile.
    pub fn adopt(&mut self, from: &Worker) {
        self.worker.stats().admissions().adopt();
        from.withdraw();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.disowned {
            self.publish();
            self.worker.return_recorder();
        }
    }
}
