//! Axes: values, ticks and how the reader's pointer reads them.

use super::format::{self, Unit};
use super::nines;
use super::scale::Scale;

/// An axis of a [`Plot`](crate::Plot).
pub struct Axis {
    /// The name.
    pub name: String,
    pub(crate) scale: Scale,
    pub(crate) ticks: Vec<(f64, String)>,
    pub(crate) kind: Kind,
}

/// The values of an axis.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Time,
    Share,
    Nines,
}

impl Axis {
    /// Creates an axis that shows all these times, in seconds.
    pub fn time(name: impl Into<String>, seconds: impl Iterator<Item = f64>) -> Self {
        let scale = Scale::fit(seconds);
        Self { name: name.into(), scale, ticks: scale.ticks_in(Unit::Seconds), kind: Kind::Time }
    }

    /// Creates a linear axis of fractions of 1, labelled as percentages.
    pub fn share(name: impl Into<String>, from: f64, to: f64) -> Self {
        let scale = Scale::linear(from, to);
        let ticks = scale.labelled(|share| format!("{} %", format::short(share * 100.0)));
        Self { name: name.into(), scale, ticks, kind: Kind::Share }
    }

    /// Creates an axis of quantiles from 0 to this many nines, each nine as wide as the one before.
    pub fn nines(name: impl Into<String>, most: f64) -> Self {
        let scale = Scale::Linear { from: 0.0, to: most };
        Self { name: name.into(), scale, ticks: nine_ticks(most), kind: Kind::Nines }
    }

    /// Describes an end of the axis, on the drawing from `start` to `end`, to the page's script,
    /// which turns coordinates back into values.
    pub(crate) fn for_script(&self, start: &str, end: &str) -> String {
        let (scale, from, to) = match self.scale {
            Scale::Linear { from, to } => ("linear", from, to),
            Scale::Log { from, to } => ("log", from, to),
            Scale::LogFromZero { .. } => unreachable!("no axis of a plot is logarithmic from zero"),
        };
        let kind = match self.kind {
            Kind::Time => "time",
            Kind::Share => "share",
            Kind::Nines => "nines",
        };
        format!("{kind} {scale} {from:e} {to:e} {start} {end}")
    }

    /// Writes a value of the axis.
    pub(crate) fn write(&self, value: f64) -> String {
        match self.kind {
            Kind::Time => format::time(value),
            Kind::Share => format::percent(value),
            Kind::Nines => format::percentile(1.0 - 10f64.powf(-value)),
        }
    }
}

/// Ticks at 0 %, 50 % and each nine.
fn nine_ticks(most: f64) -> Vec<(f64, String)> {
    let whole = (0..=nines::whole(most)).map(nines::quantile);
    let mut quantiles: Vec<f64> = whole.chain([0.5]).collect();
    quantiles.sort_by(f64::total_cmp);
    let tick = |quantile| (nines::of(quantile), format::percentile(quantile));
    quantiles.into_iter().map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nine_is_as_wide_as_the_one_before() {
        let (values, labels): (Vec<f64>, Vec<String>) = nine_ticks(3.4).into_iter().unzip();
        assert_eq!(labels, ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        assert!((values[3] - values[2] - 1.0).abs() < 1e-9, "{values:?}");
    }

    #[test]
    fn an_axis_that_ends_at_a_nine_has_a_tick_there() {
        for (index, end) in [0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999].into_iter().enumerate() {
            assert_eq!(nine_ticks(nines::of(end)).len(), index + 3, "{end}");
        }
    }
}
