use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::history::{PLACES, START, place};
use super::idle::IdleBits;
use super::in_flight::{Admissions, Endings};
use super::peak::PeakLatency;
use super::work::Work;
use crate::Capability;
use raddle_sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What selections read of workers that were made together: each kind of word in an array of its
/// own, by lane, so that a strategy which looks at all of them walks through memory in order.
///
/// Dispatchers write the admissions, a cache line each. The workers write the pulses, two to a
/// line, and the histories, sixteen to a line, with plain stores that nobody waits for. A line a
/// pulse would cost the scan of 1,024 workers a third more, all words of a worker on one line
/// would make its dispatchers and its thread wait for each other.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    admissions: Arc<[Admissions]>,
    pulses: Arc<[Pulse]>,
    trends: Arc<[Trend]>,
    /// `f32` by place and lane.
    histories: Arc<[AtomicU32]>,
    idle: IdleBits,
}

/// Written by the worker at the start and the end of a task.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct Pulse {
    pub(super) endings: Endings,
    /// The clock when the worker, having tasks, last started or ended one; 0 when unknown.
    busy_since: AtomicU64,
    /// The clock when it last ended one and had no other; 0 when unknown.
    idle_since: AtomicU64,
    /// The top bits: [`FAILING`] and [`SLOW`]. The others: the mean of the last latencies, at least 1;
    /// 0 while there is none.
    recent: AtomicU64,
}

/// Written by the worker at the end of a task, like the pulse, and read by few strategies: two to a
/// line.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct Trend {
    pub(super) work: Work,
    pub(super) peak: PeakLatency,
}

/// The bit of the recent word that says: fails more often than not.
const FAILING: u64 = 1 << 63;
/// The one that says: slower than its pool. A longer mean counts as the longest below, 146 years.
const SLOW: u64 = 1 << 62;

/// No open worker has so many tasks.
const CLOSED_IN_FLIGHT: u64 = 1 << 62;

impl Board {
    /// A board of a lane for each of these weights.
    pub(crate) fn new(weights: impl IntoIterator<Item = u32>, peak_decay: Duration) -> Self {
        let admissions: Arc<[_]> = weights.into_iter().map(Admissions::new).collect();
        let lanes = admissions.len();
        Self {
            admissions,
            pulses: (0..lanes).map(|_| Pulse::new()).collect(),
            trends: (0..lanes)
                .map(|_| Trend { work: Work::new(), peak: PeakLatency::of(peak_decay) })
                .collect(),
            histories: (0..PLACES * lanes).map(|_| AtomicU32::new(START.to_bits())).collect(),
            idle: IdleBits::new(lanes),
        }
    }

    #[inline]
    pub(crate) fn admissions(&self, lane: usize) -> &Admissions {
        &self.admissions[lane]
    }

    #[inline]
    pub(super) fn pulse(&self, lane: usize) -> &Pulse {
        &self.pulses[lane]
    }

    #[inline]
    pub(super) fn trend(&self, lane: usize) -> &Trend {
        &self.trends[lane]
    }

    /// Publishes a history, which the worker keeps exactly.
    #[inline]
    pub(super) fn publish_history(&self, lane: usize, capability: Option<Capability>, h: f64) {
        self.histories(place(capability))[lane].store((h as f32).to_bits(), Relaxed);
    }

    #[inline]
    fn histories(&self, place: usize) -> &[AtomicU32] {
        let lanes = self.pulses.len();
        &self.histories[place * lanes..][..lanes]
    }

    /// Which of the workers of this word are listed as idle. One that was given a task since may
    /// be listed still; one that is idle is listed, or on the way to it.
    #[inline]
    pub(crate) fn listed(&self, word: usize) -> u64 {
        self.idle.word(word)
    }

    /// Whether the worker in this lane is listed as idle.
    #[inline]
    pub(super) fn is_listed(&self, lane: usize) -> bool {
        self.idle.is_set(lane)
    }

