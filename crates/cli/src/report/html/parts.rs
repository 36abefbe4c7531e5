//! Elements that all sections share.

use maud::{Markup, html};
use raddle_charts::Mark;

use super::page::{Page, Strategy};

/// A section of the page.
pub fn section(id: &str, heading: &str, content: &Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (heading) } (content) } }
}

/// A chart: its title and description are for those who cannot see it.
pub struct Chart<'a> {
    /// Shows it in windows of one width: `wide`, `narrow` or `small`, which is always shown.
    pub class: &'static str,
    /// Must differ from the ids of other charts.
    pub id: &'a str,
    /// In pixels if it is not scaled.
    pub width: f64,
    /// In pixels if it is not scaled.
    pub height: f64,
    /// What it shows.
    pub title: &'a str,
    /// What can be read off it.
    pub description: &'a str,
}

impl Chart<'_> {
    /// Draws it around this content.
    pub fn draw(&self, content: &Markup) -> Markup {
        let Self { class, id, width, height, title, description } = self;
        html! {
            svg.chart.(class) viewBox={ "0 0 " (width) " " (height) } role="img"
                aria-labelledby={ (id) "-t" } aria-describedby={ (id) "-d" }
            {
                title id={ (id) "-t" } { (title) }
                desc id={ (id) "-d" } { (description) }
                (content)
            }
        }
    }
}

/// Small charts beside each other, one per strategy.
pub fn multiples<'a>(charts: impl Iterator<Item = (Mark, &'a Strategy, Markup)>) -> Markup {
    html! {
        div.multiples {
            @for (mark, strategy, chart) in charts {
                figure class=(mark.classes()) {
                    figcaption { (mark.sample()) (mark.number()) " " (strategy.name()) }
                    (chart)
                }
            }
        }
    }
}

/// A table that scrolls within itself, so that the page does not.
pub fn scrolling(caption: &str, table: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table { caption { (caption) } (table) }
        }
    }
}

/// The heading of a strategy's row in a table.
pub fn row_heading(mark: Mark, strategy: &Strategy) -> Markup {
    html! { th scope="row" { (mark.sample()) (mark.number()) " " (strategy.name()) } }
}

/// The figures of a chart, folded away below it: one row per strategy.
pub fn figures(
    page: &Page,
    caption: &str,
    headings: impl Iterator<Item = String>,
    row: impl Fn(&Strategy) -> Vec<String>,
) -> Markup {
    let table = html! {
        thead { tr {
            th scope="col" { "strategy" }
            @for heading in headings { th.number scope="col" { (heading) } }
        } }
        tbody { @for (mark, strategy) in page.marked() { tr {
            (row_heading(mark, strategy))
            @for figure in row(strategy) { td.number { (figure) } }
        } } }
    };
    html! { details.figures { summary { "Figures" } (scrolling(caption, &table)) } }
}
