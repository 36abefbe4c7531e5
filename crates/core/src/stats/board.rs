use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::history::{COLUMNS, START};
use super::idle::IdleBits;
use super::in_flight::{Admissions, Endings};
use super::peak::PeakLatency;
use super::verdict;
use super::work::SerialWork;
use raddle_sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// The statistics that selections read: a row per worker, and for the histories a column per
/// capability. Each kind of word has an array of its own, so that a strategy that reads every worker
/// traverses memory in order.
///
/// Dispatchers write the admissions, one to a cache line. Workers write the pulses, two to a line,
/// and the histories, sixteen to a line, with plain stores that nobody waits for. One pulse per
/// line would make the scan of 1,024 workers a third slower; all words of a worker on one line
/// would make its dispatchers and its thread wait for each other.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    pub(crate) admissions: Arc<[Admissions]>,
    pub(super) pulses: Arc<[Pulse]>,
    pub(super) trends: Arc<[Trend]>,
    /// `f32` by column, then row.
    histories: Arc<[AtomicU32]>,
    pub(crate) idle: IdleBits,
    /// Whether a worker has the row.
    taken: Arc<[AtomicBool]>,
    /// The number of boards before this one in its roster.
    number: usize,
}

/// A worker's row of a board, free for another worker when this is dropped.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) board: Board,
    pub(crate) number: usize,
}

impl Row {
    /// Takes a row for a worker of each weight: a free one of `boards`, the first ones first, or else
    /// one of a new board, which is pushed.
    ///
    /// A new board is at least as large as all before it together, and rows are used again. So workers
    /// that come one by one, or after others have left, are nearly as close together as those that come
    /// at once.
    pub(crate) fn take(
        boards: &mut Vec<Board>,
        weights: &[u32],
        peak_decay: Duration,
    ) -> Vec<Self> {
        let known: usize = boards.iter().map(Board::rows).sum();
        let mut rows: Vec<_> =
            boards.iter().flat_map(Board::free_rows).take(weights.len()).collect();
        let missing = weights.len() - rows.len();
        if missing > 0 {
            let board = Board::new(missing.max(known), peak_decay, boards.len());
            rows.extend(board.free_rows().take(missing));
            boards.push(board);
        }
        rows.iter().zip(weights).for_each(|(row, weight)| row.board.reset(row.number, *weight));
        rows
    }

    /// Returns what rows are ordered by: neighbours in memory are neighbours in this order.
    pub(crate) fn order(&self) -> (usize, usize) {
        (self.board.number, self.number)
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        // Loom's atomics cannot be used while a model that failed unwinds.
        if cfg!(loom) && std::thread::panicking() {
            return;
        }
        // Release pairs with the Acquire of `free_rows`: all that was written to the row, by any thread
        // that had the worker, comes before it is made as new.
        self.board.taken[self.number].store(false, Release);
    }
}

/// Written by the worker when a task starts and when it ends.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(crate) struct Pulse {
    pub(super) endings: Endings,
    /// The clock's time when the worker, having tasks, last started or ended one; 0 when unknown.
    busy_since: AtomicU64,
    /// The clock's time when it last ended its only task; 0 when unknown.
    idle_since: AtomicU64,
    /// Bit 63: [`FAILING`]. Bit 62: [`SLOW`]. Bits 0 to 61: the mean of the last latencies in
    /// nanoseconds, at least 1; 0 before the first.
    recent: AtomicU64,
}

/// Written by the worker when a task ends, like the pulse, but read by few strategies. Two to a
/// line.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct Trend {
    pub(super) work: SerialWork,
    pub(super) peak: PeakLatency,
}

/// The worker fails more often than not.
const FAILING: u64 = 1 << 63;
/// The worker is slower than its pool. A mean that does not fit below counts as the longest that
/// does, 146 years.
const SLOW: u64 = 1 << 62;

