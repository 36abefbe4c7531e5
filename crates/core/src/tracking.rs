use std::time::Duration;

use thiserror::Error;

/// What the statistics learn from each recorded task, and their parameters.
///
/// The fields accept any value; [`validate`](Self::validate) checks them when a roster is built.
/// Counts and in-flight counts are always kept; `enabled` controls the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Tracking {
    /// Whether latencies, histograms, histories and success rates are kept.
    pub enabled: bool,
    /// The number of latencies in each worker's window, 1 to 65,536.
    pub window: usize,
    /// The share of the old value in a capability history, at least 0 and below 1.
    pub history_decay: f64,
    /// When a success counts as fast.
    pub fast: FastThreshold,
    /// A failure enters the latency window as this many times the pool's mean of successes (10 ms
    /// before the first), but at least as its own duration and the worker's own mean. A finite
    /// factor of at least 0.
    pub failure_penalty: f64,
    /// The time in which a worker's [peak latency](crate::PeakLatency) falls to 1/e, 1 ms to 24 h.
    ///
    /// The default is 1 s, where Finagle and linkerd use 10 s. They balance calls to other machines
    /// that take some milliseconds; tasks within a process are about ten times shorter and more
    /// frequent, so a second covers as many tasks. A worker that used to fail at once is tried again
    /// after 2.3 times this at the latest (until ten times the mean has fallen to the mean). Use at
    /// least a hundred times the duration of a task.
    pub peak_decay: Duration,
}

/// When a success counts as fast in a capability history.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum FastThreshold {
    /// Below the pool's own moving mean for that capability.
    #[default]
    PoolMean,
    /// Below a fixed time.
    Fixed(Duration),
}

/// A parameter of [`Tracking`] is out of its bounds.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TrackingError {
    /// The window is empty or too long.
    #[error("window is {0}, allowed are 1 to {max}", max = Tracking::MAX_WINDOW)]
    Window(usize),
    /// The history would never learn, or never forget.
    #[error("history decay is {0}, allowed is at least 0 and below 1")]
    Decay(f64),
    /// The penalty is negative, infinite or not a number.
    #[error("failure penalty is {0}, allowed is a finite factor of at least 0")]
    Penalty(f64),
    /// Peak latencies would decay at once, or never.
    #[error("peak decay is {0:?}, allowed are 1ms to 24h")]
    PeakDecay(Duration),
}

/// Stands in for the pool's mean, in nanoseconds, before its first success.
const UNKNOWN_MEAN: f64 = 10_000_000.0;

impl Default for Tracking {
    fn default() -> Self {
        Self {
            enabled: true,
            window: 100,
            history_decay: 0.9,
            fast: FastThreshold::PoolMean,
            failure_penalty: 10.0,
            peak_decay: Duration::from_secs(1),
        }
    }
}

impl Tracking {
    /// The maximum window.
    pub const MAX_WINDOW: usize = 65_536;
    /// The minimum decay of peak latencies.
    pub const MIN_PEAK_DECAY: Duration = Duration::from_millis(1);
    /// The maximum decay of peak latencies.
    pub const MAX_PEAK_DECAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// Whether a success in `service` nanoseconds is fast when the pool's mean is `mean`.
    #[inline]
    pub(crate) fn is_fast(&self, service: u64, mean: impl FnOnce() -> Option<f64>) -> bool {
        match self.fast {
            FastThreshold::PoolMean => mean().is_some_and(|mean| (service as f64) < mean),
            FastThreshold::Fixed(limit) => u128::from(service) < limit.as_nanos(),
        }
    }

    /// Returns the latency in nanoseconds that a failure counts as when the pool's mean is `mean`.
    pub(crate) fn penalty(&self, mean: Option<f64>) -> u64 {
        (self.failure_penalty * mean.unwrap_or(UNKNOWN_MEAN)) as u64
    }

    /// Returns about how many bytes the statistics of one worker take.
    pub fn bytes_per_worker(&self) -> usize {
        let window = if self.enabled { self.window } else { 0 };
        (13usize << 10).saturating_add(window.saturating_mul(size_of::<u64>()))
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// When one is out of its bounds.
    pub fn validate(&self) -> Result<(), TrackingError> {
        if !(1..=Self::MAX_WINDOW).contains(&self.window) {
            return Err(TrackingError::Window(self.window));
        }
        if !(0.0..1.0).contains(&self.history_decay) {
            return Err(TrackingError::Decay(self.history_decay));
        }
        if !(self.failure_penalty.is_finite() && self.failure_penalty >= 0.0) {
            return Err(TrackingError::Penalty(self.failure_penalty));
        }
        if !(Tracking::MIN_PEAK_DECAY..=Tracking::MAX_PEAK_DECAY).contains(&self.peak_decay) {
            return Err(TrackingError::PeakDecay(self.peak_decay));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_is_below_the_mean_or_the_limit() {
        let near = [99, 100, 101];
        let by_mean = Tracking { fast: FastThreshold::PoolMean, ..Tracking::default() };
        assert_eq!(near.map(|it| by_mean.is_fast(it, || Some(100.0))), [true, false, false]);
        assert!(!by_mean.is_fast(1, || None), "no mean is known");
        let limit = FastThreshold::Fixed(Duration::from_nanos(100));
        let by_limit = Tracking { fast: limit, ..Tracking::default() };
        assert_eq!(near.map(|it| by_limit.is_fast(it, || None)), [true, false, false]);
    }

    #[test]
    fn errors_name_the_value_and_its_bounds() {
        let fine = Tracking::default();
        assert_eq!(fine.validate(), Ok(()));
        for window in [0, Tracking::MAX_WINDOW + 1] {
            let error = Tracking { window, ..fine }.validate().unwrap_err();
            assert_eq!(error.to_string(), format!("window is {window}, allowed are 1 to 65536"));
        }
        for history_decay in [-0.1, 1.0, f64::NAN] {
            let error = Tracking { history_decay, ..fine }.validate().unwrap_err();
            assert!(error.to_string().contains("at least 0 and below 1"), "{error}");
        }
        for failure_penalty in [-1.0, f64::INFINITY, f64::NAN] {
            let error = Tracking { failure_penalty, ..fine }.validate().unwrap_err();
            assert!(error.to_string().contains("finite factor"), "{error}");
        }
        let (us, day) = (Duration::from_micros(1), Duration::from_secs(86_400));
        for peak_decay in [Duration::ZERO, 999 * us, day + us, Duration::MAX] {
            let error = Tracking { peak_decay, ..fine }.validate().unwrap_err();
            assert!(error.to_string().ends_with("allowed are 1ms to 24h"), "{error}");
        }
        for peak_decay in [1_000 * us, day] {
            assert_eq!(Tracking { peak_decay, ..fine }.validate(), Ok(()));
        }
    }
}
