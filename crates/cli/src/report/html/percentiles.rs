//! Latency by percentile, the horizontal axis stretched so that each further nine is as wide as
//! the one before: the form that `HdrHistogram` made common.

use std::time::Duration;

use maud::{Markup, html};

use super::page::PercentileCurve;
use super::plot::{Axis, Line, Plot};
use super::scale::Scale;
use super::series::Series;
use super::{format, table};

/// Further nines are not drawn.
const MOST_NINES: f64 = 9.0;
const HALF: f64 = 0.5;

/// The section, if there are curves.
pub fn section(curves: &[PercentileCurve], series: &Series) -> Markup {
    let Some(plot) = plot(curves, series) else {
        return Markup::default();
    };
    html! {
        section aria-labelledby="percentiles" {
            h2 id="percentiles" { "Latency by percentile" }
            p.note {
                "So many of the tasks were done within this time. The further right a line stays "
                "low, the rarer are its slow tasks."
            }
            (plot.draw())
            (figures_behind(curves, series))
        }
    }
}

/// The chart, if there are curves.
pub fn plot(curves: &[PercentileCurve], series: &Series) -> Option<Plot> {
    let lines: Vec<Line> = curves
        .iter()
        .map(|curve| Line {
            mark: series.find(&curve.strategy),
            name: curve.strategy.clone(),
            points: points(curve),
        })
        .filter(|line| !line.points.is_empty())
        .collect();
    if lines.is_empty() {
        return None;
    }
    let figures = || lines.iter().flat_map(|line| &line.points);
    let nines = figures().map(|(nines, _)| *nines).fold(1.0, f64::max);
    let y = Scale::fit(figures().map(|(_, seconds)| *seconds));
    Some(Plot {
        id: "percentiles",
        title: "Latency by percentile".into(),
        description: description(&lines),
        x: Axis {
            name: "percentile, drawn by 1 / (1 − p)".into(),
            scale: Scale::Linear { from: 0.0, to: nines },
            ticks: ticks(nines),
            kind: "nines",
        },
        y: Axis { name: "latency".into(), scale: y, ticks: y.time_ticks(), kind: "time" },
        lines,
        points: false,
        half: false,
    })
}

/// A curve's points before 100 %, by their nines and seconds.
fn points(curve: &PercentileCurve) -> Vec<(f64, f64)> {
    let before_the_end = curve.points.iter().filter(|(quantile, _)| (0.0..1.0).contains(quantile));
    before_the_end
        .map(|(quantile, latency)| (nines(*quantile), latency.as_secs_f64()))
        .filter(|(nines, _)| *nines <= MOST_NINES)
        .collect()
}

/// How many nines a quantile has: 1 for 0.9, 2 for 0.99.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// The quantile with so many nines.
fn with_nines(nines: u8) -> f64 {
    1.0 - 10f64.powi(-i32::from(nines))
}

/// How many whole nines there are: 0.999 has three, though 1 - 0.999 is a little above 0.001.
fn whole(nines: f64) -> u8 {
    (nines + 1e-6) as u8
}

/// 0 %, 50 %, and each nine.
fn ticks(most: f64) -> Vec<(f64, String)> {
    let whole = (0..=whole(most)).map(with_nines);
    let mut quantiles: Vec<f64> = whole.chain([HALF]).collect();
    quantiles.sort_by(f64::total_cmp);
    quantiles.into_iter().map(|quantile| (nines(quantile), format::percentile(quantile))).collect()
}

fn description(lines: &[Line]) -> String {
    let mut ends: Vec<(&str, (f64, f64))> = lines
        .iter()
        .filter_map(|line| Some((line.name.as_str(), line.points.last().copied()?)))
        .collect();
    ends.sort_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
    let end = |(name, (nines, seconds)): &(&str, (f64, f64))| {
        let percentile = format::percentile(1.0 - 10f64.powf(-nines));
        format!("{name} {} at {percentile}", format::time(*seconds))
    };
    let ends: Vec<String> = ends.iter().map(end).collect();
    format!("The curves end, from the lowest: {}.", ends.join(", "))
}

fn figures_behind(curves: &[PercentileCurve], series: &Series) -> Markup {
    let most = curves.iter().flat_map(points).map(|(nines, _)| nines).fold(1.0, f64::max);
    let nines = (1..=whole(most)).map(with_nines);
    let quantiles: Vec<f64> = [HALF, 0.75].into_iter().chain(nines).chain([1.0]).collect();
    let rows: Vec<_> = curves
        .iter()
        .map(|curve| {
            let at = |quantile: &f64| format::duration(latency_at(curve, *quantile));
            let figures = quantiles.iter().map(at).collect();
            (series.find(&curve.strategy), curve.strategy.as_str(), figures)
        })
        .collect();
    let headings: Vec<String> = quantiles.iter().map(|at| format::percentile(*at)).collect();
    table::behind("Latency by percentile", &table::of_strategies(&headings, &rows))
}

/// The latency at a quantile: that of the first point that is not before it.
fn latency_at(curve: &PercentileCurve, quantile: f64) -> Option<Duration> {
    let at = curve.points.iter().find(|(at, _)| *at >= quantile - 1e-12)?;
    Some(at.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nine_is_as_far_as_the_one_before() {
        let labels: Vec<String> = ticks(3.4).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        let places: Vec<f64> = ticks(3.4).into_iter().map(|(place, _)| place).collect();
        assert!((places[3] - places[2] - 1.0).abs() < 1e-9, "{places:?}");
    }

    #[test]
    fn a_curve_that_ends_at_a_nine_has_its_tick() {
        for (place, end) in [0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999].into_iter().enumerate() {
            assert_eq!(ticks(nines(end)).len(), place + 3, "{end}");
        }
    }

    #[test]
    fn a_whole_quantile_and_what_is_not_one_is_not_drawn() {
        let second = Duration::from_secs(1);
        let points_at = [-0.5, 0.0, 0.5, f64::NAN, 0.9, 1.0 - 1e-12, 1.0];
        let curve = PercentileCurve {
            strategy: "a".into(),
            points: points_at.map(|at| (at, second)).to_vec(),
        };
        assert_eq!(points(&curve).len(), 3);
        assert_eq!(latency_at(&curve, 1.0), Some(second));
    }

    #[test]
    fn the_table_has_the_latency_at_or_after_a_percentile() {
        let ms = Duration::from_millis;
        let curve = PercentileCurve {
            strategy: "a".into(),
            points: vec![(0.0, ms(1)), (0.5, ms(2)), (0.95, ms(3))],
        };
        let at = [0.5, 0.9, 0.99].map(|quantile| latency_at(&curve, quantile));
        assert_eq!(at, [Some(ms(2)), Some(ms(3)), None]);
    }
}