    /// Lists the worker in this lane as idle, whether it is or not.
    pub(super) fn list_anyhow(&self, lane: usize) {
        self.idle.set(lane);
    }

    /// Takes a worker that was found to have something in flight off the list of the idle, unless
    /// it is idle by now. Wait-free; by who picks. Whether one thread alone records the ends is
    /// asked once the worker is off the list.
    pub(super) fn unlist(&self, lane: usize, is_recorded_by_one: impl FnOnce() -> bool) {
        if !self.idle.clear(lane) {
            return;
        }
        self.admissions[lane].unlist();
        // One's plain stores are seen by the look at the admissions, as that one looks there too.
        if !is_recorded_by_one() {
            self.pulses[lane].endings.look();
        }
        self.list_if_idle(lane);
    }

    /// Lists a worker as idle if it is and was not. Wait-free. To be called by whoever has ended a
    /// task or withdrawn one, where that may have been the last in flight.
    #[inline]
    pub(crate) fn list_if_idle(&self, lane: usize) {
        let admissions = &self.admissions[lane];
        let admitted = admissions.look();
        if admissions.is_unlisted() {
            self.list(lane, admitted);
        }
    }

    #[cold]
    fn list(&self, lane: usize, admitted: u64) {
        // More may have ended than were admitted at the look: then who ends the last looks later.
        if self.pulses[lane].endings.count() == admitted && self.admissions[lane].list() {
            self.idle.set(lane);
        }
    }

    /// Whether both are of the same workers.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pulses, &other.pulses)
    }

    /// What a selection for a capability's place reads of the worker in this lane.
    #[inline]
    pub(crate) fn signals_at(&self, lane: usize, place: usize, named: bool) -> Signals<'_> {
        Signals {
            admissions: &self.admissions[lane],
            pulse: &self.pulses[lane],
            trends: &self.trends,
            lane,
            history: &self.histories[place * self.pulses.len() + lane],
            named,
        }
    }

    /// The same of the workers in these lanes.
    #[inline]
    pub(crate) fn signals(
        &self,
        lanes: Range<usize>,
        place: usize,
        named: bool,
    ) -> impl Iterator<Item = Signals<'_>> {
        let words = self.admissions[lanes.clone()].iter().zip(&self.pulses[lanes.clone()]);
        let first = lanes.start;
        let words = words.zip(&self.histories(place)[lanes]).enumerate();
        words.map(move |(index, ((admissions, pulse), history))| Signals {
            admissions,
            pulse,
            trends: &self.trends,
            lane: first + index,
            history,
            named,
        })
    }
}

impl Pulse {
    fn new() -> Self {
        Self {
            endings: Endings::new(),
            busy_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            recent: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn set_busy_since(&self, now: u64) {
        self.busy_since.store(now, Relaxed);
    }

    pub(super) fn set_idle_since(&self, now: u64) {
        self.idle_since.store(now, Relaxed);
    }

    /// Nanoseconds since the worker, having tasks, last made progress; 0 when unknown.
    #[inline]
    pub(super) fn stalled_for(&self, now: u64) -> u64 {
        since(&self.busy_since, now)
    }

    #[inline]
    pub(super) fn recent_mean(&self) -> u64 {
        self.recent.load(Relaxed) & !(FAILING | SLOW)
    }

    /// Publishes how the last tasks went: the mean of their latencies, where there is one, whether
    /// most of them failed, and whether they took longer than the pool's.
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

/// What a selection reads of one candidate, word by word and wait-free.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'r> {
    admissions: &'r Admissions,
    pulse: &'r Pulse,
    /// Looked up by who reads it: a further walk through memory costs also who does not.
    trends: &'r [Trend],
    lane: usize,
    history: &'r AtomicU32,
    named: bool,
}

impl Signals<'_> {
    /// Tasks in flight; more than any worker can have when the worker is closed.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        self.pulse.endings.in_flight_or_closed(self.admissions)
    }

