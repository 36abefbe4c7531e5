//! The measurements of the workers: written without locks, read after they have stopped.

use std::time::{Duration, Instant};

use raddle::nanos;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The latency of each task, and a tally per worker.
#[derive(Debug)]
pub struct Ledger {
    start: Instant,
    latencies: Box<[AtomicU64]>,
    tallies: Box<[Tally]>,
}

/// The work of one worker, the only writer.
#[derive(Debug, Default)]
struct Tally {
    completed: AtomicU64,
    cut_short: AtomicU64,
    busy_ns: AtomicU64,
    last_end_ns: AtomicU64,
}

/// The latency of a task that has not completed.
const OPEN: u64 = u64::MAX;

impl Ledger {
    /// Creates a ledger of this size; the run starts now.
    pub fn new(tasks: usize, workers: usize) -> Self {
        Self {
            start: Instant::now(),
            latencies: (0..tasks).map(|_| AtomicU64::new(OPEN)).collect(),
            tallies: (0..workers).map(|_| Tally::default()).collect(),
        }
    }

    /// Returns when the run started.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Records that `worker` completed `task`, which arrived at `due`.
    pub fn complete(&self, worker: usize, task: usize, due: Instant, begin: Instant, end: Instant) {
        self.latencies[task].store(nanos(end.saturating_duration_since(due)), Relaxed);
        let tally = &self.tallies[worker];
        tally.completed.fetch_add(1, Relaxed);
        tally.busy_ns.fetch_add(nanos(end.saturating_duration_since(begin)), Relaxed);
        tally.last_end_ns.store(nanos(end.saturating_duration_since(self.start)), Relaxed);
    }

    /// Records that `worker` was stopped during a task.
    pub fn cut_short(&self, worker: usize) {
        self.tallies[worker].cut_short.fetch_add(1, Relaxed);
    }

    /// Returns the number of completed tasks.
    pub fn completed(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.completed.load(Relaxed)).sum()
    }

    /// Returns the number of tasks that were stopped.
    pub fn stopped(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.cut_short.load(Relaxed)).sum()
    }

    /// Returns the latencies of completed tasks in nanoseconds.
    pub fn latencies(&self) -> Vec<u64> {
        let all = self.latencies.iter().map(|latency| latency.load(Relaxed));
        all.filter(|latency| *latency != OPEN).collect()
    }

    /// Returns the time from the start to the last completion.
    pub fn makespan(&self) -> Duration {
        let ends = self.tallies.iter().map(|tally| tally.last_end_ns.load(Relaxed));
        Duration::from_nanos(ends.max().unwrap_or(0))
    }

    /// Returns the fraction of the makespan in which workers were busy; 0 if there was no task.
    pub fn utilisation(&self) -> f64 {
        let busy: u64 = self.tallies.iter().map(|tally| tally.busy_ns.load(Relaxed)).sum();
        let available = self.makespan().as_nanos() as f64 * self.tallies.len() as f64;
        if available > 0.0 { busy as f64 / available } else { 0.0 }
    }

    /// Returns each worker's share of completed tasks; 0 for all if there are none.
    pub fn shares(&self) -> impl Iterator<Item = f64> {
        let all = self.completed().max(1) as f64;
        self.tallies.iter().map(move |tally| tally.completed.load(Relaxed) as f64 / all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_sums_the_tallies_of_all_workers() {
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
    fn an_empty_ledger_does_not_divide_by_zero() {
        let ledger = Ledger::new(1, 1);
        assert_eq!((ledger.utilisation(), ledger.shares().sum::<f64>()), (0.0, 0.0));
        assert!(ledger.latencies().is_empty());
    }
}
