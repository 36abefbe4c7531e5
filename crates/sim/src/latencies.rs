use std::time::Duration;

use hdrhistogram::Histogram;

/// A distribution of latencies: exact sum, mean and maximum, quantiles to three significant digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies {
    /// In nanoseconds.
    histogram: Histogram<u64>,
    sum: u128,
    max: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new(3);
        let mut histogram = histogram.unwrap_or_else(|_| unreachable!("3 digits are allowed"));
        histogram.auto(true);
        Self { histogram, sum: 0, max: 0 }
    }

    pub(crate) fn record_n(&mut self, nanos: u64, count: u64) {
        // `saturating_record_n` would not resize the histogram.
        self.histogram.record_n(nanos, count).unwrap_or_else(|_| unreachable!("it is resized"));
        self.sum += u128::from(nanos) * u128::from(count);
        if count > 0 {
            self.max = self.max.max(nanos);
        }
    }

    /// Returns the number of latencies recorded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Returns the exact sum.
    pub fn sum(&self) -> Duration {
        const SECOND: u128 = 1_000_000_000;
        Duration::new((self.sum / SECOND) as u64, (self.sum % SECOND) as u32)
    }

    /// Returns the mean, rounded to a nanosecond; zero if nothing was recorded.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.mean_nanos().round() as u64)
    }

    /// Returns the mean in nanoseconds, with its fraction.
    pub(crate) fn mean_nanos(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.sum as f64 / self.count() as f64 }
    }

    /// Returns the value that the share `quantile` of the latencies does not exceed, to three
    /// significant digits; zero if nothing was recorded. A quantile outside 0 to 1 counts as the
    /// nearer of the two.
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_quantile(quantile).min(self.max))
    }

    /// Returns the longest latency, exactly; zero if nothing was recorded.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// Returns the distribution in nanoseconds.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_every_magnitude_are_distinguished() {
        let mut latencies = Latencies::new();
        let nanos = [0, 7, 1_000_000, 3_600_000_000_000, i64::MAX as u64];
        nanos.iter().for_each(|nanos| latencies.record_n(*nanos, 1));
        assert!(nanos.iter().all(|nanos| latencies.histogram().count_at(*nanos) == 1));
        assert_eq!(latencies.count(), 5);
    }

    #[test]
    fn sum_mean_and_maximum_are_exact() {
        let mut latencies = Latencies::new();
        assert_eq!((latencies.mean(), latencies.quantile(0.5)), (Duration::ZERO, Duration::ZERO));
        latencies.record_n(1_000_000_001, 2);
        latencies.record_n(2_000_000_003, 1);
        assert_eq!(latencies.sum(), Duration::from_nanos(4_000_000_005));
        assert_eq!(latencies.mean(), Duration::from_nanos(1_333_333_335));
        assert_eq!(latencies.max(), Duration::from_nanos(2_000_000_003), "no bucket's bound");
        assert_eq!(latencies.quantile(1.0), latencies.max());
    }
}
