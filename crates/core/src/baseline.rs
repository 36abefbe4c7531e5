use crate::cold_cost::ColdCost;
use crate::mean::Mean;
use crate::stats::history::{COLUMNS, column};
use crate::{Capability, KeyAge};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The moving mean of the successes of a pool, overall and by capability: what its workers are
/// compared with.
///
/// All workers of a pool share it, so it is written rarely (by one success in eight of each worker,
/// and by each of the first 64), and concurrent updates may be lost.
#[derive(Debug)]
pub struct Baseline {
    overall: Mean<FIRST>,
    /// The overall mean in whole nanoseconds: each end reads it, and a conversion takes long.
    whole: AtomicU64,
    by_capability: Box<[Mean<FIRST>]>,
    newest: Newest,
    cold_cost: ColdCost,
}

/// Read by selections, written when a worker enters service; on a cache line that no success writes.
#[derive(Debug)]
#[repr(align(64))]
struct Newest(AtomicU64);

/// One in this many successes of a worker enters the baseline: writing a line that all workers share
/// costs each of them a cache miss.
const SAMPLED: u64 = 8;
/// Until a mean has this many samples, every success is recorded: with fewer, most workers' first
/// latencies would be compared with a single one.
const FIRST: u32 = 64;
/// The weight of a sample, once there have been as many as this is the inverse of. Before, the mean
/// is that of all samples.
const GAIN: f32 = 1.0 / 16.0;
/// A latency above this many times the pool's mean is slow.
const SLOW: f64 = 3.0;
/// A longer mean counts as this [in whole nanoseconds](Baseline::whole_mean), so that ten of them can
/// be added to a sum.
const LONGEST: u64 = (1 << 59) - 1;

impl Baseline {
    pub(crate) fn new() -> Self {
        Self {
            overall: Mean::default(),
            whole: AtomicU64::new(0),
            by_capability: (0..COLUMNS).map(|_| Mean::default()).collect(),
            newest: Newest(AtomicU64::new(0)),
            cold_cost: ColdCost::new(),
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
        self.overall.get().map(f64::from)
    }

    /// Returns the [mean](Self::mean) over the tasks that named `capability`, or no capability.
    #[inline]
    pub fn mean_for(&self, capability: Option<Capability>) -> Option<f64> {
        self.by_capability[column(capability)].get().map(f64::from)
    }

    /// Learns what a key of this age costs, from a worker's success with this ordinal number.
    pub(crate) fn record_cost(
        &self,
        ordinal: u64,
        capability: Option<Capability>,
        age: KeyAge,
        service: u64,
    ) {
        self.cold_cost.record(ordinal.is_multiple_of(SAMPLED), capability, age, service);
    }

    /// Returns what a key costs that is not at hand, by its [age](KeyAge): by how many nanoseconds
    /// the successes with keys of that age took longer than those with the latest keys, of the tasks
    /// that named `capability`, or no capability. At least 0, and 0 while it is unknown. Wait-free.
    #[inline]
    pub fn cold_costs(&self, capability: Option<Capability>) -> [u64; KeyAge::COUNT] {
        self.cold_cost.by_age(capability)
    }

    /// Whether a latency is slow in this pool.
    #[inline]
    pub(crate) fn is_exceeded_by(&self, latency: u64) -> bool {
        self.mean().is_some_and(|mean| latency as f64 > SLOW * mean)
    }

    /// Returns the [mean](Self::mean) in whole nanoseconds, below 2^59 (18 years); 0 before the first
    /// success. Wait-free: one load.
    #[inline]
    pub fn whole_mean(&self) -> u64 {
        self.whole.load(Relaxed)
    }

    /// Returns the longest latency that is not slow in a pool of this [mean](Self::whole_mean).
    #[inline]
    pub(crate) fn slow(mean: u64) -> u64 {
        mean * SLOW as u64
    }

    /// Whether a latency is no longer than the pool's mean.
    #[inline]
    pub(crate) fn is_usual(&self, latency: u64) -> bool {
        // As rounded as the mean, which may be that of equal latencies.
        self.mean().is_some_and(|mean| latency as f32 <= mean as f32)
    }

    /// Whether a worker's success with this ordinal number should be recorded: one in eight, and
    /// every one of the first.
    #[inline]
    pub(crate) fn wants(&self, ordinal: u64, capability: Option<Capability>) -> bool {
        ordinal.is_multiple_of(SAMPLED) || self.by_capability[column(capability)].samples() < FIRST
    }

    pub(crate) fn record(&self, capability: Option<Capability>, service: u64) {
        let mean = self.overall.add(service, GAIN);
        self.whole.store((mean as u64).min(LONGEST), Relaxed);
        self.by_capability[column(capability)].add(service, GAIN);
    }
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
        (1..16).for_each(|_| baseline.record(a, 1_600));
        baseline.record(a, 0);
        assert!((baseline.mean_for(a).unwrap() - 1500.0625).abs() < 1e-9, "by a sixteenth");
    }

    #[test]
    fn the_first_successes_are_all_recorded_and_weigh_the_same() {
        let baseline = Baseline::new();
        let a = Some(Capability::intern("baseline-a").unwrap());
        for (sample, mean) in [(100, 100.0), (300, 200.0), (800, 400.0), (0, 300.25)] {
            assert!(baseline.wants(5, a));
            baseline.record(a, sample);
            assert_eq!((baseline.mean(), baseline.mean_for(None)), (Some(mean), None));
        }
        (4..FIRST).for_each(|_| baseline.record(a, 100));
        assert!(!baseline.wants(5, a) && baseline.wants(16, a) && baseline.wants(5, None));
    }

    #[test]
    fn a_latency_above_three_times_the_mean_is_slow() {
        let baseline = Baseline::new();
        assert!(!baseline.is_exceeded_by(u64::MAX), "no mean is known yet");
        baseline.record(None, 100);
        assert_eq!([299, 300, 301].map(|it| baseline.is_exceeded_by(it)), [false, false, true]);
    }
}
