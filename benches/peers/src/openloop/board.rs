use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// When each task is due, and its latency.
#[derive(Debug)]
pub struct Board {
    begin: OnceLock<Instant>,
    due: Vec<Duration>,
    /// Nanoseconds; 0 until the task has ended.
    latency: Vec<AtomicU64>,
}

/// The measurement of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The number of tasks.
    pub submitted: usize,
    /// The number of tasks that had not ended one second after the last was due. They count as if
    /// they had ended then.
    pub unfinished: usize,
    /// Quantiles and their latencies in milliseconds.
    pub percentiles: Vec<(f64, f64)>,
}

/// The quantiles in the tables.
pub const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

impl Board {
    /// Creates a board for these arrivals.
    pub fn new(due: Vec<Duration>) -> Self {
        let latency = due.iter().map(|_| AtomicU64::new(0)).collect();
        Self { begin: OnceLock::new(), due, latency }
    }

    /// Returns when the tasks are due.
    pub fn due(&self) -> &[Duration] {
        &self.due
    }

    /// Returns the time since the first call.
    pub fn now(&self) -> Duration {
        self.begin.get_or_init(Instant::now).elapsed()
    }

    /// Records that a task has ended.
    pub fn ended(&self, task: u64) {
        let at = task as usize;
        let latency = self.now().saturating_sub(self.due[at]).as_nanos() as u64;
        self.latency[at].store(latency.max(1), Release);
    }

    /// Returns the measurement so far.
    pub fn sample(&self) -> Sample {
        let now = self.now();
        let mut unfinished = 0;
        let mut latencies: Vec<u64> = self
            .latency
            .iter()
            .zip(&self.due)
            .map(|(latency, due)| match latency.load(Acquire) {
                0 => {
                    unfinished += 1;
                    now.saturating_sub(*due).as_nanos() as u64
                }
                latency => latency,
            })
            .collect();
        latencies.sort_unstable();
        // Twentieths of a nine from about the median to four nines, and those in the tables.
        let nines = (7..=80).map(|twentieths| 1.0 - 0.1_f64.powf(f64::from(twentieths) / 20.0));
        let mut quantiles: Vec<f64> = nines.chain(QUANTILES).collect();
        quantiles.sort_by(f64::total_cmp);
        quantiles.dedup();
        let percentiles = quantiles
            .into_iter()
            .filter_map(|quantile| Some((quantile, at(&latencies, quantile)? as f64 / 1e6)))
            .collect();
        Sample { submitted: self.due.len(), unfinished, percentiles }
    }
}

impl Sample {
    /// Returns the latency at a quantile in milliseconds.
    pub fn at(&self, quantile: f64) -> Option<f64> {
        let same = |known: f64| (known - quantile).abs() < 1e-9;
        self.percentiles.iter().find(|(known, _)| same(*known)).map(|(_, ms)| *ms)
    }
}

/// The value at the nearest rank.
fn at(sorted: &[u64], quantile: f64) -> Option<u64> {
    // Slightly less, because of rounding errors: 10 * 0.9 could be more than 9.
    let rank = (sorted.len() as f64 * quantile - 1e-6).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<u64> = (1..=10).collect();
        assert_eq!(at(&values, 0.5), Some(5));
        assert_eq!(at(&values, 0.9), Some(9));
        assert_eq!(at(&values, 0.99), Some(10));
        assert_eq!(at(&[], 0.5), None);
    }

    #[test]
    fn unfinished_tasks_count_with_their_latency_so_far() {
        let board = Board::new(vec![Duration::ZERO; 4]);
        board.now();
        (0..3).for_each(|task| board.ended(task));
        std::thread::sleep(Duration::from_millis(5));
        let sample = board.sample();
        assert_eq!((sample.submitted, sample.unfinished), (4, 1));
        assert!(sample.at(0.999).is_some_and(|ms| ms >= 5.0), "{sample:?}");
        assert!(sample.at(0.5) < sample.at(0.999));
    }
}
