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
        // Not `saturating_record`, which does not let the histogram grow.
        let recorded = self.histogram.record(nanos);
        debug_assert!(recorded.is_ok(), "a histogram that resizes itself has room");
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
    fn every_time_is_in_the_histogram_to_three_digits() {
        let mut times = Times::new();
        let all = [0, 7, 1_000_000, 60_000_000_000, 10_u64.pow(18)];
        all.into_iter().for_each(|nanos| times.record(nanos));
        assert_eq!(times.mean(), all.iter().map(|nanos| *nanos as f64).sum::<f64>() / 5.0);
        let histogram = times.into_histogram();
        for (nanos, quantile) in all.into_iter().zip([0.2, 0.4, 0.6, 0.8, 1.0]) {
            let held = histogram.value_at_quantile(quantile);
            assert!(histogram.equivalent(held, nanos), "{held} for {nanos}");
        }
    }
}
