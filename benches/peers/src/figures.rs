use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// What a sample has measured, by the name of the figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figures(pub BTreeMap<String, f64>);

/// A figure: its name, its unit and which end is the good one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Its name in a sample.
    pub name: &'static str,
    /// How it is written.
    pub unit: Unit,
    /// Whether more is better.
    pub more_is_better: bool,
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Things a second, in thousands or millions.
    PerSecond,
    /// Nanoseconds, microseconds from ten thousand.
    Nanoseconds,
}

/// Messages or tasks a second.
pub const RATE: Figure = Figure { name: "rate", unit: Unit::PerSecond, more_is_better: true };
/// The median.
pub const P50: Figure = latency("p50");
/// The latency that one of a hundred exceeds.
pub const P99: Figure = latency("p99");
/// The latency that one of a thousand exceeds.
pub const P999: Figure = latency("p99.9");
/// What one costs.
pub const COST: Figure = latency("cost");

const fn latency(name: &'static str) -> Figure {
    Figure { name, unit: Unit::Nanoseconds, more_is_better: false }
}

impl Figures {
    /// A single figure.
    pub fn one(figure: Figure, value: f64) -> Self {
        Self(BTreeMap::from([(figure.name.to_owned(), value)]))
    }

    /// The percentiles of a histogram of nanoseconds.
    pub fn percentiles(histogram: &Histogram<u64>) -> Self {
        let at = |figure: Figure, quantile| {
            (figure.name.to_owned(), histogram.value_at_quantile(quantile) as f64)
        };
        Self(BTreeMap::from([at(P50, 0.5), at(P99, 0.99), at(P999, 0.999)]))
    }

    /// One of them.
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.0.get(figure.name).copied()
    }
}

impl Unit {
    /// The value with its unit.
    pub fn write(self, value: f64) -> String {
        match self {
            Self::PerSecond if value < 1e6 => format!("{} k/s", digits(value / 1e3)),
            Self::PerSecond => format!("{} M/s", digits(value / 1e6)),
            Self::Nanoseconds if value >= 10_000.0 => format!("{} us", digits(value / 1e3)),
            Self::Nanoseconds => format!("{} ns", digits(value)),
        }
    }
}

/// To about three digits.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_to_about_three_digits() {
        assert_eq!(Unit::PerSecond.write(26_240_000.0), "26.2 M/s");
        assert_eq!(Unit::PerSecond.write(512_400.0), "512 k/s");
        assert_eq!(Unit::Nanoseconds.write(336.4), "336 ns");
        assert_eq!(Unit::Nanoseconds.write(61_480.0), "61.5 us");
    }
}
