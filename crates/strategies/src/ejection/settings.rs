use std::time::Duration;

use raddle_core::nanos;
use thiserror::Error;

/// When a worker is an outlier, and for how long it is then ejected.
///
/// - **Rule:** at each review, a worker that has run at least a minimum number of tasks since the
///   last one is an outlier if more than a share of them failed (or panicked), or, if that is
///   enabled, if their mean time was above a factor times the median of the workers' means. It is
///   ejected for the base duration times the number of its ejections in a row, up to a maximum; a
///   row ends with a review that the worker passes. At most a share of the pool is ejected at a
///   time, the worst first.
/// - **Source:** Envoy's outlier detection (failure percentage, durations that grow with the number
///   of ejections, maximum share of the cluster) and Finagle's failure accrual. The median for slow
///   workers is our own.
/// - **Use it for:** workers that fail at once, which strategies that read queues or latencies take
///   for the best, and which random choice and rotation do not notice at all.
/// - **Cost:** none on the path of a task. A review is O(n log n) and allocates; applying its
///   decisions makes a new roster.
/// - **Weak points:** a failure that is the task's fault counts against the worker. A worker with
///   too few tasks per interval is never judged. If workers serve different kinds of tasks, a
///   specialist for long ones is slow by nature: leave the latency factor off. An ejected worker
///   keeps the tasks in its mailbox, and tasks of keys that it owns still go to it.
///
/// Setters accept any value; [`OutlierDetector::new`](crate::OutlierDetector::new) and a pool's
/// `spawn` [validate](Self::validate) them.
///
/// ```
/// use std::time::Duration;
/// use raddle_strategies::Ejection;
///
/// let ejection = Ejection::default().failure_share(0.2).latency_factor(4.0);
/// assert!(ejection.validate().is_ok());
/// assert_eq!(ejection.review_interval(), Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    interval: Duration,
    pub(super) failure_share: f64,
    pub(super) min_tasks: u64,
    pub(super) latency_factor: Option<f64>,
    base_duration: Duration,
    max_duration: Duration,
    max_ejected_share: f64,
}

/// A parameter of an [`Ejection`] is outside its bounds.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum EjectionError {
    /// The interval between reviews is zero.
    #[error("review interval is 0, allowed is more than 0")]
    Interval,
    /// The failure share is not a share, or one that cannot be exceeded.
    #[error("failure share is {0}, allowed is at least 0 and below 1")]
    FailureShare(f64),
    /// The minimum number of tasks is zero.
    #[error("minimum number of tasks is 0, allowed is at least 1")]
    MinTasks,
    /// The latency factor would make about half of the pool slow.
    #[error("latency factor is {0}, allowed is a finite number above 1")]
    LatencyFactor(f64),
    /// The base duration exceeds the maximum.
    #[error("base duration is {base:?}, allowed is at most the maximum duration, {max:?}")]
    Durations {
        /// The base duration.
        base: Duration,
        /// The maximum duration.
        max: Duration,
    },
    /// The maximum share of ejected workers is not a share of the pool.
    #[error("maximum ejected share is {0}, allowed is above 0 and at most 1")]
    MaxEjectedShare(f64),
}

impl Default for Ejection {
    /// Reviews each second. More than half of at least 5 tasks must have failed; latency is
    /// ignored. Workers are ejected for 1 s to 30 s, at most half of the pool at a time.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            failure_share: 0.5,
            min_tasks: 5,
            latency_factor: None,
            base_duration: Duration::from_secs(1),
            max_duration: Duration::from_secs(30),
            max_ejected_share: 0.5,
        }
    }
}

impl Ejection {
    /// Returns the interval between reviews.
    pub fn review_interval(&self) -> Duration {
        self.interval
    }

    /// Sets the interval between reviews, more than 0; 1 s by default.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the share of failures above which a worker is an outlier, at least 0 and below 1; 0.5
    /// by default.
    #[must_use]
    pub fn failure_share(mut self, share: f64) -> Self {
        self.failure_share = share;
        self
    }

    /// Sets how many tasks a worker must have run since the last review to be judged, at least 1; 5
    /// by default. Expired and cancelled tasks do not count. A strategy that passes over workers that fail,
    /// such as join idle, sends them so few tasks that they are ejected late: set 1 with it.
    #[must_use]
    pub fn min_tasks(mut self, tasks: u64) -> Self {
        self.min_tasks = tasks;
        self
    }

    /// Makes a worker an outlier, too, if its mean time since the last review is above `factor`
    /// times the median of such means, finite and above 1; off by default. The median is that of
    /// the workers in service that do not fail; of an even number it is the lower one, so that the
    /// slower of two workers can be found.
    #[must_use]
    pub fn latency_factor(mut self, factor: f64) -> Self {
        self.latency_factor = Some(factor);
        self
    }

    /// Sets for how long a worker is ejected the first time, at most the maximum duration; 1 s by
    /// default. The n-th ejection in a row takes n times as long. The worker returns at the first
    /// review after that.
    #[must_use]
    pub fn base_duration(mut self, duration: Duration) -> Self {
        self.base_duration = duration;
        self
    }

    /// Sets the maximum duration of an ejection; 30 s by default.
    #[must_use]
    pub fn max_duration(mut self, duration: Duration) -> Self {
        self.max_duration = duration;
        self
    }

    /// Sets the maximum share of the pool that is ejected at a time, above 0 and at most 1; 0.5 by
    /// default. The pool is the workers that are active or ejected; the result is rounded down, but
    /// one of two or more workers may always be ejected. With 1 all may be: then the ejections have
    /// no effect ([`Candidates`](raddle_core::Candidates)), since some service beats none.
    #[must_use]
    pub fn max_ejected_share(mut self, share: f64) -> Self {
        self.max_ejected_share = share;
        self
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// The first one that is outside its bounds.
    pub fn validate(&self) -> Result<(), EjectionError> {
        if self.interval.is_zero() {
            return Err(EjectionError::Interval);
        }
        if !(0.0..1.0).contains(&self.failure_share) {
            return Err(EjectionError::FailureShare(self.failure_share));
        }
        if self.min_tasks == 0 {
            return Err(EjectionError::MinTasks);
        }
        if let Some(factor) = self.latency_factor
            && !(factor > 1.0 && factor.is_finite())
        {
            return Err(EjectionError::LatencyFactor(factor));
        }
        if self.base_duration > self.max_duration {
            let (base, max) = (self.base_duration, self.max_duration);
            return Err(EjectionError::Durations { base, max });
        }
        if !(self.max_ejected_share > 0.0 && self.max_ejected_share <= 1.0) {
            return Err(EjectionError::MaxEjectedShare(self.max_ejected_share));
        }
        Ok(())
    }

    /// Returns how many of `workers` may be ejected at a time.
    pub(super) fn allowed(&self, workers: usize) -> usize {
        match workers {
            0 | 1 => 0,
            _ => ((self.max_ejected_share * workers as f64) as usize).max(1),
        }
    }

    /// Returns the duration of the n-th ejection in a row, in nanoseconds.
    pub(super) fn duration(&self, n: u32) -> u64 {
        nanos(self.base_duration.saturating_mul(n).min(self.max_duration))
    }
}
