//! How values are mapped to an axis.

use super::format::{self, Unit};

/// A larger ratio of the greatest to the smallest value makes an axis logarithmic.
const MOST_LINEAR_RATIO: f64 = 20.0;
/// No axis spans more decades.
const MOST_DECADES: f64 = 18.0;
/// Smaller values are treated as zero.
const LEAST: f64 = 1e-12;
/// Greater values are drawn at the end of the axis.
const MOST: f64 = 1e30;

/// How values are mapped to an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Evenly.
    Linear {
        /// The start.
        from: f64,
        /// The end.
        to: f64,
    },
    /// By logarithm; a value below `from` is drawn at `from`.
    Log {
        /// The start, above 0.
        from: f64,
        /// The end.
        to: f64,
    },
    /// By the logarithm of one more than the value, so that the axis can start at 0.
    LogFromZero {
        /// The end.
        to: f64,
    },
}

impl Scale {
    /// Creates a scale that shows all these values: linear from 0, or logarithmic if they differ by
    /// more than a factor of 20.
    pub fn fit(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> =
            values.filter(|value| (LEAST..MOST).contains(&value.abs())).collect();
        let most = values.iter().copied().fold(0.0, f64::max);
        let least = values.iter().copied().filter(|value| *value > 0.0).fold(most, f64::min);
        let lowest = values.iter().copied().fold(0.0, f64::min);
        if lowest == 0.0 && least > 0.0 && most / least > MOST_LINEAR_RATIO {
            let from = floor(least).max(most / 10f64.powf(MOST_DECADES));
            Self::Log { from, to: ceiling(most) }
        } else {
            Self::linear(lowest, most)
        }
    }

    /// Creates a scale for counts from 0 to `most`: linear, or logarithmic if a `typical` count
    /// would be too close to 0 to see.
    pub fn counts(typical: f64, most: f64) -> Self {
        if typical > 0.0 && most / typical > MOST_LINEAR_RATIO {
            Self::LogFromZero { to: most.max(1.0) }
        } else {
            Self::linear(0.0, most)
        }
    }

    /// Creates a linear scale that contains `from` and `to` and ends at round numbers.
    pub fn linear(from: f64, to: f64) -> Self {
        if to - from < LEAST {
            return Self::Linear { from, to: from + 1.0 };
        }
        let step = step(to - from);
        let from = (from / step).floor() * step;
        Self::Linear { from, to: (to / step - 1e-9).ceil() * step }
    }

    /// Returns where a value lies, from 0 to 1; values beyond the axis are at its nearer end.
    pub fn fraction(self, value: f64) -> f64 {
        let (at, from, to) = match self {
            Self::Linear { from, to } => (value, from, to),
            Self::Log { from, to } => (value.max(from).ln(), from.ln(), to.ln()),
            Self::LogFromZero { to } => (value.max(0.0).ln_1p(), 0.0, to.ln_1p()),
        };
        ((at - from) / (to - from)).clamp(0.0, 1.0)
    }

    /// Returns about five round values to mark.
    pub fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { from, to } => {
                let step = step(to - from);
                let ticks = ((to - from) / step + 1e-9) as usize;
                (0..=ticks).map(|tick| from + tick as f64 * step).collect()
            }
            Self::Log { from, to } => {
                let decades = (to / from).log10();
                let within = |tick: &f64| (from * 0.999..=to * 1.001).contains(tick);
                let first = from.log10().floor() as i32;
                let every = if decades > 8.0 { 3 } else { 1 };
                let powers = (first..=to.log10().ceil() as i32).filter(|power| power % every == 0);
                let in_decade: &[f64] = if decades < 3.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                powers
                    .flat_map(|power| in_decade.iter().map(move |digit| decimal(*digit, power)))
                    .filter(within)
                    .collect()
            }
            Self::LogFromZero { to } => {
                let powers = (0..=15).map(|power| decimal(1.0, power));
                std::iter::once(0.0).chain(powers.take_while(|tick| *tick <= to)).collect()
            }
        }
    }

    /// Returns the ticks labelled in this unit; a linear scale of times uses one unit throughout.
    pub fn ticks_in(self, unit: Unit) -> Vec<(f64, String)> {
        let common = match self {
            Self::Linear { to, .. } => Some(format::time_unit(to)),
            _ => None,
        };
        self.labelled(|tick| match unit {
            Unit::Seconds => {
                let (length, symbol) = common.unwrap_or_else(|| format::time_unit(tick));
                format!("{} {symbol}", format::short(tick / length))
            }
            Unit::PerSecond => format!("{}/s", format::short(tick)),
        })
    }

    /// Returns the ticks with these labels.
    pub fn labelled(self, label: impl Fn(f64) -> String) -> Vec<(f64, String)> {
        self.ticks().into_iter().map(|tick| (tick, label(tick))).collect()
    }

    /// Returns whether the scale is logarithmic, which a chart should say.
    pub fn is_log(self) -> bool {
        !matches!(self, Self::Linear { .. })
    }
}

