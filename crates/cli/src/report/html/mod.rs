//! The report as one page that needs nothing but itself: no script, font or image from elsewhere.

mod format;
mod page;
mod ranking;

use std::io;

use maud::{DOCTYPE, Markup, html};

#[allow(unused_imports, reason = "named by whoever fills a page")]
pub use page::{
    Detail, Estimate, LoadCurve, LoadPoint, Page, PercentileCurve, QueueLengths, Ranking, Row,
    Shares, Timeline, Unit,
};

/// Writes the page as HTML in UTF-8. It is made in memory first.
///
/// # Errors
/// Those of `out`.
pub fn write(page: &Page, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(document(page).into_string().as_bytes())
}

fn document(page: &Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) }
            }
            body {
                header {
                    h1 { (page.title) }
                    @for line in &page.subtitle { p { (line) } }
                }
                main {
                    (advice(page))
                    (ranking::section(&page.ranking))
                    (details(page))
                }
            }
        }
    }
}

fn advice(page: &Page) -> Markup {
    html! {
        @if !page.advice.is_empty() {
            section.advice aria-labelledby="advice" {
                h2 id="advice" { "What follows" }
                ul { @for sentence in &page.advice { li { (sentence) } } }
            }
        }
    }
}

fn details(page: &Page) -> Markup {
    html! {
        @if !page.details.is_empty() {
            section.details aria-labelledby="details" {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_written_and_what_is_not_said_has_no_section() {
        let row = Row { strategy: "least_loaded".into(), throughput: Some(5e3), ..Row::default() };
        let page = Page {
            title: "a < b".into(),
            ranking: Ranking { rows: vec![row], ..Ranking::default() },
            ..Page::default()
        };
        let mut out = Vec::new();
        write(&page, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("<h1>a &lt; b</h1>"), "{text}");
        assert!(text.contains("least_loaded") && text.contains("5,000/s"), "{text}");
        assert!(!text.contains("What follows") && !text.contains("How this"), "{text}");
    }
}
