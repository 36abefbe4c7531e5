use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The measurements of a sample, by the name of the figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figures(pub BTreeMap<String, f64>);

/// A kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The name in a sample.
    pub name: &'static str,
    /// The unit.
    pub unit: Unit,
    /// Whether more is better.
    pub more_is_better: bool,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Events per second, written in thousands or millions.
    PerSecond,
    /// Nanoseconds, written in microseconds from ten thousand.
    Nanoseconds,
}

/// Messages or tasks per second.
pub const RATE: Figure = Figure { name: "rate", unit: Unit::PerSecond, more_is_better: true };
/// The median latency.
pub const P50: Figure = latency("p50");
/// The 99th percentile of latency.
pub const P99: Figure = latency("p99");
/// The 99.9th percentile of latency.
pub const P999: Figure = latency("p99.9");
/// The time of one selection.
pub const COST: Figure = latency("cost");

const fn latency(name: &'static str) -> Figure {
    Figure { name, unit: Unit::Nanoseconds, more_is_better: false }
}

impl Figures {
    /// Creates a single measurement.
    pub fn one(figure: Figure, value: f64) -> Self {
        Self(BTreeMap::from([(figure.name.to_owned(), value)]))
    }

    /// Returns the percentiles of a histogram of nanoseconds.
    pub fn percentiles(histogram: &Histogram<u64>) -> Self {
        let at = |figure: Figure, quantile| {
            (figure.name.to_owned(), histogram.value_at_quantile(quantile) as f64)
        };
        Self(BTreeMap::from([at(P50, 0.5), at(P99, 0.99), at(P999, 0.999)]))
    }

    /// Returns the measurement of a figure.
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.0.get(figure.name).copied()
    }
}

impl Unit {
    /// Writes a value with its unit.
    pub fn write(self, value: f64) -> String {
        match self {
            Self::PerSecond if value < 1e6 => format!("{} k/s", digits(value / 1e3)),
            Self::PerSecond => format!("{} M/s", digits(value / 1e6)),
            Self::Nanoseconds if value >= 10_000.0 => format!("{} us", digits(value / 1e3)),
            Self::Nanoseconds => format!("{} ns", digits(value)),
        }
    }
}

/// Writes about three digits.
fn digits(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Returns the median: of an even number of values, the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }

    #[test]
    fn values_are_written_with_about_three_digits() {
        assert_eq!(Unit::PerSecond.write(26_240_000.0), "26.2 M/s");
        assert_eq!(Unit::PerSecond.write(512_400.0), "512 k/s");
        assert_eq!(Unit::Nanoseconds.write(336.4), "336 ns");
        assert_eq!(Unit::Nanoseconds.write(61_480.0), "61.5 us");
    }
}
