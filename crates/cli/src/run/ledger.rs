//! The measurements of the workers: written without locks, read after they have stopped.

use std::time::{Duration, Instant};

use raddle::nanos;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The latency and overrun of each task, and a tally per worker.
#[derive(Debug)]
pub struct Ledger {
    start: Instant,
    latencies: Box<[AtomicU64]>,
    overruns: Box<[AtomicU64]>,
    tallies: Box<[Tally]>,
}

/// The work of one worker, the only writer.
#[derive(Debug, Default)]
struct Tally {
    completed: AtomicU64,
    cut_short: AtomicU64,
    busy_ns: AtomicU64,
    service_ns: AtomicU64,
    overrun_ns: AtomicU64,
    last_end_ns: AtomicU64,
}

/// The times of a completed task.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// When it arrived.
    pub due: Instant,
    /// When its worker began.
    pub begin: Instant,
    /// When its worker should have ended: after the service time.
    pub until: Instant,
    /// When its worker ended, which cannot be exact.
    pub end: Instant,
}

/// The latency of a task that has not completed.
const OPEN: u64 = u64::MAX;

impl Ledger {
    /// Creates a ledger of this size; the run starts now.
    pub fn new(tasks: usize, workers: usize) -> Self {
        Self {
            start: Instant::now(),
            latencies: (0..tasks).map(|_| AtomicU64::new(OPEN)).collect(),
            overruns: (0..tasks).map(|_| AtomicU64::new(OPEN)).collect(),
            tallies: (0..workers).map(|_| Tally::default()).collect(),
        }
    }

    /// Returns when the run started.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Records that `worker` completed `task`.
    pub fn complete(&self, worker: usize, task: usize, served: Served) {
        let Served { due, begin, until, end } = served;
        let between = |from: Instant, to: Instant| nanos(to.saturating_duration_since(from));
        self.latencies[task].store(between(due, end), Relaxed);
        self.overruns[task].store(between(until, end), Relaxed);
        let tally = &self.tallies[worker];
        tally.completed.fetch_add(1, Relaxed);
        tally.busy_ns.fetch_add(between(begin, end), Relaxed);
        tally.service_ns.fetch_add(between(begin, until), Relaxed);
        tally.overrun_ns.fetch_add(between(until, end), Relaxed);
        tally.last_end_ns.store(between(self.start, end), Relaxed);
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
        known(&self.latencies)
    }

    /// Returns by how many nanoseconds workers exceeded the service times of completed tasks.
    pub fn overruns(&self) -> Vec<u64> {
        known(&self.overruns)
    }

    /// Returns the sum of the overruns as a fraction of the service times; 0 if these are 0.
    pub fn overrun_share(&self) -> f64 {
        let sum = |of: fn(&Tally) -> &AtomicU64| -> u64 {
            self.tallies.iter().map(|tally| of(tally).load(Relaxed)).sum()
        };
        let (overrun, service) = (sum(|tally| &tally.overrun_ns), sum(|tally| &tally.service_ns));
        if service > 0 { overrun as f64 / service as f64 } else { 0.0 }
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

/// The values of the tasks that have completed.
fn known(all: &[AtomicU64]) -> Vec<u64> {
    all.iter().map(|one| one.load(Relaxed)).filter(|one| *one != OPEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_sums_the_tallies_of_all_workers() {
        let ledger = Ledger::new(4, 2);
        let at = |ms| ledger.start() + Duration::from_millis(ms);
        let served = |due, begin, until, end| Served {
            due: at(due),
            begin: at(begin),
            until: at(until),
            end: at(end),
        };
        ledger.complete(0, 0, served(0, 1, 4, 5));
        ledger.complete(1, 3, served(2, 2, 10, 10));
        ledger.complete(1, 1, served(0, 10, 19, 20));
        ledger.cut_short(0);
        assert_eq!((ledger.completed(), ledger.stopped()), (3, 1));
        assert_eq!(ledger.latencies(), [5_000_000, 20_000_000, 8_000_000]);
        assert_eq!(ledger.overruns(), [1_000_000, 1_000_000, 0]);
        assert_eq!(ledger.overrun_share(), 2.0 / 20.0);
        assert_eq!(ledger.makespan(), Duration::from_millis(20));
        assert_eq!(ledger.utilisation(), (4.0 + 18.0) / 40.0);
        assert_eq!(ledger.shares().collect::<Vec<_>>(), [1.0 / 3.0, 2.0 / 3.0]);
    }

    #[test]
    fn an_empty_ledger_does_not_divide_by_zero() {
        let ledger = Ledger::new(1, 1);
        assert_eq!((ledger.utilisation(), ledger.shares().sum::<f64>()), (0.0, 0.0));
        assert!(ledger.latencies().is_empty() && ledger.overrun_share() == 0.0);
    }
}
