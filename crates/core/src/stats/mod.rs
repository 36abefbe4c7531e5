//! The statistics of one worker, laid out by which thread writes them: see README.md.

mod board;
mod histogram;
pub(crate) mod history;
pub(crate) mod idle;
mod in_flight;
mod latency_ring;
mod packed_work;
mod peak;
mod publisher;
mod recorder;
mod work;
mod writer;

pub(crate) use board::Board;
pub use board::Signals;
pub use histogram::{Histogram, HistogramSnapshot};
pub(crate) use in_flight::Admissions;
pub use latency_ring::LatencyRing;
pub use peak::PeakLatency;
pub use recorder::SerialRecorder;

use std::sync::Arc;
use std::time::Duration;

use crate::baseline::Baseline;
use crate::{Capability, Completion, Counts, Outcome, Tracking};
use board::Pulse;
use history::{History, column};
use in_flight::{AllEndings, Detached};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};
use work::SerialWork;
use writer::{Shared, Writer};

/// The statistics of one worker.
///
/// Any thread can read every figure at any time, wait-free.
#[derive(Debug)]
pub struct WorkerStats {
    /// Holds what selections read, in the row of this worker.
    board: Board,
    row: usize,
    pub(crate) detached: Detached,
    counters: Counters,
    latencies: LatencyRing,
    history: History,
    wait: Histogram,
    service: Histogram,
    tracking: Tracking,
    pub(crate) baseline: Arc<Baseline>,
}

/// Written by the worker when a task ends, read by reports. On cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counters {
    all_endings: AllEndings,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    busy: AtomicU64,
    waited: AtomicU64,
    /// Decayed share of successes, an `f64`.
    success_rate: AtomicU64,
}

/// The weight of one task in the success rate.
const SUCCESS_GAIN: f64 = 1.0 / 16.0;
/// A worker whose success rate is below this is failing. From a rate of 1 that takes 11 failures in
/// a row, and from 0 it takes 11 successes in a row to recover.
const FAILING_BELOW: f64 = 0.5;
/// The number of slow latencies in a row, or the whole window if shorter, that make a worker slow.
const SLOW_AFTER: usize = 4;

impl WorkerStats {
    pub(crate) fn new(
        board: Board,
        row: usize,
        tracking: Tracking,
        baseline: Arc<Baseline>,
    ) -> Self {
        let enabled = tracking.enabled;
        Self {
            board,
            row,
            detached: Detached::default(),
            counters: Counters {
                success_rate: AtomicU64::new(1f64.to_bits()),
                ..Counters::default()
            },
            latencies: LatencyRing::with_window(if enabled { tracking.window } else { 0 }),
            history: History::new(enabled),
            wait: Histogram::new(enabled),
            service: Histogram::new(enabled),
            tracking,
            baseline,
        }
    }

    /// Returns where selections read the statistics of this worker.
    pub(crate) fn row(&self) -> (&Board, usize) {
        (&self.board, self.row)
    }

    #[inline]
    pub(crate) fn admissions(&self) -> &Admissions {
        &self.board.admissions[self.row]
    }

