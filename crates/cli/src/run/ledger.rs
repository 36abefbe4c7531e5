//! What the workers measured: written without a lock, read when they are gone.

use std::time::{Duration, Instant};

use raddle::core::nanos;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A place for the latency of each task, and a tally for each worker.
#[derive(Debug)]
pub struct Ledger {
    start: Instant,
    latencies: Box<[AtomicU64]>,
    tallies: Box<[Tally]>,
}

/// What one worker did; it alone writes here.
#[derive(Debug, Default)]
struct Tally {
    completed: AtomicU64,
    cut_short: AtomicU64,
    busy_ns: AtomicU64,
    last_end_ns: AtomicU64,
}

/// No latency yet.
const OPEN: u64 = u64::MAX;

impl Ledger {
    /// Room for `tasks` tasks and `workers` workers; time counts from now.
    pub fn new(tasks: usize, workers: usize) -> Self {
        Self {
            start: Instant::now(),
            latencies: (0..tasks).map(|_| AtomicU64::new(OPEN)).collect(),
            tallies: (0..workers).map(|_| Tally::default()).collect(),
        }
    }

    /// When the run started.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// `worker` has finished `task`, which was due at `due`.
    pub fn complete(&self, worker: usize, task: usize, due: Instant, begin: Instant, end: Instant) {
        self.latencies[task].store(nanos(end.saturating_duration_since(due)), Relaxed);
        let tally = &self.tallies[worker];
        tally.completed.fetch_add(1, Relaxed);
        tally.busy_ns.fetch_add(nanos(end.saturating_duration_since(begin)), Relaxed);
        tally.last_end_ns.store(nanos(end.saturating_duration_since(self.start)), Relaxed);
    }

    /// `worker` was stopped in the middle of a task, or before it.
    pub fn cut_short(&self, worker: usize) {
        self.tallies[worker].cut_short.fetch_add(1, Relaxed);
    }

    /// How many tasks were completed.
    pub fn completed(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.completed.load(Relaxed)).sum()
    }

    /// How many tasks were stopped.
    pub fn stopped(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.cut_short.load(Relaxed)).sum()
    }

    /// The latencies of the completed tasks in nanoseconds.
    pub fn latencies(&self) -> Vec<u64> {
        let all = self.latencies.iter().map(|latency| latency.load(Relaxed));
        all.filter(|latency| *latency != OPEN).collect()
    }

    /// From the start to the last completion.
    pub fn makespan(&self) -> Duration {
        let ends = self.tallies.iter().map(|tally| tally.last_end_ns.load(Relaxed));
        Duration::from_nanos(ends.max().unwrap_or(0))
    }

    /// The share of the makespan in which the workers were busy; 0 when nothing was done.
    pub fn utilisation(&self) -> f64 {
        let busy: u64 = self.tallies.iter().map(|tally| tally.busy_ns.load(Relaxed)).sum();
        let available = self.makespan().as_nanos() as f64 * self.tallies.len() as f64;
        if available > 0.0 { busy as f64 / available } else { 0.0 }
    }

    /// Each worker's share of the completed tasks; 0 for all when there are none.
    pub fn shares(&self) -> impl Iterator<Item = f64> {
        let all = self.completed().max(1) as f64;
        self.tallies.iter().map(move |tally| tally.completed.load(Relaxed) as f64 / all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_adds_up_what_the_workers_did() {
        let ledger = Ledger::new(4, 2);
        let at = |ms| ledger.start() + Duration::from_millis(ms);
        ledger.complete(0, 0, at(0), at(1), at(5));
        ledger.complete(1, 3, at(2), at(2), at(10));
        ledger.complete(1, 1, at(0), at(10), at(20));
        ledger.cut_short(0);
        assert_eq!((ledger.completed(), ledger.stopped()), (3, 1));
        assert_eq!(ledger.latencies(), [5_000_000, 20_000_000, 8_000_000]);
        assert_eq!(ledger.makespan(), Duration::from_millis(20));
        assert_eq!(ledger.utilisation(), (4.0 + 18.0) / 40.0);
        assert_eq!(ledger.shares().collect::<Vec<_>>(), [1.0 / 3.0, 2.0 / 3.0]);
    }

    #[test]
    fn nothing_done_is_no_division_by_zero() {
        let ledger = Ledger::new(1, 1);
        assert_eq!((ledger.utilisation(), ledger.shares().sum::<f64>()), (0.0, 0.0));
        assert!(ledger.latencies().is_empty());
    }
}
