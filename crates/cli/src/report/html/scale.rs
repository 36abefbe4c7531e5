//! From figures to places on an axis.

use super::format::{self, TimeUnit};

/// Figures that are further apart than this are drawn on a logarithmic axis.
const APART: f64 = 20.0;
/// No axis reaches further, whatever the figures.
const MOST_DECADES: f64 = 18.0;
/// What is less is drawn as nothing.
const LEAST: f64 = 1e-12;
/// What is more is drawn at the end of the axis.
const MOST: f64 = 1e30;

/// How figures are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Evenly.
    Linear {
        /// Where it starts.
        from: f64,
        /// Where it ends.
        to: f64,
    },
    /// By their logarithm; what is not above `from` is drawn there.
    Log {
        /// Where it starts, above 0.
        from: f64,
        /// Where it ends.
        to: f64,
    },
    /// By the logarithm of one more, which begins at 0.
    LogFromZero {
        /// Where it ends.
        to: f64,
    },
}

impl Scale {
    /// One that shows all these figures: from 0, or logarithmic if they are far apart.
    pub fn fit(figures: impl Iterator<Item = f64>) -> Self {
        let figures: Vec<f64> =
            figures.filter(|figure| (LEAST..MOST).contains(&figure.abs())).collect();
        let most = figures.iter().copied().fold(0.0, f64::max);
        let least = figures.iter().copied().filter(|figure| *figure > 0.0).fold(most, f64::min);
        let lowest = figures.iter().copied().fold(0.0, f64::min);
        if lowest == 0.0 && least > 0.0 && most / least > APART {
            let from = floor(least).max(most / 10f64.powf(MOST_DECADES));
            Self::Log { from, to: ceiling(most) }
        } else {
            Self::linear(lowest, most)
        }
    }

    /// One for counts: from 0, or logarithmic from there if most of them would lie at its foot.
    /// `typical` is a count that is to be seen well.
    pub fn counts(typical: f64, most: f64) -> Self {
        if typical > 0.0 && most / typical > APART {
            Self::LogFromZero { to: most.max(1.0) }
        } else {
            Self::linear(0.0, most)
        }
    }

    /// An even one that ends at round figures.
    pub fn linear(from: f64, to: f64) -> Self {
        if to - from < LEAST {
            return Self::Linear { from, to: from + 1.0 };
        }
        let step = step(to - from);
        let from = (from / step).floor() * step;
        Self::Linear { from, to: (to / step - 1e-9).ceil() * step }
    }

    /// Where a figure lies, from 0 to 1; at the nearer end if it lies beyond.
    pub fn place(self, figure: f64) -> f64 {
        let (at, from, to) = match self {
            Self::Linear { from, to } => (figure, from, to),
            Self::Log { from, to } => (figure.max(from).ln(), from.ln(), to.ln()),
            Self::LogFromZero { to } => (figure.max(0.0).ln_1p(), 0.0, to.ln_1p()),
        };
        ((at - from) / (to - from)).clamp(0.0, 1.0)
    }

    /// The figures to mark: some five, round ones.
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

    /// Ticks with times as labels: on an even scale all in one unit.
    pub fn time_ticks(self) -> Vec<(f64, String)> {
        let common = match self {
            Self::Linear { to, .. } => Some(TimeUnit::of(to)),
            _ => None,
        };
        let label = |tick: f64| {
            let unit = common.unwrap_or_else(|| TimeUnit::of(tick));
            format!("{} {}", format::short(tick / unit.seconds()), unit.symbol())
        };
        self.labelled(label)
    }

    /// Ticks with these labels.
    pub fn labelled(self, label: impl Fn(f64) -> String) -> Vec<(f64, String)> {
        self.ticks().into_iter().map(|tick| (tick, label(tick))).collect()
    }

    /// Whether it is not even, which is to be said.
    pub fn is_log(self) -> bool {
        !matches!(self, Self::Linear { .. })
    }
}

/// The step of some five round ticks: 1, 2 or 5 of a power of ten.
fn step(span: f64) -> f64 {
    ceiling(span / 5.0 * 0.999_999)
}