/// The distance between about five round ticks: 1, 2 or 5 times a power of ten.
fn step(span: f64) -> f64 {
    ceiling(span / 5.0 * 0.999_999)
}

/// Rounds up to 1, 2 or 5 times a power of ten.
fn ceiling(value: f64) -> f64 {
    let power = value.log10().floor() as i32;
    let rounds = [1.0, 2.0, 5.0, 10.0].map(|digit| decimal(digit, power));
    rounds.into_iter().find(|round| *round >= value * 0.999_999).unwrap_or(rounds[3])
}

/// Rounds down to 1, 2 or 5 times a power of ten.
fn floor(value: f64) -> f64 {
    let power = value.log10().floor() as i32;
    let rounds = [5.0, 2.0, 1.0].map(|digit| decimal(digit, power));
    rounds.into_iter().find(|round| *round <= value * 1.000_001).unwrap_or(rounds[2])
}

/// Divides by powers below 1 instead of multiplying, because 0.1 has no exact binary form.
fn decimal(digit: f64, power: i32) -> f64 {
    if power < 0 { digit / 10f64.powi(-power) } else { digit * 10f64.powi(power) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(scale: Scale) -> Vec<String> {
        scale.ticks_in(Unit::Seconds).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn similar_values_are_linear_from_zero() {
        let scale = Scale::fit([0.0031, 0.0047].into_iter());
        assert_eq!(labels(scale), ["0 ms", "1 ms", "2 ms", "3 ms", "4 ms", "5 ms"]);
        assert_eq!((scale.fraction(0.0), scale.fraction(0.005)), (0.0, 1.0));
        assert!(!scale.is_log());
    }

    #[test]
    fn values_far_apart_are_logarithmic() {
        let scale = Scale::fit([0.0, 230e-6, 0.041].into_iter());
        let marks = ["200 µs", "500 µs", "1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms"];
        assert_eq!(labels(scale), marks);
        assert_eq!(scale.fraction(0.0), 0.0);
        let decades = Scale::fit([1e-6, 3.0].into_iter());
        let marks = ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"];
        assert_eq!(labels(decades), marks);
    }

    #[test]
    fn counts_are_logarithmic_from_zero_if_one_is_far_above_the_others() {
        assert_eq!(Scale::counts(2.0, 30.0).ticks(), [0.0, 10.0, 20.0, 30.0]);
        let scale = Scale::counts(2.0, 3_000.0);
        assert_eq!(scale.ticks(), [0.0, 1.0, 10.0, 100.0, 1_000.0]);
        assert_eq!((scale.fraction(0.0), scale.fraction(3_000.0)), (0.0, 1.0));
    }

    #[test]
    fn no_value_and_only_zeros_have_a_scale() {
        for scale in [Scale::fit([].into_iter()), Scale::fit([0.0, 0.0].into_iter())] {
            assert_eq!(scale, Scale::Linear { from: 0.0, to: 1.0 });
        }
    }

    proptest! {
        #[test]
        fn every_value_lies_on_the_axis_and_every_scale_has_ticks(
            values in prop::collection::vec(prop_oneof![
                prop::num::f64::ANY, 0.0..1e-6, 0.0..1.0, -10.0..10.0, 1.0..1e9,
            ], 0..20)
        ) {
            let in_bounds = |value: &f64| value.abs() < 1e300;
            let values: Vec<f64> = values.into_iter().filter(in_bounds).collect();
            let scale = Scale::fit(values.iter().copied());
            for value in &values {
                prop_assert!((0.0..=1.0).contains(&scale.fraction(*value)), "{value} on {scale:?}");
            }
            let ticks = scale.ticks();
            prop_assert!((2..=13).contains(&ticks.len()), "{ticks:?} of {scale:?}");
            prop_assert!(ticks.is_sorted());
        }

        #[test]
        fn a_greater_value_is_never_drawn_below_a_smaller_one(
            a in 0.0..1e6, b in 0.0..1e6, c in 1e-9..1e9
        ) {
            let scale = Scale::fit([a, b, c].into_iter());
            let (less, more) = (f64::min(a, b), f64::max(a, b));
            prop_assert!(scale.fraction(less) <= scale.fraction(more));
        }
    }
}
