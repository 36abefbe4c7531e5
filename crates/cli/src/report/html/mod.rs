//! The report as one HTML page: no script, style, font or picture from elsewhere, and a policy in
//! its head that forbids them. Without its script it shows the same.

mod intervals;
mod load;
mod page;
mod parts;
mod percentiles;
mod ranking;
mod shares;
mod switches;
#[cfg(test)]
mod tests;
mod timeline;

use std::io;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use page::{Detail, Estimate, Page, Strategy};

use crate::print::visible_lines;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Allows the page's own style and script, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The files of [`pictures`]: the first is always drawn, the others only for several loads.
pub const PICTURES: &[&str] = &["percentiles.svg", "load-mean.svg", "load-p99.svg"];

/// Writes the page as HTML in UTF-8.
///
/// # Errors
/// Returns the errors of `out`.
pub fn write(page: &Page, out: &mut dyn io::Write) -> io::Result<()> {
    // HTML allows no control characters, and the names of files may have some.
    out.write_all(visible_lines(&document(page).into_string()).as_bytes())
}

fn document(page: &Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) }
                style { (PreEscaped(raddle_charts::STYLE)) (PreEscaped(STYLE)) (switches::style(page)) }
            }
            body {
                header {
                    h1 { (page.title) }
                    @for line in &page.subtitle { p { (line) } }
                }
                main {
                    (advice(page))
                    (switches::boxes(page))
                    (ranking::section(page))
                    (percentiles::section(page))
                    (load::section(page))
                    (shares::section(page))
                    (timeline::section(page))
                    (details(page))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Draws the page's line charts as SVG files: the name and content of each.
pub fn pictures(page: &Page) -> Vec<(String, String)> {
    let plots = percentiles::plot(page).into_iter().chain(load::plots(page).into_iter().flatten());
    plots.map(|plot| (format!("{}.svg", plot.id), plot.picture())).collect()
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
    if page.details.is_empty() {
        return Markup::default();
    }
    let list = html! {
        dl {
            @for detail in &page.details {
                dt { (detail.name) }
                dd { @if detail.code { code { (detail.value) } } @else { (detail.value) } }
            }
        }
    };
    parts::section("details", "How this was measured", &list)
}
