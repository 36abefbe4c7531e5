//! Figures as people read them.

use std::time::Duration;

use super::page::Unit;

/// What stands where nothing was measured.
pub const NONE: &str = "–";

/// A time in three digits and the unit that suits it: `1.23 ms`.
pub fn time(seconds: f64) -> String {
    let unit = TimeUnit::of(seconds);
    format!("{} {}", digits(seconds / unit.seconds()), unit.symbol())
}

/// A time that may not have been measured.
pub fn duration(time_taken: Option<Duration>) -> String {
    time_taken.map_or_else(|| NONE.into(), |taken| time(taken.as_secs_f64()))
}

/// A figure in its unit, in three digits.
pub fn figure(value: f64, unit: Unit) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    match unit {
        Unit::Seconds => time(value),
        Unit::PerSecond => format!("{}/s", digits(value)),
        Unit::Share => percent(value),
        Unit::Number => digits(value),
    }
}

/// An interval, the unit once if both ends have the same: `9.1 to 9.8 ms`.
pub fn interval(from: f64, to: f64, unit: Unit) -> String {
    let [from, to] = [from, to].map(|end| figure(end, unit));
    match (from.split_once(' '), to.split_once(' ')) {
        (Some((figure, unit)), Some((_, same))) if unit == same => format!("{figure} to {to}"),
        _ => format!("{from} to {to}"),
    }
}

/// A share of 1 as a percentage.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 | 0.95..1e15 => format!("{percent:.1} %"),
        ..0.95 => format!("{percent:.2} %"),
        1e15..f64::INFINITY => format!("{percent:.2e} %"),
        _ => NONE.into(),
    }
}

/// A quantile as a percentile, with the nines that it has: `99.9 %`.
pub fn percentile(quantile: f64) -> String {
    format!("{} %", trimmed(format!("{:.6}", quantile * 100.0)))
}

/// In three digits, thousands apart: `0.0123`, `1.23`, `123`, `12,345`.
pub fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        ..0.000_999_5 => format!("{value:.1e}"),
        ..0.009_995 => format!("{value:.5}"),
        ..0.099_95 => format!("{value:.4}"),
        ..0.999_5 => format!("{value:.3}"),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        ..1e15 => grouped(format!("{value:.0}")),
        _ => format!("{value:.2e}"),
    }
}

/// As short as a tick's label can be: `0.5`, `2`, `10,000`.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        ..1e-6 | 1e15.. => format!("{value:e}"),
        1_000.0.. => grouped(format!("{value:.0}")),
        // Ticks are sums of steps: the last digits are what binary fractions leave over.
        _ => trimmed(format!("{value:.9}")),
    }
}

fn trimmed(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn grouped(text: String) -> String {
    let (sign, figures) = text.split_at(usize::from(text.starts_with('-')));
    let mut grouped = String::from(sign);
    for (place, figure) in figures.chars().enumerate() {
        if place > 0 && (figures.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(figure);
    }
    grouped
}

/// The unit that a time is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// ns
    Nanoseconds,
    /// µs
    Microseconds,
    /// ms
    Milliseconds,
    /// s
    Seconds,
}

impl TimeUnit {
    /// The one in which a time is from 1 to 999.
    pub fn of(seconds: f64) -> Self {
        // What would be written as 1,000 of a unit is 1 of the next.
        match seconds.abs() {
            0.0 => Self::Seconds,
            ..0.999_5e-6 => Self::Nanoseconds,
            ..0.999_5e-3 => Self::Microseconds,
            ..0.999_5 => Self::Milliseconds,
            _ => Self::Seconds,
        }
    }

    /// How many seconds it is.
    pub fn seconds(self) -> f64 {
        match self {
            Self::Nanoseconds => 1e-9,
            Self::Microseconds => 1e-6,
            Self::Milliseconds => 1e-3,
            Self::Seconds => 1.0,
        }
    }

    /// How it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_that_suits_them() {
        let written = [0.0, 5e-9, 12.34e-6, 999.6e-6, 0.5, 1.5, 65.4321, 12_345.6].map(time);
        assert_eq!(
            written,
            ["0 s", "5.00 ns", "12.3 µs", "1.00 ms", "500 ms", "1.50 s", "65.4 s", "12,346 s"]
        );
        assert_eq!(duration(None), "–");
    }

    #[test]
    fn figures_are_written_in_their_unit() {
        assert_eq!(figure(1_234_567.8, Unit::PerSecond), "1,234,568/s");
        assert_eq!(figure(0.5, Unit::Share), "50.0 %");
        assert_eq!(figure(0.000_4, Unit::Share), "0.04 %");
        assert_eq!(figure(-0.012_34, Unit::Number), "-0.0123");
        assert_eq!(figure(f64::NAN, Unit::Seconds), NONE);
        assert_eq!(figure(f64::INFINITY, Unit::Share), NONE);
    }

    #[test]
    fn intervals_have_their_unit_once() {
        assert_eq!(interval(0.009, 0.0125, Unit::Seconds), "9.00 to 12.5 ms");
        assert_eq!(interval(0.9, 1.25, Unit::Seconds), "900 ms to 1.25 s");
        assert_eq!(interval(0.1, 0.2, Unit::Share), "10.0 to 20.0 %");
        assert_eq!(interval(1.0, 2.0, Unit::Number), "1.00 to 2.00");
    }

    #[test]
    fn percentiles_have_the_nines_that_they_have() {
        let written = [0.5, 0.9, 0.999, 0.999_999, 0.0].map(percentile);
        assert_eq!(written, ["50 %", "90 %", "99.9 %", "99.9999 %", "0 %"]);
    }

    #[test]
    fn labels_of_ticks_are_short() {
        let written = [0.1 + 0.2, 2.0, 250.0, 0.0, 1e4, -1e6, 2e-9].map(short);
        assert_eq!(written, ["0.3", "2", "250", "0", "10,000", "-1,000,000", "2e-9"]);
    }
}
