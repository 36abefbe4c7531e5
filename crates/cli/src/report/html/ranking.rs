//! The ranking: the objective with its intervals, and a table of figures.

use std::time::Duration;

use maud::{Markup, html};

use super::page::{Estimate, Ranking, Row, Unit};
use super::plot::{at, cut};
use super::scale::Scale;
use super::series::{Mark, Series};
use super::{format, table};

/// The section, if there is anything to rank.
pub fn section(ranking: &Ranking, series: &Series) -> Markup {
    html! {
        @if !ranking.rows.is_empty() {
            section aria-labelledby="ranking" {
                h2 id="ranking" { "Ranking by " (objective(ranking)) }
                (intervals(ranking, series))
                (table(ranking, series))
            }
        }
    }
}

fn objective(ranking: &Ranking) -> &str {
    if ranking.objective.is_empty() { "objective" } else { &ranking.objective }
}

/// An estimate of finite figures.
fn estimate(row: &Row) -> Option<Estimate> {
    let estimate = row.objective.filter(|estimate| estimate.value.is_finite())?;
    let interval = estimate.interval.filter(|(from, to)| from.is_finite() && to.is_finite());
    Some(Estimate { interval, ..estimate })
}

/// The objective as a dot each, with its interval. The wide drawing has names at the left, the
/// narrow one above the dots.
fn intervals(ranking: &Ranking, series: &Series) -> Markup {
    let known: Vec<(Mark, &Row, Estimate)> = ranking
        .rows
        .iter()
        .filter_map(|row| Some((series.find(&row.strategy), row, estimate(row)?)))
        .collect();
    if known.is_empty() {
        return Markup::default();
    }
    let figures = known.iter().flat_map(|(_, _, estimate)| {
        let (from, to) = estimate.interval.unwrap_or((estimate.value, estimate.value));
        [from, estimate.value, to]
    });
    let scale = Scale::fit(figures);
    html! {
        div.plot {
            (dots(ranking, &known, scale, "wide"))
            (dots(ranking, &known, scale, "narrow"))
        }
        p.note {
            "Dot: " (objective(ranking)) "."
            @if known.iter().any(|(_, _, estimate)| estimate.interval.is_some()) {
                " Bar: " (format::percentile(ranking.confidence)) " confidence interval."
            }
        }
    }
}

fn dots(
    ranking: &Ranking,
    known: &[(Mark, &Row, Estimate)],
    scale: Scale,
    size: &'static str,
) -> Markup {
    let wide = size == "wide";
    let (width, left, right, row, above) =
        if wide { (900.0, 190.0, 800.0, 24.0, 12.0) } else { (366.0, 10.0, 290.0, 38.0, 26.0) };
    let bottom = known.len() as f64 * row + 4.0;
    let height = bottom + 24.0;
    let x = |figure: f64| left + scale.place(figure) * (right - left);
    let ticks = match ranking.unit {
        Unit::Seconds => scale.time_ticks(),
        Unit::PerSecond => scale.labelled(|tick| format!("{}/s", format::short(tick))),
        Unit::Share => scale.labelled(|tick| format!("{} %", format::short(tick * 100.0))),
        Unit::Number => scale.labelled(format::short),
    };
    let every = if wide { 1 } else { ticks.len().div_ceil(4) };
    let told = |(_, row, estimate): &(Mark, &Row, Estimate)| {
        format!("{} {}", row.strategy, format::figure(estimate.value, ranking.unit))
    };
    let told: Vec<String> = known.iter().map(told).collect();
    html! {
        svg.chart.(size) viewBox={ "0 0 " (width) " " (height) } role="img"
            aria-labelledby={ "ranking-" (size) "-t" } aria-describedby={ "ranking-" (size) "-d" }
        {
            title id={ "ranking-" (size) "-t" } { "Ranking by " (objective(ranking)) }
            desc id={ "ranking-" (size) "-d" } { (told.join(", ")) }
            g.axes aria-hidden="true" {
                @for (tick, label) in ticks.iter().step_by(every) {
                    path.grid d={ "M" (at(x(*tick))) " 0V" (at(bottom)) } {}
                    text.middle x=(at(x(*tick))) y=(at(height - 6.0)) { (label) }
                }
            }
            @for (place, (mark, ranked, estimate)) in known.iter().enumerate() {
                @let y = place as f64 * row + above;
                g class=(mark.classes()) aria-hidden="true" {
                    @if wide {
                        text.end x=(at(left - 14.0)) y=(at(y + 4.5)) {
                            (mark.number()) " " (cut(&ranked.strategy, 22))
                        }
                    } @else {
                        text x="2" y=(at(y - 10.0)) { (mark.number()) " " (ranked.strategy) }
                    }
                    @if let Some((from, to)) = estimate.interval {
                        path.whisker d={ "M" (at(x(from))) " " (at(y)) "H" (at(x(to))) } {}
                    }
                    circle.dot cx=(at(x(estimate.value))) cy=(at(y)) r="4.5" {}
                    text.figure.end x=(at(width - 2.0)) y=(at(y + 4.5)) {
                        (format::figure(estimate.value, ranking.unit))
                    }
                }
            }
        }
    }
}

