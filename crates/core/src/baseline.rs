use crate::Capability;
use crate::stats::history::{PLACES, place};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is normal in a pool: the moving mean of its successes, by capability and in all.
///
/// The workers of a pool share it, so it is written seldom (one success in eight of each worker),
/// and an update that meets another may be lost.
#[derive(Debug)]
pub struct Baseline {
    overall: AtomicU64,
    by_capability: Box<[AtomicU64]>,
    newest: Newest,
}

/// Read by selections, written when a worker enters service; on a line that no success writes.
#[derive(Debug)]
#[repr(align(64))]
struct Newest(AtomicU64);

/// Of a worker's successes this one in how many enters the baseline: a line that all workers
/// write costs each of them a cache miss.
const SAMPLED: u64 = 8;
/// The weight of a sample.
const GAIN: f64 = 1.0 / 16.0;
const UNKNOWN: u64 = 0;
/// So many times the pool's mean is slow.
const SLOW: f64 = 3.0;

impl Baseline {
    pub(crate) fn new() -> Self {
        Self {
            overall: AtomicU64::new(UNKNOWN),
            by_capability: (0..PLACES).map(|_| AtomicU64::new(UNKNOWN)).collect(),
            newest: Newest(AtomicU64::new(0)),
        }
    }

    /// The clock when a worker of the pool last [entered service](crate::Worker::in_service_since),
    /// whichever it was, also one that has left since. One load, wait-free.
    #[inline]
    pub fn newest_since(&self) -> u64 {
        self.newest.0.load(Relaxed)
    }

    /// A worker has entered service at the clock's `now`.
    pub(crate) fn entered_service(&self, now: u64) {
        self.newest.0.fetch_max(now, Relaxed);
    }

    /// The mean service time of the pool's successes in nanoseconds; `None` before the first.
    #[inline]
    pub fn overall(&self) -> Option<f64> {
        known(&self.overall)
    }

    /// The same over the tasks that named this capability, or none.
    #[inline]
    pub fn of(&self, capability: Option<Capability>) -> Option<f64> {
        known(&self.by_capability[place(capability)])
    }

    /// Whether a latency is that of a slow worker.
    #[inline]
    pub(crate) fn is_exceeded_by(&self, latency: u64) -> bool {
        self.overall().is_some_and(|mean| latency as f64 > SLOW * mean)
    }

    /// Whether a worker's success with this ordinal number should be recorded here: the first
    /// ones that nobody has, and then one in eight.
    #[inline]
    pub(crate) fn wants(&self, ordinal: u64, capability: Option<Capability>) -> bool {
        ordinal.is_multiple_of(SAMPLED) || self.of(capability).is_none()
    }

    pub(crate) fn record(&self, capability: Option<Capability>, service: u64) {
        move_mean(&self.overall, service);
        move_mean(&self.by_capability[place(capability)], service);
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
    // A service time of zero would look like UNKNOWN.
    let sample = (service as f64).max(1.0);
    let next = known(mean).map_or(sample, |mean| mean + (sample - mean) * GAIN);
    mean.store(next.to_bits(), Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_the_first_sample_and_follows() {
        let baseline = Baseline::new();
        let a = Some(Capability::intern("baseline-a").unwrap());
        assert_eq!((baseline.overall(), baseline.of(a)), (None, None));
        assert!(baseline.wants(5, a));
        baseline.record(a, 1_600);
        assert_eq!((baseline.overall(), baseline.of(None)), (Some(1_600.0), None));
        assert!(!baseline.wants(5, a) && baseline.wants(16, a) && baseline.wants(5, None));
        baseline.record(a, 0);
        assert!((baseline.of(a).unwrap() - 1500.0625).abs() < 1e-9);
    }

    #[test]
    fn a_latency_is_slow_above_three_times_the_mean() {
        let baseline = Baseline::new();
        assert!(!baseline.is_exceeded_by(u64::MAX), "nothing is known yet");
        baseline.record(None, 100);
        assert_eq!([299, 300, 301].map(|it| baseline.is_exceeded_by(it)), [false, false, true]);
    }
}