impl Board {
    fn new(rows: usize, peak_decay: Duration, number: usize) -> Self {
        Self {
            admissions: (0..rows).map(|_| Admissions::new()).collect(),
            pulses: (0..rows).map(|_| Pulse::default()).collect(),
            trends: (0..rows)
                .map(|_| Trend { work: SerialWork::default(), peak: PeakLatency::of(peak_decay) })
                .collect(),
            histories: (0..COLUMNS * rows).map(|_| AtomicU32::new(START.to_bits())).collect(),
            idle: IdleBits::new(rows),
            taken: (0..rows).map(|_| AtomicBool::new(false)).collect(),
            number,
        }
    }

    fn rows(&self) -> usize {
        self.taken.len()
    }

    /// Takes the free rows, one after the other.
    fn free_rows(&self) -> impl Iterator<Item = Row> {
        let take = |number: &usize| {
            // Acquire pairs with the Release of the drop.
            self.taken[*number].compare_exchange(false, true, Acquire, Relaxed).is_ok()
        };
        let row = |number| Row { board: self.clone(), number };
        (0..self.rows()).filter(take).map(row)
    }

    /// Makes a row as new, for another worker of this weight. No one else knows the row: who had a
    /// reference to it had one to its worker.
    fn reset(&self, row: usize, weight: u32) {
        // Relaxed: the worker is published with its roster.
        self.admissions[row].reset(weight);
        self.pulses[row].reset();
        self.trends[row].work.reset();
        self.trends[row].peak.clear();
        (0..COLUMNS).for_each(|column| self.publish_history(row, column, START.into()));
        self.idle.set(row);
    }

    /// Publishes a rounded copy of a history.
    #[inline]
    pub(super) fn publish_history(&self, row: usize, column: usize, history: f64) {
        self.histories(column)[row].store((history as f32).to_bits(), Relaxed);
    }

    /// Publishes that each history of a worker that was below the start is there again.
    pub(super) fn clear_histories(&self, row: usize) {
        for column in 0..COLUMNS {
            let history = &self.histories(column)[row];
            if f32::from_bits(history.load(Relaxed)) < START {
                history.store(START.to_bits(), Relaxed);
            }
        }
    }

    #[inline]
    fn histories(&self, column: usize) -> &[AtomicU32] {
        let rows = self.pulses.len();
        &self.histories[column * rows..][..rows]
    }

    /// Removes a worker that was found busy from the idle list, unless it is idle by now. Wait-free;
    /// called by selections. `has_recorder`, called once the bit is clear, tells whether a single
    /// thread records all ends.
    pub(crate) fn unlist(&self, row: usize, has_recorder: impl FnOnce() -> bool) {
        if !self.idle.clear(row) {
            return;
        }
        self.admissions[row].unlist();
        // A recorder synchronizes by the admissions after its plain stores, so `list_if_idle` sees
        // them or is seen.
        if !has_recorder() {
            self.pulses[row].endings.synchronize();
        }
        self.list_if_idle(row);
    }

    /// Lists a worker as idle if it is and is not listed. Wait-free. Called after ending or
    /// withdrawing a task that may have been the last in flight.
    #[inline]
    pub(crate) fn list_if_idle(&self, row: usize) {
        let admissions = &self.admissions[row];
        let admitted = admissions.synchronize();
        if admissions.is_unlisted() {
            self.list(row, admitted);
        }
    }

    #[cold]
    fn list(&self, row: usize, admitted: u64) {
        // When more have ended than were admitted then, whoever ends the last one checks later.
        if self.pulses[row].endings.count() == admitted && self.admissions[row].list() {
            self.idle.set(row);
        }
    }

    /// Whether both boards are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pulses, &other.pulses)
    }

    /// Returns the statistics in this row, for a selection by the capability of `column`.
    #[inline]
    pub(crate) fn signals_at(&self, row: usize, column: usize, named: bool) -> Signals<'_> {
        Signals {
            admissions: &self.admissions[row],
            pulse: &self.pulses[row],
            trends: &self.trends,
            row,
            history: &self.histories[column * self.pulses.len() + row],
            named,
        }
    }

    /// Like [`signals_at`](Self::signals_at), for consecutive rows.
    #[inline]
    pub(crate) fn signals(
        &self,
        rows: Range<usize>,
        column: usize,
        named: bool,
    ) -> impl Iterator<Item = Signals<'_>> {
        let words = self.admissions[rows.clone()].iter().zip(&self.pulses[rows.clone()]);
        let first = rows.start;
        let words = words.zip(&self.histories(column)[rows]).enumerate();
        words.map(move |(index, ((admissions, pulse), history))| Signals {
            admissions,
            pulse,
            trends: &self.trends,
            row: first + index,
            history,
            named,
        })
    }
}

