//! Tables: they scroll within themselves, so that the page does not.

use maud::{Markup, html};

use super::series::Mark;

/// A table that may be wider than the window.
pub fn scrolling(caption: &str, table: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table { caption { (caption) } (table) }
        }
    }
}

/// A chart's figures, folded away below it.
pub fn behind(caption: &str, table: &Markup) -> Markup {
    html! {
        details.figures {
            summary { "Figures" }
            (scrolling(caption, table))
        }
    }
}

/// The heading of a strategy's row.
pub fn strategy(mark: Mark, name: &str) -> Markup {
    html! { th scope="row" { (mark.sample()) (mark.number()) " " (name) } }
}

/// A table of figures: a heading and a row a strategy.
pub fn of_strategies(headings: &[String], rows: &[(Mark, &str, Vec<String>)]) -> Markup {
    html! {
        thead { tr {
            th scope="col" { "strategy" }
            @for heading in headings { th.number scope="col" { (heading) } }
        } }
        tbody { @for (mark, name, figures) in rows { tr {
            (strategy(*mark, name))
            @for figure in figures { td.number { (figure) } }
        } } }
    }
}
