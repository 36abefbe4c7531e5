//! What is known of one worker, laid out by who writes it.

mod board;
mod histogram;
pub(crate) mod history;
pub(crate) mod idle;
mod in_flight;
mod latency_ring;
mod peak;
mod recorder;
mod work;
mod writer;

use serde::Serialize;

pub(crate) use board::Board;
pub use board::Signals;
pub use histogram::{Histogram, HistogramSnapshot};
pub(crate) use in_flight::Admissions;
pub use latency_ring::LatencyRing;
pub use peak::PeakLatency;
pub use recorder::Recorder;

use crate::baseline::Baseline;
use crate::{Capability, Completion, Outcome, Tracking};
use board::Pulse;
use history::History;
use in_flight::{Detached, Kept};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};
use work::Work;
use writer::{Shared, Writer};

/// The statistics of one worker. Readers see every figure at any time, wait-free.
#[derive(Debug)]
pub struct WorkerStats {
    /// What selections read, beside that of the other workers.
    board: Board,
    lane: usize,
    detached: Detached,
    counters: Counters,
    latencies: LatencyRing,
    history: History,
    wait: Histogram,
    service: Histogram,
}

/// Written by the worker at the end of a task, read by reports; on lines of their own.
#[derive(Debug)]
#[repr(align(64))]
struct Counters {
    kept: Kept,
    outcomes: [AtomicU64; 5],
    busy: AtomicU64,
    waited: AtomicU64,
    /// Decayed share of successes, an `f64`.
    success_rate: AtomicU64,
}

/// The weight of one task in the success rate.
const SUCCESS_GAIN: f64 = 1.0 / 16.0;
/// Below this success rate a worker is failing: after 11 failures in a row that had none before,
/// and no more after 11 successes in a row that had none before.
const FAILING_BELOW: f64 = 0.5;
/// So many slow latencies in a row make a slow worker; or as many as are kept.
const SLOW_AFTER: usize = 4;

/// How a worker's admitted tasks ended so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks that the worker was given.
    pub admitted: u64,
    /// Ended as [`Outcome::Completed`].
    pub completed: u64,
    /// Ended as [`Outcome::Failed`].
    pub failed: u64,
    /// Ended as [`Outcome::Panicked`].
    pub panicked: u64,
    /// Ended as [`Outcome::Expired`].
    pub expired: u64,
    /// Ended as [`Outcome::Cancelled`].
    pub cancelled: u64,
}

impl Counts {
    /// Tasks that have ended.
    pub fn ended(&self) -> u64 {
        self.completed + self.failed + self.panicked + self.expired + self.cancelled
    }

    /// Whether every admitted task has ended, and just once (law 1): true at any quiet moment.
    pub fn is_balanced(&self) -> bool {
        self.admitted == self.ended()
    }

    /// The same of workers that have left, which each did with nothing in flight: what was admitted
    /// beyond what has ended is a dispatcher on its way to being refused.
    pub fn settled(self) -> Self {
        Self { admitted: self.ended(), ..self }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.admitted += other.admitted;
        self.completed += other.completed;
        self.failed += other.failed;
        self.panicked += other.panicked;
        self.expired += other.expired;
        self.cancelled += other.cancelled;
    }
}

impl WorkerStats {
    pub(crate) fn new(board: Board, lane: usize, tracking: &Tracking) -> Self {
        let enabled = tracking.enabled;
        let ring = match LatencyRing::new(tracking.window) {
            Ok(ring) if enabled => ring,
            _ => LatencyRing::disabled(),
        };
        Self {
            board,
            lane,
            detached: Detached::new(),
            counters: Counters {
                kept: Kept::new(),
                outcomes: std::array::from_fn(|_| AtomicU64::new(0)),
                busy: AtomicU64::new(0),
                waited: AtomicU64::new(0),
                success_rate: AtomicU64::new(1f64.to_bits()),
            },
            latencies: ring,
            history: History::new(enabled),
            wait: Histogram::new(enabled),
            service: Histogram::new(enabled),
        }
    }

    /// Where selections read this worker's words.
    pub(crate) fn place(&self) -> (&Board, usize) {
        (&self.board, self.lane)
    }

    #[inline]
    pub(crate) fn admissions(&self) -> &Admissions {
        self.board.admissions(self.lane)
    }

    #[inline]
    fn pulse(&self) -> &Pulse {
        self.board.pulse(self.lane)
    }

    #[inline]
    fn work(&self) -> &Work {
        &self.board.trend(self.lane).work
    }

