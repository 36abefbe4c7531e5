use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// When each task is due and how long it took from then.
#[derive(Debug)]
pub struct Board {
    begin: OnceLock<Instant>,
    due: Vec<Duration>,
    /// Nanoseconds; 0 while it is not done.
    latency: Vec<AtomicU64>,
}

/// What a run has shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Tasks that were due.
    pub given: usize,
    /// Tasks that had not ended a while after the last was due. They count as if they ended then.
    pub unfinished: usize,
    /// Percentiles: the part of the tasks that took at most so many milliseconds.
    pub percentiles: Vec<(f64, f64)>,
}

/// The percentiles in the tables.
pub const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

impl Board {
    /// With these arrivals.
    pub fn new(due: Vec<Duration>) -> Self {
        let latency = due.iter().map(|_| AtomicU64::new(0)).collect();
        Self { begin: OnceLock::new(), due, latency }
    }

    /// When the tasks are due.
    pub fn due(&self) -> &[Duration] {
        &self.due
    }

    /// The time since the start, which the first call is.
    pub fn now(&self) -> Duration {
        self.begin.get_or_init(Instant::now).elapsed()
    }

    /// Notes that a task has ended.
    pub fn ended(&self, task: u64) {
        let at = task as usize;
        let latency = self.now().saturating_sub(self.due[at]).as_nanos() as u64;
        self.latency[at].store(latency.max(1), Release);
    }

    /// What it has shown so far.
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
        // By twentieths of a nine from the median to four nines, and those in the tables.
        let nines = (7..=80).map(|twentieths| 1.0 - 0.1_f64.powf(f64::from(twentieths) / 20.0));
        let mut quantiles: Vec<f64> = nines.chain(QUANTILES).collect();
        quantiles.sort_by(f64::total_cmp);
        quantiles.dedup();
        let percentiles = quantiles
            .into_iter()
            .filter_map(|quantile| Some((quantile, at(&latencies, quantile)? as f64 / 1e6)))
            .collect();
        Sample { given: self.due.len(), unfinished, percentiles }
    }
}

impl Sample {
    /// A percentile in milliseconds.
    pub fn at(&self, quantile: f64) -> Option<f64> {
        let same = |known: f64| (known - quantile).abs() < 1e-9;
        self.percentiles.iter().find(|(known, _)| same(*known)).map(|(_, ms)| *ms)
    }
}

/// The least value that this part of the values is not above.
fn at(sorted: &[u64], quantile: f64) -> Option<u64> {
    // A hair less, as 0.9 times 10 is a hair more than 9.
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
    fn what_has_not_ended_counts_as_late_as_it_is() {
        let board = Board::new(vec![Duration::ZERO; 4]);
        board.now();
        (0..3).for_each(|task| board.ended(task));
        std::thread::sleep(Duration::from_millis(5));
        let sample = board.sample();
        assert_eq!((sample.given, sample.unfinished), (4, 1));
        assert!(sample.at(0.999).is_some_and(|ms| ms >= 5.0), "{sample:?}");
        assert!(sample.at(0.5) < sample.at(0.999));
    }
}