impl Pulse {
    fn reset(&self) {
        self.endings.reset();
        for word in [&self.busy_since, &self.idle_since, &self.recent] {
            word.store(0, Relaxed);
        }
    }

    /// Notes that the worker has a task and made progress at `now`; 0 means that it has none.
    #[inline]
    pub(crate) fn set_busy_since(&self, now: u64) {
        self.busy_since.store(now, Relaxed);
    }

    /// Returns what [`set_busy_since`](Self::set_busy_since) noted last.
    pub(crate) fn busy_since(&self) -> u64 {
        self.busy_since.load(Relaxed)
    }

    /// Notes that the worker has had no task since `now`.
    pub(crate) fn set_idle_since(&self, now: u64) {
        self.idle_since.store(now, Relaxed);
    }

    /// Returns the nanoseconds since the worker, having tasks, last made progress; 0 when unknown.
    #[inline]
    pub(super) fn stalled_for(&self, now: u64) -> u64 {
        since(&self.busy_since, now)
    }

    #[inline]
    pub(crate) fn has_expired(&self, now: u64) -> bool {
        // One comparison tests that it is idle for longer than the least: a time of 0, for unknown,
        // wraps to the latest.
        let before = now.saturating_sub(verdict::LEAST + 1);
        self.idle_since.load(Relaxed).wrapping_sub(1) < before && self.has_expired_at(now)
    }

    /// Out of line to keep the scan of workers short, most of which are not idle for long.
    #[inline(never)]
    fn has_expired_at(&self, now: u64) -> bool {
        let idle = since(&self.idle_since, now);
        let recent = self.recent.load(Relaxed);
        verdict::has_expired(idle, recent & !(FAILING | SLOW), recent & FAILING != 0)
    }

    #[inline]
    pub(super) fn recent_mean(&self) -> u64 {
        self.recent.load(Relaxed) & !(FAILING | SLOW)
    }

    pub(super) fn is_slow(&self) -> bool {
        self.recent.load(Relaxed) & SLOW != 0
    }

    /// Publishes the mean of the last latencies, if there is one, whether most of the last tasks
    /// failed, and whether they took longer than the pool's.
    #[inline]
    pub(super) fn publish_recent(&self, mean: Option<u64>, failing: bool, slow: bool) {
        let mean = mean.map_or(0, |mean| mean.clamp(1, SLOW - 1));
        let flags = if failing { FAILING } else { 0 } | if slow { SLOW } else { 0 };
        self.recent.store(mean | flags, Relaxed);
    }
}

#[inline]
fn since(time: &AtomicU64, now: u64) -> u64 {
    match time.load(Relaxed) {
        0 => 0,
        time => now.saturating_sub(time),
    }
}

/// The statistics of one candidate that a selection reads, word by word and wait-free.
///
/// All times are in nanoseconds. The words are of different moments while others write them.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'r> {
    admissions: &'r Admissions,
    pulse: &'r Pulse,
    /// Indexed on demand: one more array to traverse would slow down every scan.
    trends: &'r [Trend],
    row: usize,
    history: &'r AtomicU32,
    named: bool,
}

