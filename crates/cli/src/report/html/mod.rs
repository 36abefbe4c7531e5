//! The report as one page that needs nothing but itself: no script, style, font or picture from
//! elsewhere, and a policy in its head that forbids them. Without its script it says the same.

mod format;
mod load;
mod page;
mod percentiles;
mod plot;
mod ranking;
mod scale;
mod series;
mod shares;
mod table;
#[cfg(test)]
mod tests;
mod timeline;

use std::io;

use maud::{DOCTYPE, Markup, PreEscaped, html};

#[allow(unused_imports, reason = "named by whoever fills a page")]
pub use page::{
    Detail, Estimate, LoadCurve, LoadPoint, Page, PercentileCurve, QueueLengths, Ranking, Row,
    Shares, Timeline, Unit,
};

use series::Series;

const STYLE: &str = include_str!("style.css");
/// What charts need, on the page and as pictures of their own.
const CHART_STYLE: &str = include_str!("chart.css");
const SCRIPT: &str = include_str!("script.js");
/// What the page itself says, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// Writes the page as HTML in UTF-8. It is made in memory first.
///
/// # Errors
/// Those of `out`.
pub fn write(page: &Page, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(document(page).into_string().as_bytes())
}

fn document(page: &Page) -> Markup {
    let series = Series::of(page);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) }
                style { (PreEscaped(CHART_STYLE)) (PreEscaped(STYLE)) (series.style()) }
            }
            body {
                header {
                    h1 { (page.title) }
                    @for line in &page.subtitle { p { (line) } }
                }
                main {
                    (advice(page))
                    (series.switches())
                    (ranking::section(&page.ranking, &series))
                    (percentiles::section(&page.percentiles, &series))
                    (load::section(&page.loads, &series))
                    (shares::section(&page.shares, &series))
                    (timeline::section(page, &series))
                    (details(page))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The page's charts of lines, each as an SVG file of its own: its name and what is in it. They have
/// their own background, and dark colours where the reader asks for those.
pub fn pictures(page: &Page) -> Vec<(&'static str, String)> {
    let series = Series::of(page);
    let plots = percentiles::plot(&page.percentiles, &series).into_iter();
    plots
        .chain(load::plots(&page.loads, &series).into_iter().flatten())
        .map(|plot| (plot.id, plot.picture(CHART_STYLE).into_string()))
        .collect()
}

fn advice(page: &Page) -> Markup {
    html! {
        @if !page.advice.is_empty() {
            section.advice aria-labelledby="advice" {
                h2 id="advice" { "Advice" }
                ul { @for sentence in &page.advice { li { (sentence) } } }
            }
        }
    }
}

fn details(page: &Page) -> Markup {
    html! {
        @if !page.details.is_empty() {
            section aria-labelledby="details" {
                h2 id="details" { "How this was measured" }
                dl {
                    @for detail in &page.details {
                        dt { (detail.name) }
                        dd {
                            @if detail.code { code { (detail.value) } } @else { (detail.value) }
                        }
                    }
                }
            }
        }
    }
}
