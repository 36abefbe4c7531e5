//! Latency by load.

use std::time::Duration;

use maud::{Markup, html};
use raddle::sim::CurvePoint;
use raddle_charts::{Axis, Line, Plot, format};

use super::page::{Page, Strategy};
use super::parts;

/// Other loads are not drawn.
const LOADS: std::ops::Range<f64> = 0.0..1e6;

/// The section, if there are curves.
pub fn section(page: &Page) -> Markup {
    let Some(plots) = plots(page) else {
        return Markup::default();
    };
    let content = html! {
        p.note { "Load is the offered work as a fraction of what all workers can do." }
        div.pair { @for plot in &plots { (plot.draw()) } }
        (figures(page))
    };
    parts::section("load", "Latency by load", &content)
}

/// The charts of mean and 99th percentile, if there are curves.
pub fn plots(page: &Page) -> Option<[Plot; 2]> {
    page.strategies.iter().flat_map(points).next()?;
    Some([
        plot("load-mean", "mean", page, |point| point.mean),
        plot("load-p99", "99th percentile", page, |point| point.p99),
    ])
}

fn points(strategy: &Strategy) -> impl Iterator<Item = &CurvePoint> {
    strategy.loads.iter().filter(|point| LOADS.contains(&point.load))
}

fn plot(id: &'static str, of: &str, page: &Page, latency: fn(&CurvePoint) -> Duration) -> Plot {
    let lines = page.marked().map(|(mark, strategy)| Line {
        mark,
        name: strategy.name().to_owned(),
        strong: false,
        points: points(strategy).map(|point| (point.load, latency(point).as_secs_f64())).collect(),
    });
    let lines: Vec<Line> = lines.collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let loads = || points().map(|(load, _)| *load);
    Plot {
        id,
        title: format!("Latency by load, {of}"),
        x: Axis::share("load", loads().fold(1.0, f64::min), loads().fold(0.0, f64::max)),
        y: Axis::time(format!("latency, {of}"), points().map(|(_, seconds)| *seconds)),
        lines,
        markers: true,
        half_width: true,
    }
}

fn figures(page: &Page) -> Markup {
    let mut loads: Vec<f64> =
        page.strategies.iter().flat_map(points).map(|point| point.load).collect();
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    let row = |strategy: &Strategy| {
        let both = |load: &f64| {
            let point = points(strategy).find(|point| point.load == *load);
            [point.map(|point| point.mean), point.map(|point| point.p99)].map(format::duration)
        };
        loads.iter().flat_map(both).collect()
    };
    let headings = loads
        .iter()
        .flat_map(|load| ["mean", "p99"].map(|of| format!("{of} at {}", format::percent(*load))));
    parts::figures(page, "Latency by load", headings, row)
}
