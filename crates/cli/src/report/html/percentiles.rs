//! Latency by percentile.

use std::time::Duration;

use maud::{Markup, html};
use raddle_charts::{Line, Plot, format, nines};

use super::page::{Page, Strategy};
use super::parts;

const TITLE: &str = "Latency by percentile";
/// The table has no further nines.
const MOST_NINES: f64 = 9.0;

/// The section, if there are curves.
pub fn section(page: &Page) -> Markup {
    let Some(plot) = plot(page) else {
        return Markup::default();
    };
    let content = html! {
        p.note {
            "The percentage of tasks that were done within a time. The further to the right a line "
            "stays low, the rarer its slow tasks are."
        }
        (plot.draw())
        (figures(page))
    };
    parts::section("percentiles", TITLE, &content)
}

/// The chart, if there are curves.
pub fn plot(page: &Page) -> Option<Plot> {
    let lines = page.marked().map(|(mark, strategy)| {
        let points = strategy.percentiles.iter();
        Line {
            mark,
            name: strategy.name().to_owned(),
            strong: false,
            points: points.map(|(at, latency)| (*at, latency.as_secs_f64())).collect(),
        }
    });
    raddle_charts::percentiles(TITLE, lines.collect())
}

fn figures(page: &Page) -> Markup {
    let drawn = page.strategies.iter().flat_map(|strategy| &strategy.percentiles);
    let drawn = drawn.map(|(at, _)| nines::of(*at)).filter(|nines| *nines <= MOST_NINES);
    let nines = (1..=nines::whole(drawn.fold(1.0, f64::max))).map(nines::quantile);
    let quantiles: Vec<f64> = [0.5, 0.75].into_iter().chain(nines).chain([1.0]).collect();
    let headings = quantiles.iter().map(|at| format::percentile(*at));
    let row = |strategy: &Strategy| {
        let at = |quantile: &f64| format::duration(latency_at(&strategy.percentiles, *quantile));
        quantiles.iter().map(at).collect()
    };
    parts::figures(page, TITLE, headings, row)
}

/// The latency of the first point at or after a quantile.
fn latency_at(points: &[(f64, Duration)], quantile: f64) -> Option<Duration> {
    Some(points.iter().find(|(at, _)| *at >= quantile - 1e-12)?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_latency_at_or_after_a_percentile() {
        let ms = Duration::from_millis;
        let points = [(0.0, ms(1)), (0.5, ms(2)), (0.95, ms(3)), (1.0, ms(4))];
        let at = |count: usize, quantile| latency_at(&points[..count], quantile);
        assert_eq!([at(3, 0.5), at(3, 0.9), at(3, 0.99)], [Some(ms(2)), Some(ms(3)), None]);
        assert_eq!(at(4, 1.0), Some(ms(4)));
    }
}