/// A figure of a row: as it is compared, and as it is written.
struct Column {
    heading: &'static str,
    figure: fn(&Row) -> Option<f64>,
    written: fn(f64) -> String,
    more_is_better: Option<bool>,
}

const fn latency(heading: &'static str, figure: fn(&Row) -> Option<f64>) -> Column {
    Column { heading, figure, written: format::time, more_is_better: Some(false) }
}

fn seconds(latency: Option<Duration>) -> Option<f64> {
    latency.map(|latency| latency.as_secs_f64())
}

const COLUMNS: [Column; 8] = [
    latency("mean", |row| seconds(row.mean)),
    latency("p50", |row| seconds(row.p50)),
    latency("p90", |row| seconds(row.p90)),
    latency("p99", |row| seconds(row.p99)),
    latency("p99.9", |row| seconds(row.p999)),
    latency("max", |row| seconds(row.max)),
    Column {
        heading: "throughput",
        figure: |row| row.throughput,
        written: |figure| format::figure(figure, Unit::PerSecond),
        more_is_better: Some(true),
    },
    Column {
        heading: "utilisation",
        figure: |row| row.utilisation,
        written: format::percent,
        more_is_better: None,
    },
];

fn table(ranking: &Ranking, series: &Series) -> Markup {
    let columns: Vec<(&Column, Vec<Cell>)> =
        COLUMNS.iter().map(|column| (column, cells(column, &ranking.rows))).collect();
    let notes = ranking.rows.iter().any(|row| !row.notes.is_empty());
    let rows = html! {
        thead { tr {
            th scope="col" { "strategy" }
            th.number scope="col" { (objective(ranking)) }
            @for (column, _) in &columns { th.number scope="col" { (column.heading) } }
            @if notes { th scope="col" { "notes" } }
        } }
        tbody { @for (place, row) in ranking.rows.iter().enumerate() { tr {
            (table::strategy(series.find(&row.strategy), &row.strategy))
            td.number { (objective_cell(row, ranking.unit)) }
            @for (_, cells) in &columns {
                @let cell = &cells[place];
                td.number.best[cell.best] { (cell.text) }
            }
            @if notes { td.notes { (row.notes.join("; ")) } }
        } } }
    };
    html! {
        (table::scrolling("Latencies, throughput and utilisation", &rows))
        @if ranking.rows.len() > 1 { p.note { "In bold: the best of a column." } }
    }
}

/// A figure as written, and whether it is the best of its column.
#[derive(Debug, PartialEq, Eq)]
struct Cell {
    text: String,
    best: bool,
}

/// The cells of a column. Figures that are written alike are marked alike, and none is marked
/// where all are.
fn cells(column: &Column, rows: &[Row]) -> Vec<Cell> {
    let figures: Vec<Option<f64>> =
        rows.iter().map(|row| (column.figure)(row).filter(|figure| figure.is_finite())).collect();
    let written = |figure: f64| (column.written)(figure);
    let best = column.more_is_better.and_then(|more| {
        let order = |a: &f64, b: &f64| if more { b.total_cmp(a) } else { a.total_cmp(b) };
        let best = written(figures.iter().copied().flatten().min_by(order)?);
        figures.iter().flatten().any(|figure| written(*figure) != best).then_some(best)
    });
    let cell = |figure: &Option<f64>| {
        let text = figure.map_or_else(|| format::NONE.into(), written);
        let best = figure.is_some() && best.as_ref() == Some(&text);
        Cell { text, best }
    };
    figures.iter().map(cell).collect()
}

fn objective_cell(row: &Row, unit: Unit) -> Markup {
    let Some(estimate) = estimate(row) else { return html! { (format::NONE) } };
    html! {
        (format::figure(estimate.value, unit))
        @if let Some((from, to)) = estimate.interval {
            " " span.interval {
                (format::interval(from, to, unit))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_a_column_is_marked_unless_all_are_alike() {
        let row = |micros| Row { p99: micros, ..Row::default() };
        let p99 = &COLUMNS[3];
        let marked = |rows: &[Row]| -> Vec<bool> {
            cells(p99, rows).into_iter().map(|cell| cell.best).collect()
        };
        let us = |micros| Some(Duration::from_micros(micros));
        let rows = [row(us(40_001)), row(us(40_004)), row(None), row(us(50_000))];
        assert_eq!(marked(&rows), [true, true, false, false]);
        assert_eq!(marked(&[row(us(40_001)), row(us(40_004))]), [false, false]);
        assert_eq!(marked(&[row(None)]), [false]);
    }

    #[test]
    fn more_throughput_is_better_and_no_utilisation_is() {
        let row = |figure| Row {
            throughput: Some(figure),
            utilisation: Some(figure / 10.0),
            ..Row::default()
        };
        let rows = [row(1.0), row(2.0), row(f64::NAN)];
        let best = |column: &Column| -> Vec<bool> {
            cells(column, &rows).into_iter().map(|cell| cell.best).collect()
        };
        assert_eq!(best(&COLUMNS[6]), [false, true, false]);
        assert_eq!(best(&COLUMNS[7]), [false; 3]);
    }
}
