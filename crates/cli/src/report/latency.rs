//! Summaries of latencies.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Mean, percentiles and maximum in microseconds; NaN (`null` in JSON) if nothing was measured.
/// Percentiles are exact to three significant digits, mean and maximum are exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Maximum.
    pub max: f64,
}

impl Latency {
    /// Summarises latencies in nanoseconds.
    pub fn of(nanos: &[u64]) -> Self {
        let Some(max) = nanos.iter().max() else {
            let none = f64::NAN;
            return Self { mean: none, p50: none, p90: none, p99: none, p999: none, max: none };
        };
        let mut histogram = Histogram::<u64>::new_with_max((*max).max(2), 3)
            .expect("three digits and a maximum of at least 2 make a histogram");
        for latency in nanos {
            histogram.saturating_record(*latency);
        }
        let sum: u128 = nanos.iter().map(|latency| u128::from(*latency)).sum();
        Self::of_histogram(&histogram, sum as f64 / nanos.len() as f64, *max)
    }

    /// Multiplies every figure.
    pub fn times(self, factor: f64) -> Self {
        let Self { mean, p50, p90, p99, p999, max } = self;
        let [mean, p50, p90, p99, p999, max] =
            [mean, p50, p90, p99, p999, max].map(|figure| figure * factor);
        Self { mean, p50, p90, p99, p999, max }
    }

    /// Summarises a histogram of nanoseconds, whose exact mean and maximum are known.
    pub fn of_histogram(histogram: &Histogram<u64>, mean: f64, max: u64) -> Self {
        if histogram.is_empty() {
            return Self::of(&[]);
        }
        let percentile = |p| histogram.value_at_quantile(p).min(max) as f64 / 1e3;
        Self {
            mean: mean / 1e3,
            p50: percentile(0.5),
            p90: percentile(0.9),
            p99: percentile(0.99),
            p999: percentile(0.999),
            max: max as f64 / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_three_digits() {
        let nanos: Vec<u64> = (1..=1000).rev().map(|ms| ms * 1_000_000).collect();
        let latency = Latency::of(&nanos);
        assert_eq!((latency.mean, latency.max), (500_500.0, 1_000_000.0));
        for (measured, exact) in [
            (latency.p50, 500e3),
            (latency.p90, 900e3),
            (latency.p99, 990e3),
            (latency.p999, 999e3),
        ] {
            assert!((measured / exact - 1.0).abs() < 1e-3, "{measured} for {exact}");
        }
    }

    #[test]
    fn a_single_latency_is_every_percentile() {
        assert_eq!(Latency::of(&[7_000]).p50, 7.0);
        assert_eq!(Latency::of(&[0]).max, 0.0);
    }

    #[test]
    fn no_latencies_are_null_in_json() {
        let json = serde_json::to_value(Latency::of(&[])).unwrap();
        assert!(json["p99"].is_null() && json["mean"].is_null());
    }
}