    #[inline]
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.board.pulses[self.row]
    }

    #[inline]
    fn peak(&self) -> &PeakLatency {
        &self.board.trends[self.row].peak
    }

    #[inline]
    pub(crate) fn work(&self) -> &SerialWork {
        &self.board.trends[self.row].work
    }

    /// Returns the number of tasks in flight: in the mailbox or in the handler. Wait-free; may be too
    /// high while others admit and end tasks, and is exact when nobody does.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        self.pulse().endings.in_flight(&self.counters.all_endings, self.admissions())
    }

    /// Returns the sum of the [expected durations](crate::TaskProfile::expected_duration) of the
    /// tasks in flight, started or not, in nanoseconds. Wait-free; may be too high while others admit
    /// and end tasks. Exact, and 0 with nothing in flight, when nobody does.
    ///
    /// Negative only if ends were recorded with other expected durations than the tasks were admitted
    /// with. Wrong above 39 hours, half of the 78 that selections can tell, because it has a sign.
    pub fn work_in_flight(&self) -> i64 {
        self.work().balance(self.admissions())
    }

    /// Returns for how many nanoseconds, at the clock's `now`, the worker has had tasks without
    /// starting or ending one: a lower bound of the age of its oldest task in flight. 0 when it has
    /// no task, or when the time of its last progress is unknown.
    #[inline]
    pub fn stalled_for(&self, now: u64) -> u64 {
        if self.in_flight() == 0 { 0 } else { self.pulse().stalled_for(now) }
    }

    /// Returns the mean of the [latencies](Self::latencies) in nanoseconds, at least 1, as of a recent
    /// end; 0 before the first. Selections read this word too, so reading it takes no cache
    /// line from the worker, as reading the latencies would.
    #[inline]
    pub fn recent_mean(&self) -> u64 {
        self.pulse().recent_mean()
    }

    /// Returns whether the next queued task is likely to end here, at the clock's `now`, before a
    /// worker with the [mean](Self::recent_mean) `thief_mean` would end it, so that the thief should
    /// not steal it.
    ///
    /// Estimates two turns of this worker's mean at most: the task's own, and the rest of the one
    /// before it. `false` when either mean is unknown. Wait-free.
    #[inline]
    pub fn finishes_sooner_than(&self, thief_mean: u64, now: u64) -> bool {
        let mean = self.recent_mean();
        mean != 0 && thief_mean > mean.saturating_add(mean.max(self.stalled_for(now)))
    }

    /// Returns the window of the last latencies: service times, with a penalty for failures.
    #[inline]
    pub fn latencies(&self) -> &LatencyRing {
        &self.latencies
    }

    /// Returns the latency that rises at once and decays by [`Tracking::peak_decay`], in nanoseconds
    /// at the clock's `now`, at least 1. A failure counts as in [`latencies`](Self::latencies).
    /// `None` before the first end [at a known time](Completion::at), and when tracking is disabled.
    /// Wait-free; changes nothing.
    #[inline]
    pub fn peak_latency(&self, now: u64) -> Option<u64> {
        self.peak().get(now)
    }

    /// Returns the worker's record with a capability: from 0.5 to 1.5, and 1.0 at the start.
    #[inline]
    pub fn history(&self, capability: Option<Capability>) -> f64 {
        self.history.get(column(capability))
    }

    /// Returns the decayed share of successes among the tasks that ran: 0 to 1, and 1 at the start.
    pub fn success_rate(&self) -> f64 {
        f64::from_bits(self.counters.success_rate.load(Relaxed))
    }

    /// Returns whether the [success rate](Self::success_rate) is below one half. Always `false` when
    /// tracking is disabled. Wait-free.
    pub fn is_failing(&self) -> bool {
        self.success_rate() < FAILING_BELOW
    }

    /// Returns the distribution of the times in the mailbox.
    pub fn wait(&self) -> &Histogram {
        &self.wait
    }

    /// Returns the distribution of the times in the handler.
    pub fn service(&self) -> &Histogram {
        &self.service
    }

    /// Returns the total time spent in the handler.
    pub fn busy_time(&self) -> Duration {
        Duration::from_nanos(self.counters.busy.load(Relaxed))
    }

    /// Returns the total time that tasks spent in the mailbox.
    pub fn wait_time(&self) -> Duration {
        Duration::from_nanos(self.counters.waited.load(Relaxed))
    }

    /// Returns whether the worker accepts no more tasks.
    pub fn is_closed(&self) -> bool {
        self.admissions().is_closed()
    }

    /// Returns whether the worker's thread sleeps until it is woken.
    pub fn is_parked(&self) -> bool {
        self.admissions().is_parked()
    }

    /// Returns how the tasks ended so far. Consistent at a quiescent moment.
    pub fn counts(&self) -> Counts {
        // Ends before admissions: the Acquire of the ends makes visible what was counted before them.
        self.pulse().endings.count();
        self.counters.all_endings.count();
        let ended = |outcome: Outcome| self.counters.outcomes[outcome as usize].load(Relaxed);
        let mut counts = Counts::new(0, ended);
        counts.admitted = self.admissions().count();
        counts
    }

    /// Whether any thread has noted when the worker was busy.
    pub(crate) fn notes_time(&self) -> bool {
        self.pulse().stalled_for(u64::MAX) != 0
    }

    /// Records the end of a task for which the caller holds a reservation. Wait-free, any thread.
    pub(crate) fn end_shared(&self, end: &Completion) {
        self.record::<Shared>(end, true);
        if end.expected_duration != 0 {
            self.work().end_shared(end.expected_duration);
        }
        self.pulse().endings.end_shared();
        // A load suffices if it is listed: whoever unlists it synchronizes by the endings.
        if !self.board.idle.is_set(self.row) {
            self.list_if_idle();
        }
    }

    /// See [`Board::list_if_idle`].
    pub(crate) fn list_if_idle(&self) {
        self.board.list_if_idle(self.row);
    }

    /// Publishes `pending` ends; returns the number of ends published so far.
    #[cold]
    fn publish(&self, pending: u64) -> u64 {
        self.publish_recent(self.latencies.mean());
        self.pulse().endings.end_exclusive(pending)
    }

    #[inline]
    fn publish_recent(&self, mean: Option<u64>) {
        let slow =
            mean.is_some_and(|mean| self.baseline.is_exceeded_by(mean) && self.is_lately_slow());
        self.pulse().publish_recent(mean, self.is_failing(), slow);
    }

    /// Whether each of the last latencies is slow too: a single long task can make a long mean, and
    /// a worker that has recovered still has one for a while.
    #[cold]
    fn is_lately_slow(&self) -> bool {
        let mut latest = self.latencies.latest(SLOW_AFTER);
        latest.all(|latency| latency.is_some_and(|l| self.baseline.is_exceeded_by(l)))
    }

    #[inline]
    fn publish_history(&self, column: usize) {
        self.board.publish_history(self.row, column, self.history.get(column));
    }

    #[inline]
    fn record<W: Writer>(&self, end: &Completion, publish: bool) {
        let Self { counters, tracking, .. } = self;
        let baseline = &*self.baseline;
        let counter = &counters.outcomes[end.outcome as usize];
        W::add(counter, 1);
        W::add(&counters.waited, end.wait);
        if tracking.enabled {
            self.wait.record::<W>(end.wait);
        }
        if !end.outcome.ran() {
            return;
        }
        W::add(&counters.busy, end.service);
        if !tracking.enabled {
            return;
        }
        self.service.record::<W>(end.service);
        let success = end.outcome == Outcome::Completed;
        let mut latency = end.service;
        let mut fast = false;
        if success {
            fast = tracking.is_fast(end.service, || baseline.mean_for(end.capability));
            if publish && baseline.wants(counter.load(Relaxed), end.capability) {
                baseline.record(end.capability, end.service);
            }
        } else {
            // At least the worker's own mean, so that no failure improves it.
            latency = latency.max(tracking.penalty(baseline.mean()));
            latency = latency.max(self.latencies().mean().unwrap_or(0));
        }
        self.peak().record::<W>(latency, end.at);
        let total = W::push(&self.latencies, latency);
        let gained = if success { SUCCESS_GAIN } else { 0.0 };
        W::update(&counters.success_rate, |rate| rate * (1.0 - SUCCESS_GAIN) + gained);
        let column = column(end.capability);
        self.history.record::<W>(column, success, fast, tracking.history_decay);
        if publish {
            let mean = match total {
                Some(total) => self.latencies.mean_of(total),
                None => self.latencies.mean(),
            };
            self.publish_recent(mean);
            self.publish_history(column);
        }
    }
}
