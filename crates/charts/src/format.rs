//! Numbers as people read them.

use std::time::Duration;

/// Stands for a value that was not measured.
pub const NONE: &str = "–";

/// The unit of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Seconds, written as ns, µs, ms or s.
    #[default]
    Seconds,
    /// Events per second.
    PerSecond,
}

impl Unit {
    /// Writes a value in three digits with its unit; [`NONE`] if it is not finite.
    pub fn write(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => NONE.into(),
            Self::Seconds => time(value),
            Self::PerSecond => format!("{}/s", digits(value)),
        }
    }

    /// Writes an interval, with one unit if both ends share it: `9.1 to 9.8 ms`.
    pub fn write_interval(self, from: f64, to: f64) -> String {
        let [from, to] = [from, to].map(|end| self.write(end));
        match (from.split_once(' '), to.split_once(' ')) {
            (Some((figure, unit)), Some((_, same))) if unit == same => format!("{figure} to {to}"),
            _ => format!("{from} to {to}"),
        }
    }
}

/// Writes a time in three digits and the unit that suits it: `1.23 ms`.
pub fn time(seconds: f64) -> String {
    let (length, symbol) = time_unit(seconds);
    format!("{} {symbol}", digits(seconds / length))
}

/// Writes a time that may be missing.
pub fn duration(time_taken: Option<Duration>) -> String {
    time_taken.map_or_else(|| NONE.into(), |taken| time(taken.as_secs_f64()))
}

/// Returns the unit in which a time has one to three digits before the point: its length in
/// seconds, and its symbol.
pub(crate) fn time_unit(seconds: f64) -> (f64, &'static str) {
    // The limits are below 1 because 999.6 µs would be written as 1,000 µs.
    match seconds.abs() {
        0.0 | 0.999_5.. => (1.0, "s"),
        0.999_5e-3.. => (1e-3, "ms"),
        0.999_5e-6.. => (1e-6, "µs"),
        _ => (1e-9, "ns"),
    }
}

/// Writes a fraction of 1 as a percentage.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 | 0.95..1e15 => format!("{percent:.1} %"),
        ..0.95 => format!("{percent:.2} %"),
        1e15..f64::INFINITY => format!("{percent:.2e} %"),
        _ => NONE.into(),
    }
}

/// Writes a quantile as a percentile with all its nines: `99.9 %`.
pub fn percentile(quantile: f64) -> String {
    format!("{} %", trimmed(format!("{:.6}", quantile * 100.0)))
}

/// Writes a number in three digits, with commas between thousands: `0.0123`, `1.23`, `12,345`.
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

/// Writes a number as briefly as a tick's label should be: `0.5`, `2`, `10,000`.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        ..1e-6 | 1e15.. => format!("{value:e}"),
        1_000.0.. => grouped(format!("{value:.0}")),
        // Ticks are sums of steps, whose last digits are rounding errors.
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
    for (index, figure) in figures.chars().enumerate() {
        if index > 0 && (figures.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(figure);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_suitable_unit() {
        let written = [0.0, 5e-9, 12.34e-6, 999.6e-6, 0.5, 1.5, 65.4321, 12_345.6].map(time);
        assert_eq!(
            written,
            ["0 s", "5.00 ns", "12.3 µs", "1.00 ms", "500 ms", "1.50 s", "65.4 s", "12,346 s"]
        );
        assert_eq!(duration(None), "–");
    }

    #[test]
    fn values_are_written_in_their_unit() {
        assert_eq!(Unit::PerSecond.write(1_234_567.8), "1,234,568/s");
        assert_eq!(Unit::Seconds.write(f64::NAN), NONE);
        assert_eq!(percent(0.5), "50.0 %");
        assert_eq!(percent(0.000_4), "0.04 %");
        assert_eq!(percent(f64::INFINITY), NONE);
        assert_eq!(digits(-0.012_34), "-0.0123");
    }

    #[test]
    fn intervals_repeat_the_unit_only_if_it_differs() {
        assert_eq!(Unit::Seconds.write_interval(0.009, 0.0125), "9.00 to 12.5 ms");
        assert_eq!(Unit::Seconds.write_interval(0.9, 1.25), "900 ms to 1.25 s");
        assert_eq!(Unit::PerSecond.write_interval(1.0, 2.0), "1.00/s to 2.00/s");
    }

    #[test]
    fn percentiles_keep_all_their_nines() {
        let written = [0.5, 0.9, 0.999, 0.999_999, 0.0].map(percentile);
        assert_eq!(written, ["50 %", "90 %", "99.9 %", "99.9999 %", "0 %"]);
    }

    #[test]
    fn tick_labels_are_short() {
        let written = [0.1 + 0.2, 2.0, 250.0, 0.0, 1e4, -1e6, 2e-9].map(short);
        assert_eq!(written, ["0.3", "2", "250", "0", "10,000", "-1,000,000", "2e-9"]);
    }
}