impl Signals<'_> {
    /// [`in_flight`](Self::in_flight) is at least this if and only if the worker is closed.
    pub const CLOSED: u64 = 1 << 63;

    /// Returns the number of tasks in flight; at least [`CLOSED`](Self::CLOSED) when the worker is
    /// closed, so that it loses every comparison.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        self.pulse.endings.in_flight_or_closed(self.admissions)
    }

    /// Returns whether the worker accepts no more tasks. Compare [`in_flight`](Self::in_flight) with
    /// [`CLOSED`](Self::CLOSED) to learn both from one load.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.admissions.is_closed()
    }

    /// Returns the mean of the worker's last latencies and ten of the pool's means, at least 1, as of
    /// a recent end; 0 before the first.
    #[inline]
    pub fn recent_mean(&self) -> u64 {
        self.pulse.recent_mean()
    }

    /// Returns the [peak latency](crate::WorkerStats::peak_latency) at the clock's `now`.
    #[inline]
    pub fn peak_latency(&self, now: u64) -> Option<u64> {
        self.trends[self.row].peak.get(now)
    }

    /// Returns whether the worker [fails](crate::WorkerStats::is_failing) more often than not.
    /// Reads the same word as [`recent_mean`](Self::recent_mean).
    #[inline]
    pub fn is_failing(&self) -> bool {
        self.pulse.recent.load(Relaxed) & FAILING != 0
    }

    /// Returns whether the worker is slow: the mean of its last latencies and each of the last four
    /// exceeded three times the mean of the pool's successes, and none has been below that mean
    /// since. Reads the same word as [`recent_mean`](Self::recent_mean), of the same moment.
    #[inline]
    pub fn is_slow(&self) -> bool {
        self.pulse.is_slow()
    }

    /// Returns whether the worker [fails](Self::is_failing) or [is slow](Self::is_slow), by one load.
    #[inline]
    pub fn is_suspect(&self) -> bool {
        self.pulse.recent.load(Relaxed) & (FAILING | SLOW) != 0
    }

    /// Returns for how long a worker that has tasks has neither started nor ended one; 0 when
    /// unknown.
    #[inline]
    pub fn stalled_for(&self, now: u64) -> u64 {
        self.pulse.stalled_for(now)
    }

    /// Returns for how long a worker without tasks has had none; 0 when unknown.
    #[inline]
    pub fn idle_for(&self, now: u64) -> u64 {
        since(&self.pulse.idle_since, now)
    }

    /// Returns whether an idle worker has had no task for so long, at the clock's `now`, that what
    /// counts against it no longer holds: for a hundred times its mean latency (ten times if it
    /// [fails](Self::is_failing)), and at least a tenth of a second. `false` when unknown.
    ///
    /// Strategies then try it again. If the task succeeds in no more than the pool's mean, the
    /// worker's statistics forget what was recorded before.
    #[inline]
    pub fn has_expired(&self, now: u64) -> bool {
        self.pulse.has_expired(now)
    }

    /// Estimates the work ahead of the worker at the clock's `now`: how long the next task would
    /// wait. [`u64::MAX`] when the worker is closed.
    ///
    /// The estimate is the sum of the expected durations in flight, with `mean` for each task that
    /// has none, adjusted for the running task:
    ///
    /// - If the worker [notes](crate::SerialRecorder::set_running) its expected duration, the time that it
    ///   has run is subtracted, up to that duration. A longer run is expected to take as long
    ///   again, so the overrun is added.
    /// - Otherwise it is assumed to take the average of the tasks in flight, and only the time
    ///   beyond that is added.
    /// - Without a `mean`, a task without an expected duration counts as 1, and time is ignored.
    ///
    /// Wait-free. While others admit and end tasks, the estimate may miss a task admitted during the
    /// call, and may still count what ended during it. It is never less than what remains of the
    /// running task, and exact when nobody writes.
    #[inline]
    pub fn work_ahead(&self, now: u64, mean: Option<u64>) -> u64 {
        match self.in_flight() {
            0 => 0,
            Self::CLOSED.. => u64::MAX,
            in_flight => {
                let elapsed = || self.stalled_for(now);
                self.trends[self.row].work.ahead(self.admissions, in_flight, elapsed, mean)
            }
        }
    }

    /// Returns the worker's [history](crate::WorkerStats::history) with the requested capability.
    #[inline]
    pub fn history(&self) -> f32 {
        f32::from_bits(self.history.load(Relaxed))
    }

    /// Returns the worker's [weight](crate::Worker::weight), at least 1.
    #[inline]
    pub fn weight(&self) -> u32 {
        self.admissions.weight()
    }

    /// Returns whether the worker names the requested capability, and is not just a generalist.
    #[inline]
    pub fn names_capability(&self) -> bool {
        self.named
    }
}
