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
mod recent_keys;
mod recorder;
mod verdict;
mod work;
mod writer;

pub use board::Signals;
pub(crate) use board::{Board, Row};
pub use histogram::{Histogram, HistogramSnapshot};
pub(crate) use in_flight::Admissions;
pub use latency_ring::LatencyRing;
pub use peak::PeakLatency;
pub use recorder::SerialRecorder;

use std::sync::Arc;
use std::time::Duration;

use crate::baseline::Baseline;
use crate::{Capability, Completion, Counts, KeyAge, Outcome, Tracking};
use board::Pulse;
use history::{History, column};
use in_flight::{AllEndings, Detached};
use raddle_sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, Release},
};
use recent_keys::RecentKeys;
use work::SerialWork;
use writer::{Exclusive, Shared, Writer};

/// The statistics of one worker.
///
/// Any thread can read every figure at any time, wait-free.
#[derive(Debug)]
pub struct WorkerStats {
    /// Holds what selections read.
    row: Row,
    pub(crate) detached: Detached,
    counters: Counters,
    latencies: LatencyRing,
    history: History,
    recent_keys: RecentKeys,
    wait: Histogram,
    service: Histogram,
    tracking: Tracking,
    pub(crate) baseline: Arc<Baseline>,
    beside: Beside,
}

/// What is known of tasks that run side by side. Written by the worker, read by reports.
#[derive(Debug, Default)]
struct Beside {
    /// The part of the time in handlers that these awaited something, off the core.
    awaited: AtomicU64,
    /// Tasks that the endings count though they have not ended.
    aside: AtomicU64,
}

/// Written by the worker when a task ends, read by reports. On cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counters {
    all_endings: AllEndings,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    busy: AtomicU64,
    waited: AtomicU64,
    blocked: AtomicU64,
    is_blocked: AtomicBool,
    /// Decayed share of successes, an `f64`.
    success_rate: AtomicU64,
    /// Whether the next end must forget what came before it.
    outdated: AtomicBool,
    /// Tasks completed when everything was last forgotten.
    completed_then: AtomicU64,
}

/// The weight of one task in the success rate.
const SUCCESS_GAIN: f64 = 1.0 / 16.0;
/// A worker whose success rate is below this is failing. From a rate of 1 that takes 11 failures in
/// a row, and from 0 it takes 11 successes in a row to recover.
const FAILING_BELOW: f64 = 0.5;
/// This many of the pool's means count as latencies of each worker: a few of its own are not enough
/// to judge it by.
const PRIOR: u64 = 10;
/// The number of slow latencies in a row, or the whole window if shorter, that make a worker slow.
const SLOW_AFTER: usize = 4;

/// The last latencies of a worker, compared with the pool's mean.
enum Lately {
    /// None is longer.
    Usual,
    /// All are slow.
    Slow,
    Mixed,
}

impl WorkerStats {
    pub(crate) fn new(row: Row, tracking: Tracking, baseline: Arc<Baseline>) -> Self {
        let enabled = tracking.enabled;
        Self {
            row,
            detached: Detached::default(),
            counters: Counters {
                success_rate: AtomicU64::new(1f64.to_bits()),
                ..Counters::default()
            },
            latencies: LatencyRing::with_window(if enabled { tracking.window } else { 0 }),
            history: History::new(enabled),
            recent_keys: RecentKeys::default(),
            wait: Histogram::new(enabled),
            service: Histogram::new(enabled),
            tracking,
            baseline,
            beside: Beside::default(),
        }
    }

    /// Returns where selections read the statistics of this worker.
    pub(crate) fn row(&self) -> &Row {
        &self.row
    }

    #[inline]
    pub(crate) fn admissions(&self) -> &Admissions {
        &self.row.board.admissions[self.row.number]
    }

