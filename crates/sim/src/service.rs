use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::nanos;

use crate::SimError;
use crate::error::{duration, not_empty, share, timely};
use crate::random::exponential;

/// How long a worker of speed 1 takes for a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Service {
    /// Exponentially distributed.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// The same for every task.
    Constant(Duration),
    /// One of two lengths.
    Bimodal {
        /// The service time of most tasks.
        short: Duration,
        /// The service time of the others.
        long: Duration,
        /// The share of the long tasks, 0 to 1.
        long_share: f64,
    },
    /// Heavy-tailed: a Pareto distribution with an upper bound.
    Pareto {
        /// The mean.
        mean: Duration,
        /// The exponent of the tail, above 1; lower is heavier.
        shape: f64,
        /// The upper bound, above the mean.
        longest: Duration,
    },
    /// These, in order of arrival, repeated from the first when exhausted.
    Trace(Arc<[Duration]>),
}

impl Service {
    pub(crate) fn validate(&self) -> Result<(), SimError> {
        let time = |what, time: &Duration| duration(what, *time);
        match self {
            Self::Exponential { mean } => time("mean service in seconds", mean),
            Self::Constant(service) => time("service in seconds", service),
            Self::Bimodal { short, long, long_share } => {
                time("short service in seconds", short)?;
                time("long service in seconds", long)?;
                share("share of long tasks", *long_share)
            }
            Self::Pareto { mean, shape, longest } => {
                time("mean service in seconds", mean)?;
                SimError::unless(*shape > 1.0 && shape.is_finite(), "shape", shape, || {
                    "a number above 1, or there is no mean".into()
                })?;
                SimError::unless(
                    longest > mean,
                    "longest service",
                    format!("{longest:?}"),
                    || format!("above the mean, {mean:?}"),
                )?;
                timely("longest service", *longest)
            }
            Self::Trace(times) => {
                not_empty(times)?;
                times.iter().try_for_each(|time| timely("service in a trace", *time))
            }
        }
    }

    /// Returns the mean, rounded to a nanosecond. Adds up a trace.
    pub fn mean(&self) -> Duration {
        Duration::try_from_secs_f64(self.mean_secs()).unwrap_or(Duration::MAX)
    }

    /// Returns the mean in seconds, with every fraction.
    pub(crate) fn mean_secs(&self) -> f64 {
        match self {
            Self::Exponential { mean } | Self::Pareto { mean, .. } => mean.as_secs_f64(),
            Self::Constant(service) => service.as_secs_f64(),
            Self::Bimodal { short, long, long_share } => {
                short.as_secs_f64() * (1.0 - long_share) + long.as_secs_f64() * long_share
            }
            Self::Trace(times) => {
                times.iter().map(Duration::as_secs_f64).sum::<f64>() / times.len().max(1) as f64
            }
        }
    }
}

/// Draws service times, one after another.
pub(crate) struct ServiceTimes {
    distribution: Distribution,
    rng: Rng,
}

enum Distribution {
    Exponential { mean: f64 },
    Constant(u64),
    Bimodal { short: u64, long: u64, long_share: f64 },
    Pareto { least: f64, longest: f64, shape: f64 },
    Trace { times: Arc<[Duration]>, next: usize },
}

impl ServiceTimes {
    pub(crate) fn new(service: &Service, rng: Rng) -> Self {
        let distribution = match service {
            Service::Exponential { mean } => {
                Distribution::Exponential { mean: mean.as_nanos() as f64 }
            }
            Service::Constant(time) => Distribution::Constant(nanos(*time)),
            Service::Bimodal { short, long, long_share } => Distribution::Bimodal {
                short: nanos(*short),
                long: nanos(*long),
                long_share: *long_share,
            },
            Service::Pareto { mean, shape, longest } => {
                let (mean, longest) = (mean.as_nanos() as f64, longest.as_nanos() as f64);
                Distribution::Pareto {
                    least: pareto_lower_bound(mean, *shape, longest),
                    longest,
                    shape: *shape,
                }
            }
            Service::Trace(times) => Distribution::Trace { times: Arc::clone(times), next: 0 },
        };
        Self { distribution, rng }
    }

    /// Returns the next service time, in nanoseconds.
    pub(crate) fn draw(&mut self) -> u64 {
        match &mut self.distribution {
            Distribution::Exponential { mean } => exponential(&mut self.rng, *mean).round() as u64,
            Distribution::Constant(time) => *time,
            Distribution::Bimodal { short, long, long_share } => {
                if self.rng.f64() < *long_share {
                    *long
                } else {
                    *short
                }
            }
            Distribution::Pareto { least, longest, shape } => {
                // The inverse of the distribution function.
                let above = 1.0 - (*least / *longest).powf(*shape);
                (*least * (1.0 - self.rng.f64() * above).powf(-1.0 / *shape)).round() as u64
            }
            Distribution::Trace { times, next } => {
                let time = times[*next % times.len()];
                *next += 1;
                nanos(time)
            }
        }
    }
}

/// Returns the lower bound that gives a Pareto distribution bounded by `longest` this mean.
pub(crate) fn pareto_lower_bound(mean: f64, shape: f64, longest: f64) -> f64 {
    let mean_of = |least: f64| {
        let ratio = (least / longest).powf(shape);
        least / (1.0 - ratio) * shape / (shape - 1.0) * (1.0 - (least / longest).powf(shape - 1.0))
    };
    // Bisects: the mean grows with the lower bound, from 0 to `longest`.
    let (mut low, mut high) = (0.0, mean);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if mean_of(middle) < mean { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_distribution_has_its_mean() {
        let distributions = [
            Service::Exponential { mean: 7 * MS },
            Service::Constant(3 * MS),
            Service::Bimodal { short: MS, long: 10 * MS, long_share: 0.1 },
            Service::Pareto { mean: 5 * MS, shape: 2.5, longest: 1_000 * MS },
            Service::Pareto { mean: 5 * MS, shape: 1.5, longest: 100 * MS },
            Service::Trace([MS, 2 * MS, 6 * MS].into()),
        ];
        for service in distributions {
            service.validate().unwrap();
            let mut times = ServiceTimes::new(&service, Rng::with_seed(7));
            let count = 1_000_000;
            let sum: u64 = (0..count).map(|_| times.draw()).sum();
            let mean = sum as f64 / count as f64 / 1e9;
            assert!(
                (mean / service.mean().as_secs_f64() - 1.0).abs() < 0.01,
                "{service:?}: {mean}"
            );
        }
    }
}
