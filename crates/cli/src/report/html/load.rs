//! Latency by load.

use std::time::Duration;

use maud::{Markup, html};

use super::page::{LoadCurve, LoadPoint};
use super::plot::{Axis, Line, Plot};
use super::scale::Scale;
use super::series::Series;
use super::{format, table};

/// What is no load is not drawn.
const LOADS: std::ops::Range<f64> = 0.0..1e6;

/// The section, if there are curves.
pub fn section(curves: &[LoadCurve], series: &Series) -> Markup {
    let Some(plots) = plots(curves, series) else {
        return Markup::default();
    };
    html! {
        section aria-labelledby="load" {
            h2 id="load" { "Latency by load" }
            p.note { "Load is the work offered as a share of what all workers can do." }
            div.pair { @for plot in &plots { (plot.draw()) } }
            (figures_behind(curves, series))
        }
    }
}

/// The charts, of mean and 99th percentile, if there are curves.
pub fn plots(curves: &[LoadCurve], series: &Series) -> Option<[Plot; 2]> {
    curves.iter().flat_map(|curve| &curve.points).find(|point| LOADS.contains(&point.load))?;
    Some([
        chart("load-mean", "mean", curves, series, |point| point.mean),
        chart("load-p99", "99th percentile", curves, series, |point| point.p99),
    ])
}

fn chart(
    id: &'static str,
    of: &str,
    curves: &[LoadCurve],
    series: &Series,
    latency: fn(&LoadPoint) -> Duration,
) -> Plot {
    let lines: Vec<Line> = curves
        .iter()
        .map(|curve| Line {
            mark: series.find(&curve.strategy),
            name: curve.strategy.clone(),
            points: curve
                .points
                .iter()
                .filter(|point| LOADS.contains(&point.load))
                .map(|point| (point.load, latency(point).as_secs_f64()))
                .collect(),
        })
        .collect();
    let figures = || lines.iter().flat_map(|line| &line.points);
    let loads = || figures().map(|(load, _)| *load);
    let x = Scale::linear(loads().fold(1.0, f64::min), loads().fold(0.0, f64::max));
    let y = Scale::fit(figures().map(|(_, seconds)| *seconds));
    Plot {
        id,
        title: format!("Latency by load, {of}"),
        description: description(&lines),
        x: Axis {
            name: "load".into(),
            scale: x,
            ticks: x.labelled(|load| format!("{} %", format::short(load * 100.0))),
            kind: "share",
        },
        y: Axis { name: format!("latency, {of}"), scale: y, ticks: y.time_ticks(), kind: "time" },
        lines,
        points: true,
        half: true,
    }
}

fn description(lines: &[Line]) -> String {
    let mut ends: Vec<(&str, (f64, f64))> = lines
        .iter()
        .filter_map(|line| Some((line.name.as_str(), line.points.last().copied()?)))
        .collect();
    ends.sort_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
    let end = |(name, (load, seconds)): &(&str, (f64, f64))| {
        format!("{name} {} at {}", format::time(*seconds), format::percent(*load))
    };
    let ends: Vec<String> = ends.iter().map(end).collect();
    format!("At the highest load, from the lowest: {}.", ends.join(", "))
}

fn figures_behind(curves: &[LoadCurve], series: &Series) -> Markup {
    let mut loads: Vec<f64> =
        curves.iter().flat_map(|curve| &curve.points).map(|point| point.load).collect();
    loads.retain(|load| LOADS.contains(load));
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    let rows: Vec<_> = curves
        .iter()
        .map(|curve| {
            let both = |load: &f64| {
                let point = curve.points.iter().find(|point| point.load == *load);
                let [mean, p99] = [point.map(|point| point.mean), point.map(|point| point.p99)];
                [format::duration(mean), format::duration(p99)]
            };
            let figures = loads.iter().flat_map(both).collect();
            (series.find(&curve.strategy), curve.strategy.as_str(), figures)
        })
        .collect();
    let headings: Vec<String> = loads
        .iter()
        .flat_map(|load| ["mean", "p99"].map(|of| format!("{of} at {}", format::percent(*load))))
        .collect();
    table::behind("Latency by load", &table::of_strategies(&headings, &rows))
}