    #[inline]
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.row.board.pulses[self.row.number]
    }

    #[inline]
    fn peak(&self) -> &PeakLatency {
        &self.row.board.trends[self.row.number].peak
    }

    #[inline]
    pub(crate) fn work(&self) -> &SerialWork {
        &self.row.board.trends[self.row.number].work
    }

    /// Returns the number of tasks in flight: in the mailbox or in the handler. Wait-free; may be too
    /// high while others admit and end tasks, and is exact when nobody does.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        let (all, aside) = (&self.counters.all_endings, &self.beside.aside);
        self.pulse().endings.in_flight(all, aside, self.admissions())
    }

    /// Returns whether nothing is in flight but what was set aside.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.pulse().endings.has_room(&self.counters.all_endings, self.admissions())
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

    /// Returns the mean of the [latencies](Self::latencies) and ten of the pool's means, in
    /// nanoseconds, at least 1, as of a recent end; 0 before the first. Selections read this word too,
    /// so reading it takes no cache line from the worker, as reading the latencies would.
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

    /// Starts to remember the keys of the tasks that the worker is given, if it does not yet, in
    /// 1 KiB. For a strategy that reads the [age](Self::key_age) of keys, when it prepares. Allocates.
    pub fn remember_keys(&self) {
        self.recent_keys.allocate();
    }

    /// Returns how lately the worker was given a task with a key of this hash, since its actor was
    /// last restarted; `None` if it [remembers](Self::remember_keys) no keys. Wait-free. Takes
    /// one unseen key in 8,000 for another.
    #[inline]
    pub fn key_age(&self, key: u64) -> Option<KeyAge> {
        self.recent_keys.age(key)
    }

    /// Notes that the worker is given a task with this key; returns the [age](Self::key_age) before.
    #[inline]
    pub(crate) fn note_key(&self, key: u64) -> Option<KeyAge> {
        self.recent_keys.note(key)
    }

    /// Learns what a key of this age costs from a success that has just been recorded: from one in
    /// eight, and from each until the age's cost is known.
    pub(crate) fn learn_cost(&self, age: KeyAge, capability: Option<Capability>, service: u64) {
        if self.tracking.enabled {
            self.baseline.record_cost(self.completed(), capability, age, service);
        }
    }

    pub(crate) fn forget_keys(&self) {
        self.recent_keys.clear();
    }

    /// Returns the decayed share of successes among the tasks that ran: 0 to 1, and 1 at the start. At
    /// least one half when earlier failures were [refuted](Signals::has_expired).
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

    /// Returns the distribution of the times in the handler, without what it was
    /// [blocked](Self::blocked_time).
    pub fn service(&self) -> &Histogram {
        &self.service
    }

    /// Returns the total time that the handler has waited inside the runtime: for room, a reply or a
    /// drain. It is not part of the [service time](Self::service). Complete at the end of each wait.
    pub fn blocked_time(&self) -> Duration {
        Duration::from_nanos(self.counters.blocked.load(Relaxed))
    }

    /// Returns whether the handler waits inside the runtime now.
    pub fn is_blocked(&self) -> bool {
        self.counters.is_blocked.load(Relaxed)
    }

    pub(crate) fn begin_wait(&self) {
        self.counters.is_blocked.store(true, Relaxed);
    }

    pub(crate) fn end_wait(&self, nanos: u64) {
        // Only the worker's thread writes these.
        Exclusive::add(&self.counters.blocked, nanos);
        self.counters.is_blocked.store(false, Relaxed);
    }

    /// Returns the total time spent in the handler, without what it was
    /// [blocked](Self::blocked_time).
    pub fn busy_time(&self) -> Duration {
        Duration::from_nanos(self.counters.busy.load(Relaxed))
    }

    /// Returns the part of the [busy time](Self::busy_time) for which handlers were on a core: the rest
    /// they awaited something. That of handlers that run side by side adds up, so the busy time may
    /// exceed the time that has passed; this does not.
    pub fn core_time(&self) -> Duration {
        let awaited = self.beside.awaited.load(Relaxed);
        Duration::from_nanos(self.counters.busy.load(Relaxed).saturating_sub(awaited))
    }

    /// Notes that the handler of a task whose end will be recorded has awaited for this long.
    pub(crate) fn add_awaited(&self, nanos: u64) {
        // Only the worker's thread writes it.
        Exclusive::add(&self.beside.awaited, nanos);
    }

    /// Lets selections take a task that has started for ended, together with `pending` ends: the worker
    /// takes another one beside it. Returns the number of ends published so far.
    fn set_aside(&self, pending: u64) -> u64 {
        // Before the Release of the endings: whoever sees the end sees that it is none.
        Exclusive::add(&self.beside.aside, 1);
        self.pulse().endings.end_exclusive(pending + 1)
    }

    /// Ends a task that was [set aside](Self::set_aside).
    fn end_aside(&self) {
        let aside = self.beside.aside.load(Relaxed).saturating_sub(1);
        // Release pairs with the Acquire of `in_flight`: whoever sees this end sees its outcome.
        self.beside.aside.store(aside, Release);
    }

    /// Counts the tasks that were set aside as in flight for selections, too: their thread was given up,
    /// and whoever took the worker from it withdraws them.
    pub(crate) fn take_back_aside(&self) {
        let aside = self.beside.aside.load(Relaxed);
        if aside != 0 {
            let all = self.counters.all_endings.count();
            self.counters.all_endings.set(all.saturating_sub(aside));
            self.pulse().endings.take_back(aside);
            self.beside.aside.store(0, Relaxed);
        }
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

    /// Forgets what selections hold against the worker. Called by any thread.
    ///
    /// Whoever records may overwrite what is reset here with what it has just read, so the next end
    /// forgets it again.
    pub(crate) fn forget(&self) {
        self.counters.completed_then.store(self.completed(), Relaxed);
        self.counters.outdated.store(true, Relaxed);
        self.forget_words();
        self.pulse().publish_recent(None, false, false);
        self.row.board.clear_histories(self.row.number);
    }

    /// [Forgets](Self::forget), unless no task has completed since that was done last: otherwise a
    /// worker that fails again after each restart would never count as failing.
    pub(crate) fn forget_if_refuted(&self) {
        if self.completed() != self.counters.completed_then.load(Relaxed) {
            self.forget();
        }
    }

    fn completed(&self) -> u64 {
        self.counters.outcomes[Outcome::Completed as usize].load(Relaxed)
    }

    /// Resets each statistic that is a single word, as far as it counts against the worker. A
    /// success rate of one half is not failing, but with one more failure it is.
    fn forget_words(&self) {
        let rate = self.success_rate().max(FAILING_BELOW);
        self.counters.success_rate.store(rate.to_bits(), Relaxed);
        self.history.raise();
        self.peak().clear();
    }

    /// Forgets everything that counts against the worker. Called by whoever records.
    #[cold]
    fn forget_all(&self) {
        self.counters.outdated.store(false, Relaxed);
        self.forget_words();
        self.latencies.clear();
    }

    /// Forgets all but the history of a worker that was quick in the task with which it was tried
    /// again. Its history there becomes the best: a worker that has done nothing for long starts
    /// before those whose histories are averages.
    #[cold]
    fn refute(&self, column: usize) {
        self.forget_all();
        self.history.set_best(column);
    }

    /// Records the end of a task for which the caller holds a reservation. Wait-free, any thread.
    pub(crate) fn end_shared(&self, end: &Completion, retried: bool) {
        self.record::<Shared>(end, true, retried);
        if end.expected_duration != 0 {
            self.work().end_shared(end.expected_duration);
        }
        self.pulse().endings.end_shared();
        // A load suffices if it is listed: whoever unlists it synchronizes by the endings.
        if !self.row.board.idle.is_set(self.row.number) {
            self.list_if_idle();
        }
    }

    /// See [`Board::list_if_idle`].
    pub(crate) fn list_if_idle(&self) {
        self.row.board.list_if_idle(self.row.number);
    }

    /// Publishes `pending` ends; returns the number of ends published so far.
    #[cold]
    fn publish(&self, pending: u64) -> u64 {
        self.publish_recent(self.latencies.sum_and_count());
        self.pulse().endings.end_exclusive(pending)
    }

    #[inline]
    fn publish_recent(&self, (sum, count): (u64, u64)) {
        let pool = self.baseline.whole_mean();
        if pool == 0 || count == 0 {
            return self.publish_alone(sum, count);
        }
        // The pool's mean is below 2^59 and the sum below 2^63.
        let mean = (sum + pool * PRIOR) / (count + PRIOR);
        if sum > Baseline::slow(pool).saturating_mul(count) {
            return self.publish_long(mean, pool);
        }
        self.pulse().publish_recent(Some(mean), self.is_failing(), false);
    }

    /// Publishes a mean that the pool's does not enter. Before the pool has one all latencies are of
    /// failures, of which few are enough.
    #[cold]
    fn publish_alone(&self, sum: u64, count: u64) {
        self.pulse().publish_recent(sum.checked_div(count), self.is_failing(), false);
    }

    /// Publishes a mean that is slow, if the last latencies are too.
    #[cold]
    fn publish_long(&self, mean: u64, pool: u64) {
        let (mean, slow) = match self.lately() {
            Lately::Slow => (mean, true),
            // No longer slow, but not better than a worker whose mean is nearly slow.
            Lately::Usual => (mean.min(Baseline::slow(pool)), false),
            Lately::Mixed => (mean, false),
        };
        self.pulse().publish_recent(Some(mean), self.is_failing(), slow);
    }

    /// Judges the last latencies of a worker with a long mean: a single long task can make one, and a
    /// worker that has recovered still has one for a while. A slow worker remains so until a latency
    /// is usual.
    fn lately(&self) -> Lately {
        let Self { latencies, baseline, .. } = self;
        let is_usual = |latency: Option<u64>| latency.is_some_and(|it| baseline.is_usual(it));
        let is_slow = |latency: Option<u64>| latency.is_some_and(|it| baseline.is_exceeded_by(it));
        let latest = |count| latencies.latest(count);
        // First the test that reads the fewest.
        if self.pulse().is_slow() && !latest(1).all(is_usual) || latest(SLOW_AFTER).all(is_slow) {
            Lately::Slow
        } else if latest(SLOW_AFTER).all(is_usual) {
            Lately::Usual
        } else {
            Lately::Mixed
        }
    }

    #[inline]
    fn publish_history(&self, column: usize) {
        self.row.board.publish_history(self.row.number, column, self.history.get(column));
    }

    #[inline]
    fn record<W: Writer>(&self, end: &Completion, publish: bool, retried: bool) {
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
        if counters.outdated.load(Relaxed) {
            self.forget_all();
        }
        let success = end.outcome == Outcome::Completed;
        let column = column(end.capability);
        let mut latency = end.service;
        let mut fast = false;
        if success {
            if retried && baseline.is_usual(end.service) {
                self.refute(column);
            }
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
        self.history.record::<W>(column, success, fast, tracking.history_decay);
        if publish {
            self.publish_recent(match total {
                Some(total) => self.latencies.split(total),
                None => self.latencies.sum_and_count(),
            });
            self.publish_history(column);
        }
    }
}