    /// Tasks in the mailbox or the handler. Wait-free; may be too high for a moment while others
    /// admit and end tasks, and is exact when nobody does.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        self.pulse().endings.in_flight(&self.counters.kept, self.admissions())
    }

    /// The sum of the [sizes](crate::TaskProfile::expected_duration) of the tasks in flight, in nanoseconds, run
    /// or not. Wait-free; may be too high for a moment, and is exact, and 0 with nothing in flight,
    /// when nobody admits or ends tasks.
    ///
    /// Below 0 only where ends were recorded with other sizes than the tasks were admitted with,
    /// and wrong above 39 hours.
    pub fn work_in_flight(&self) -> i64 {
        self.work().balance(self.admissions())
    }

    /// For how many nanoseconds the worker has had tasks without ending or starting one, at the
    /// clock's `now`: a lower bound of the age of its oldest task in flight. 0 when it has none,
    /// or when nobody told the time of its last progress.
    #[inline]
    pub fn stalled_for(&self, now: u64) -> u64 {
        if self.in_flight() == 0 { 0 } else { self.pulse().stalled_for(now) }
    }

    /// The mean of the [latencies](Self::latencies) in nanoseconds, at least 1, as of a recent one; 0
    /// before the first. Where selections read it too: a look at the latencies themselves takes a
    /// cache line from the worker.
    #[inline]
    pub fn recent_mean(&self) -> u64 {
        self.pulse().recent_mean()
    }

    /// Whether the task that is next here would be done, at the clock's `now`, before another worker
    /// with this [mean](Self::recent_mean) had done it, which is not to steal it then: by what is known,
    /// a turn of its own and the rest of the one before, two means at the most. Not where either mean is
    /// unknown. Wait-free.
    #[inline]
    pub fn is_sooner_than(&self, thiefs_mean: u64, now: u64) -> bool {
        let mean = self.recent_mean();
        mean != 0 && thiefs_mean > mean.saturating_add(mean.max(self.stalled_for(now)))
    }

    /// The last latencies: service times, with a penalty for failures.
    #[inline]
    pub fn latencies(&self) -> &LatencyRing {
        &self.latencies
    }

    /// The latency that rises at once and decays by [`Tracking::peak_decay`], in nanoseconds at
    /// the clock's `now`, at least 1; a failure counts as in [`latencies`](Self::latencies). `None`
    /// before the first end [at a known time](Completion::at), and where tracking is disabled.
    /// Wait-free, changes nothing.
    #[inline]
    pub fn peak_latency(&self, now: u64) -> Option<u64> {
        self.board.trend(self.lane).peak.get(now)
    }

    /// How well the worker has done with a capability, from 0.5 to 1.5; 1.0 at the start.
    #[inline]
    pub fn history(&self, capability: Option<Capability>) -> f64 {
        self.history.get(capability)
    }

    /// Decayed share of successes among the tasks that were run, 0 to 1; 1 at the start.
    pub fn success_rate(&self) -> f64 {
        f64::from_bits(self.counters.success_rate.load(Relaxed))
    }

    /// Whether the [success rate](Self::success_rate) is below one half. Never where tracking is
    /// disabled. Wait-free.
    pub fn is_failing(&self) -> bool {
        self.success_rate() < FAILING_BELOW
    }

    /// How often each time in the mailbox occurred.
    pub fn wait(&self) -> &Histogram {
        &self.wait
    }

    /// How often each time in the handler occurred.
    pub fn service(&self) -> &Histogram {
        &self.service
    }

    /// Nanoseconds spent in the handler so far.
    pub fn busy(&self) -> u64 {
        self.counters.busy.load(Relaxed)
    }

    /// Nanoseconds that tasks spent in the mailbox so far.
    pub fn waited(&self) -> u64 {
        self.counters.waited.load(Relaxed)
    }

    /// Whether the worker takes no more tasks.
    pub fn is_closed(&self) -> bool {
        self.admissions().is_closed()
    }

    /// Whether the worker's thread sleeps until it is woken.
    pub fn is_parked(&self) -> bool {
        self.admissions().is_parked()
    }

    /// Falls asleep unless there is more in flight than the `held` tasks that cannot be run yet.
    pub(crate) fn try_park(&self, held: u64) -> bool {
        let ended = self.pulse().endings.count();
        self.admissions().try_park(ended + held)
    }

    /// How the tasks ended so far. Consistent at a quiet moment.
    pub fn counts(&self) -> Counts {
        // The ends first: their Acquire makes visible what was counted before them.
        self.pulse().endings.count();
        self.counters.kept.count();
        let outcome = |outcome: Outcome| self.counters.outcomes[outcome as usize].load(Relaxed);
        let mut counts = Counts {
            admitted: 0,
            completed: outcome(Outcome::Completed),
            failed: outcome(Outcome::Failed),
            panicked: outcome(Outcome::Panicked),
            expired: outcome(Outcome::Expired),
            cancelled: outcome(Outcome::Cancelled),
        };
        counts.admitted = self.admissions().count();
        counts
    }

    pub(crate) fn close(&self) {
        self.admissions().close();
    }

    /// Notes that the worker has a task on which it makes progress from now on; 0 takes it back.
    #[inline]
    pub(crate) fn set_busy_since(&self, now: u64) {
        self.pulse().set_busy_since(now);
    }

    /// Notes that the worker has no task any more.
    #[inline]
    pub(crate) fn set_idle_since(&self, now: u64) {
        self.pulse().set_idle_since(now);
    }

    /// Whether anybody has noted when the worker was busy.
    pub(crate) fn notes_time(&self) -> bool {
        self.pulse().stalled_for(u64::MAX) != 0
    }

    /// Records the end of a task that a reservation vouches for. Wait-free, any thread.
    pub(crate) fn end_shared(&self, end: &Completion, tracking: &Tracking, baseline: &Baseline) {
        self.record::<Shared>(end, tracking, baseline, true);
        if end.expected_duration != 0 {
            self.work().end_shared(end.expected_duration);
        }
        self.pulse().endings.end_shared();
        // A load where it is listed: who takes it off the list looks at the endings.
        if !self.board.is_listed(self.lane) {
            self.list_if_idle();
        }
    }

    /// Takes the worker off the list of the idle: see [`Board::unlist`].
    pub(crate) fn unlist(&self, is_recorded_by_one: impl FnOnce() -> bool) {
        self.board.unlist(self.lane, is_recorded_by_one);
    }

    /// Lists the worker as idle, whether it is or not.
    pub(crate) fn list_anyhow(&self) {
        self.board.list_anyhow(self.lane);
    }

    /// Lists the worker as idle if it is: see [`Board::list_if_idle`].
    pub(crate) fn list_if_idle(&self) {
        self.board.list_if_idle(self.lane);
    }

    /// Takes back an admission that led to nothing here.
    pub(crate) fn withdraw(&self) {
        if self.admissions().withdraw() {
            self.list_if_idle();
        }
    }

    /// Lets selections hear of so many ends that are pending; how many they have heard of then.
    #[cold]
    fn publish(&self, pending: u64, baseline: &Baseline) -> u64 {
        self.publish_recent(self.latencies.mean(), baseline);
        self.pulse().endings.end_exclusive(pending)
    }

    #[inline]
    fn publish_recent(&self, mean: Option<u64>, baseline: &Baseline) {
        let slow =
            mean.is_some_and(|mean| baseline.is_exceeded_by(mean) && self.lately_slow(baseline));
        self.pulse().publish_recent(mean, self.is_failing(), slow);
    }

    /// Whether each of the last latencies says what their mean says: one long task among few makes a
    /// long mean, and a worker that has recovered has one for long.
    #[cold]
    fn lately_slow(&self, baseline: &Baseline) -> bool {
        self.latencies
            .lasts(SLOW_AFTER)
            .all(|latency| latency.is_some_and(|l| baseline.is_exceeded_by(l)))
    }

    #[inline]
    fn publish_history(&self, capability: Option<Capability>) {
        self.board.publish_history(self.lane, capability, self.history(capability));
    }

    /// Leaves a task to be ended by [`try_end`](Self::try_end).
    pub(crate) fn detach(&self) {
        self.detached.add();
    }

    /// Records the end of a detached task if there is one. Any thread; wait-free but for taking
    /// the task, which is lock-free.
    pub(crate) fn try_end(
        &self,
        end: &Completion,
        tracking: &Tracking,
        baseline: &Baseline,
    ) -> bool {
        let detached = self.detached.take();
        if detached {
            self.end_shared(end, tracking, baseline);
        }
        detached
    }

    #[inline]
    fn record<W: Writer>(
        &self,
        end: &Completion,
        tracking: &Tracking,
        baseline: &Baseline,
        publish: bool,
    ) {
        let counters = &self.counters;
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
            fast = tracking.is_fast(end.service, || baseline.of(end.capability));
            if publish && baseline.wants(counter.load(Relaxed), end.capability) {
                baseline.record(end.capability, end.service);
            }
        } else {
            // At least the worker's own mean, so that no failure makes it look better.
            latency = latency.max(tracking.penalty(baseline.overall()));
            latency = latency.max(self.latencies().mean().unwrap_or(0));
        }
        self.board.trend(self.lane).peak.record::<W>(latency, end.at);
        let total = W::push(&self.latencies, latency);
        let gained = if success { SUCCESS_GAIN } else { 0.0 };
        W::update(&counters.success_rate, |rate| rate * (1.0 - SUCCESS_GAIN) + gained);
        self.history.record::<W>(end.capability, success, fast, tracking);
        if publish {
            let mean = match total {
                Some(total) => self.latencies.mean_of(total),
                None => self.latencies.mean(),
            };
            self.publish_recent(mean, baseline);
            self.publish_history(end.capability);
        }
    }
}
