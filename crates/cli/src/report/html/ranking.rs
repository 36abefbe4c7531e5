//! The ranking: a table of figures.

use maud::{Markup, html};

use super::format;
use super::page::{Ranking, Row, Unit};

/// The section, if there is anything to rank.
pub fn section(ranking: &Ranking) -> Markup {
    html! {
        @if !ranking.rows.is_empty() {
            section aria-labelledby="ranking" {
                h2 id="ranking" { "Ranking" }
                (table(ranking))
            }
        }
    }
}

fn table(ranking: &Ranking) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "strategy" }
                th scope="col" { (ranking.objective) }
                @for heading in LATENCIES.map(|(heading, _)| heading) { th scope="col" { (heading) } }
                th scope="col" { "throughput" }
                th scope="col" { "utilisation" }
                th scope="col" { "notes" }
            } }
            tbody { @for row in &ranking.rows { tr {
                th scope="row" { (row.strategy) }
                td { (objective(row, ranking.unit)) }
                @for (_, latency) in LATENCIES { td { (format::duration(latency(row))) } }
                td { (measured(row.throughput, Unit::PerSecond)) }
                td { (measured(row.utilisation, Unit::Share)) }
                td { (row.notes.join("; ")) }
            } } }
        }
    }
}

/// A latency of a row.
type Latency = fn(&Row) -> Option<std::time::Duration>;

/// The latencies, with their headings.
const LATENCIES: [(&str, Latency); 6] = [
    ("mean", |row| row.mean),
    ("p50", |row| row.p50),
    ("p90", |row| row.p90),
    ("p99", |row| row.p99),
    ("p99.9", |row| row.p999),
    ("max", |row| row.max),
];

fn objective(row: &Row, unit: Unit) -> String {
    let Some(estimate) = row.objective else { return format::NONE.into() };
    let value = format::figure(estimate.value, unit);
    match estimate.interval {
        Some((from, to)) => {
            format!("{value} ({} to {})", format::figure(from, unit), format::figure(to, unit))
        }
        None => value,
    }
}

fn measured(value: Option<f64>, unit: Unit) -> String {
    value.map_or_else(|| format::NONE.into(), |value| format::figure(value, unit))
}
