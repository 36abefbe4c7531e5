//! The ranking: a chart of the objective, and a table of all figures.

use maud::{Markup, html};
use raddle_charts::format;

use super::page::{Page, Strategy};
use super::{intervals, parts};
use crate::report::simulated::FIGURES;
use crate::report::table::{BEST, marks};

/// The section, if there is anything to rank.
pub fn section(page: &Page) -> Markup {
    if page.strategies.is_empty() {
        return Markup::default();
    }
    let content = html! { (intervals::chart(page)) (figures(page)) };
    parts::section("ranking", &format!("Ranking by {}", page.objective), &content)
}

fn figures(page: &Page) -> Markup {
    let columns = FIGURES.iter().map(|column| {
        let values: Vec<f64> =
            page.strategies.iter().map(|strategy| column.figure(&strategy.figures)).collect();
        let marks = marks(&values, column);
        (column, values, marks)
    });
    let columns: Vec<_> = columns.collect();
    let notes = page.strategies.iter().any(|strategy| !strategy.notes.is_empty());
    let rows = html! {
        thead { tr {
            th scope="col" { "strategy" }
            th.number scope="col" { (page.objective) }
            @for (column, ..) in &columns { th.number scope="col" { (column.heading) } }
            @if notes { th scope="col" { "notes" } }
        } }
        tbody { @for (mark, strategy) in page.marked() { tr {
            (parts::row_heading(mark, strategy))
            td.number { (objective(page, strategy)) }
            @for (column, values, marks) in &columns {
                td.number.best[marks[mark.0] == Some(BEST)] { (column.write(values[mark.0])) }
            }
            @if notes { td.notes { (strategy.notes.join("; ")) } }
        } } }
    };
    html! {
        (parts::scrolling("Throughput, utilisation and latencies", &rows))
        @if page.strategies.len() > 1 { p.note { "Bold: the best of a column." } }
    }
}

fn objective(page: &Page, strategy: &Strategy) -> Markup {
    let Some(estimate) = strategy.finite_objective() else { return html! { (format::NONE) } };
    html! {
        (page.unit.write(estimate.value))
        @if let Some((from, to)) = estimate.interval {
            " " span.interval { (page.unit.write_interval(from, to)) }
        }
    }
}