    /// The mean of the worker's last latencies in nanoseconds, at least 1, as of a recent one;
    /// 0 before the first.
    #[inline]
    pub fn recent_mean(&self) -> u64 {
        self.pulse.recent_mean()
    }

    /// As [`WorkerStats::peak_latency`](crate::WorkerStats::peak_latency).
    #[inline]
    pub fn peak_latency(&self, now: u64) -> Option<u64> {
        self.trends[self.lane].peak.get(now)
    }

    /// Whether the worker fails more often than not, as
    /// [`WorkerStats::is_failing`](crate::WorkerStats::is_failing); in the same word as the
    /// [recent mean](Self::recent_mean).
    #[inline]
    pub fn is_failing(&self) -> bool {
        self.pulse.recent.load(Relaxed) & FAILING != 0
    }

    /// Whether the worker takes more than three times as long as its pool: the mean of its last
    /// latencies and each of the last four, beside the mean of the pool's successes. In the same word
    /// as the [recent mean](Self::recent_mean), and of the same moment.
    #[inline]
    pub fn is_slow(&self) -> bool {
        self.pulse.recent.load(Relaxed) & SLOW != 0
    }

    /// Whether the worker [fails](Self::is_failing) or [is slow](Self::is_slow), by one load.
    #[inline]
    pub fn is_suspect(&self) -> bool {
        self.pulse.recent.load(Relaxed) & (FAILING | SLOW) != 0
    }

    /// For how many nanoseconds a worker that has tasks has neither started nor ended one; 0 when
    /// unknown.
    #[inline]
    pub fn stalled_for(&self, now: u64) -> u64 {
        self.pulse.stalled_for(now)
    }

    /// For how many nanoseconds a worker without tasks has had none; 0 when unknown.
    #[inline]
    pub fn idle_for(&self, now: u64) -> u64 {
        since(&self.pulse.idle_since, now)
    }

    /// The work ahead of the worker in nanoseconds, at the clock's `now`: how long a task that it
    /// is given has to wait, as far as sizes tell; [`u64::MAX`] when the worker is closed.
    ///
    /// The sizes in flight, and `mean` for each task without one. Off go the nanoseconds for which
    /// the running task has run, where the worker [tells its size](crate::Recorder::run) and it
    /// has run no longer than that. Who runs longer is expected to take as long again: the overrun
    /// counts, and grows. Where the running task's size is not told it is taken for the mean of
    /// those in flight, and time only counts where it exceeds that. While there is no mean, a task
    /// without a size counts as 1, and no time with it.
    ///
    /// Wait-free. Read while others admit and end tasks, the words are of different moments: the
    /// answer may miss what was admitted while it was read, and may still count what was ended or
    /// done meanwhile. It is never below what the words say is left of the running task, and exact
    /// when nobody does.
    #[inline]
    pub fn work_ahead(&self, now: u64, mean: Option<u64>) -> u64 {
        match self.in_flight() {
            0 => 0,
            in_flight if in_flight >= CLOSED_IN_FLIGHT => u64::MAX,
            in_flight => {
                let elapsed = || self.stalled_for(now);
                self.trends[self.lane].work.ahead(self.admissions, in_flight, elapsed, mean)
            }
        }
    }

    /// How well the worker has done with the capability that was asked for, as
    /// [`WorkerStats::history`](crate::WorkerStats::history).
    #[inline]
    pub fn history(&self) -> f32 {
        f32::from_bits(self.history.load(Relaxed))
    }

    /// The worker's share where weights count, as [`Worker::weight`](crate::Worker::weight) but
    /// at least 1.
    #[inline]
    pub fn weight(&self) -> u32 {
        self.admissions.weight()
    }

    /// Whether the worker has the very capability that these are the candidates for.
    #[inline]
    pub fn is_named(&self) -> bool {
        self.named
    }
}
