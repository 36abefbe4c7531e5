//! How long tasks took.

use hdrhistogram::Histogram;

/// Times in nanoseconds: their exact mean, and quantiles to three digits.
pub(crate) struct Times {
    histogram: Histogram<u64>,
    sum: u128,
    count: u64,
}

impl Times {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new(3);
        let mut histogram = histogram.unwrap_or_else(|_| unreachable!("3 digits are allowed"));
        histogram.auto(true);
        Self { histogram, sum: 0, count: 0 }
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        // Not `saturating_record`, by which a histogram does not grow.
        self.histogram.record(nanos).unwrap_or_else(|_| unreachable!("it grows"));
        self.sum += u128::from(nanos);
        self.count += 1;
    }

    pub(crate) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    pub(crate) fn into_histogram(self) -> Histogram<u64> {
        self.histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_length_are_told_apart() {
        let mut times = Times::new();
        let nanos = [0, 7, 1_000_000, 3_600_000_000_000, i64::MAX as u64];
        nanos.iter().for_each(|nanos| times.record(*nanos));
        let histogram = times.into_histogram();
        assert!(nanos.iter().all(|nanos| histogram.count_at(*nanos) == 1));
        assert_eq!(histogram.len(), 5);
    }
}
