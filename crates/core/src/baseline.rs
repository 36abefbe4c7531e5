use crate::Capability;
use crate::stats::history::{COLUMNS, column};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The moving mean of the successes of a pool, overall and by capability: what its workers are
/// compared with.
///
/// All workers of a pool share it, so it is written rarely (by one success in eight of each worker),
/// and concurrent updates may be lost.
#[derive(Debug)]
pub struct Baseline {
    overall: AtomicU64,
    by_capability: Box<[AtomicU64]>,
    newest: Newest,
}

/// Read by selections, written when a worker enters service; on a cache line that no success writes.
#[derive(Debug)]
#[repr(align(64))]
struct Newest(AtomicU64);

/// One in this many successes of a worker enters the baseline: writing a line that all workers share
/// costs each of them a cache miss.
const SAMPLED: u64 = 8;
/// The weight of a sample.
const GAIN: f64 = 1.0 / 16.0;
const UNKNOWN: u64 = 0;
/// A latency above this many times the pool's mean is slow.
const SLOW: f64 = 3.0;

impl Baseline {
    pub(crate) fn new() -> Self {
        Self {
            overall: AtomicU64::new(UNKNOWN),
            by_capability: (0..COLUMNS).map(|_| AtomicU64::new(UNKNOWN)).collect(),
            newest: Newest(AtomicU64::new(0)),
        }
    }

    /// Returns the clock's time when any worker of the pool, including those that have left, last
    /// [entered service](crate::Worker::in_service_since). Wait-free: one load.
    #[inline]
    pub fn newest_since(&self) -> u64 {
        self.newest.0.load(Relaxed)
    }

    /// Notes that a worker has entered service at the clock's `now`.
    pub(crate) fn entered_service(&self, now: u64) {
        self.newest.0.fetch_max(now, Relaxed);
    }

    /// Returns the mean service time of the pool's successes in nanoseconds; `None` before the first.
    #[inline]
    pub fn mean(&self) -> Option<f64> {
        known(&self.overall)
    }

    /// Returns the [mean](Self::mean) over the tasks that named `capability`, or no capability.
    #[inline]
    pub fn mean_for(&self, capability: Option<Capability>) -> Option<f64> {
        known(&self.by_capability[column(capability)])
    }

    /// Whether a latency is slow in this pool.
    #[inline]
    pub(crate) fn is_exceeded_by(&self, latency: u64) -> bool {
        self.mean().is_some_and(|mean| latency as f64 > SLOW * mean)
    }

    /// Whether a worker's success with this ordinal number should be recorded: one in eight, and
    /// every one until the mean is known.
    #[inline]
    pub(crate) fn wants(&self, ordinal: u64, capability: Option<Capability>) -> bool {
        ordinal.is_multiple_of(SAMPLED) || self.mean_for(capability).is_none()
    }

    pub(crate) fn record(&self, capability: Option<Capability>, service: u64) {
        move_mean(&self.overall, service);
        move_mean(&self.by_capability[column(capability)], service);
    }
}

#[inline]
fn known(mean: &AtomicU64) -> Option<f64> {
    match mean.load(Relaxed) {
        UNKNOWN => None,
        bits => Some(f64::from_bits(bits)),
    }
}

fn move_mean(mean: &AtomicU64, service: u64) {
    // Zero would mean UNKNOWN.
    let sample = (service as f64).max(1.0);
    let next = known(mean).map_or(sample, |mean| mean + (sample - mean) * GAIN);
    mean.store(next.to_bits(), Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_mean_starts_at_the_first_sample_and_follows() {
        let baseline = Baseline::new();
        let a = Some(Capability::intern("baseline-a").unwrap());
        assert_eq!((baseline.mean(), baseline.mean_for(a)), (None, None));
        assert!(baseline.wants(5, a));
        baseline.record(a, 1_600);
        assert_eq!((baseline.mean(), baseline.mean_for(None)), (Some(1_600.0), None));
        assert!(!baseline.wants(5, a) && baseline.wants(16, a) && baseline.wants(5, None));
        baseline.record(a, 0);
        assert!((baseline.mean_for(a).unwrap() - 1500.0625).abs() < 1e-9);
    }

    #[test]
    fn a_latency_above_three_times_the_mean_is_slow() {
        let baseline = Baseline::new();
        assert!(!baseline.is_exceeded_by(u64::MAX), "no mean is known yet");
        baseline.record(None, 100);
        assert_eq!([299, 300, 301].map(|it| baseline.is_exceeded_by(it)), [false, false, true]);
    }
}