/// The next of 1, 2 and 5 of a power of ten from here on.
fn ceiling(figure: f64) -> f64 {
    let power = figure.log10().floor() as i32;
    let rounds = [1.0, 2.0, 5.0, 10.0].map(|digit| decimal(digit, power));
    rounds.into_iter().find(|round| *round >= figure * 0.999_999).unwrap_or(rounds[3])
}

/// The last of 1, 2 and 5 of a power of ten up to here.
fn floor(figure: f64) -> f64 {
    let power = figure.log10().floor() as i32;
    let rounds = [5.0, 2.0, 1.0].map(|digit| decimal(digit, power));
    rounds.into_iter().find(|round| *round <= figure * 1.000_001).unwrap_or(rounds[2])
}

/// As exact as binary fractions get: powers below 1 are divided by, not multiplied with.
fn decimal(digit: f64, power: i32) -> f64 {
    if power < 0 { digit / 10f64.powi(-power) } else { digit * 10f64.powi(power) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(scale: Scale) -> Vec<String> {
        scale.time_ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn figures_near_each_other_are_even_from_zero() {
        let scale = Scale::fit([0.0031, 0.0047].into_iter());
        assert_eq!(labels(scale), ["0 ms", "1 ms", "2 ms", "3 ms", "4 ms", "5 ms"]);
        assert_eq!((scale.place(0.0), scale.place(0.005)), (0.0, 1.0));
        assert!(!scale.is_log());
    }

    #[test]
    fn figures_far_apart_are_logarithmic() {
        let scale = Scale::fit([0.0, 230e-6, 0.041].into_iter());
        let marks = ["200 µs", "500 µs", "1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms"];
        assert_eq!(labels(scale), marks);
        assert_eq!(scale.place(0.0), 0.0);
        let decades = Scale::fit([1e-6, 3.0].into_iter());
        let marks = ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"];
        assert_eq!(labels(decades), marks);
    }

    #[test]
    fn counts_are_logarithmic_from_zero_if_one_is_far_above_the_others() {
        assert_eq!(Scale::counts(2.0, 30.0).ticks(), [0.0, 10.0, 20.0, 30.0]);
        let scale = Scale::counts(2.0, 3_000.0);
        assert_eq!(scale.ticks(), [0.0, 1.0, 10.0, 100.0, 1_000.0]);
        assert_eq!((scale.place(0.0), scale.place(3_000.0)), (0.0, 1.0));
    }

    #[test]
    fn nothing_and_nothing_but_zero_have_a_scale() {
        for scale in [Scale::fit([].into_iter()), Scale::fit([0.0, 0.0].into_iter())] {
            assert_eq!(scale, Scale::Linear { from: 0.0, to: 1.0 });
        }
    }

    proptest! {
        #[test]
        fn every_figure_has_its_place_and_a_scale_has_ticks_on_it(
            figures in prop::collection::vec(prop_oneof![
                prop::num::f64::ANY, 0.0..1e-6, 0.0..1.0, -10.0..10.0, 1.0..1e9,
            ], 0..20)
        ) {
            let in_bounds = |figure: &f64| figure.abs() < 1e300;
            let figures: Vec<f64> = figures.into_iter().filter(in_bounds).collect();
            let scale = Scale::fit(figures.iter().copied());
            for figure in &figures {
                prop_assert!((0.0..=1.0).contains(&scale.place(*figure)), "{figure} on {scale:?}");
            }
            let ticks = scale.ticks();
            prop_assert!((2..=13).contains(&ticks.len()), "{ticks:?} of {scale:?}");
            prop_assert!(ticks.is_sorted());
        }

        #[test]
        fn more_is_never_drawn_below_less(a in 0.0..1e6, b in 0.0..1e6, c in 1e-9..1e9) {
            let scale = Scale::fit([a, b, c].into_iter());
            let (less, more) = (f64::min(a, b), f64::max(a, b));
            prop_assert!(scale.place(less) <= scale.place(more));
        }
    }
}
