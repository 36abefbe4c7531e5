//! The objective of each strategy as a dot with its confidence interval.

use maud::{Markup, html};
use raddle_charts::{Mark, Scale, format, px, shortened};

use super::page::{Estimate, Page, Strategy};
use super::parts::Chart;

/// A strategy with an objective to draw.
type Known<'a> = (Mark, &'a Strategy, Estimate);

/// The chart, if there is an objective to draw: with names at the left in a wide window, and above
/// the dots on a phone.
pub fn chart(page: &Page) -> Markup {
    let known: Vec<Known<'_>> = page
        .marked()
        .filter_map(|(mark, strategy)| Some((mark, strategy, strategy.finite_objective()?)))
        .collect();
    if known.is_empty() {
        return Markup::default();
    }
    let values = known.iter().flat_map(|(_, _, estimate)| {
        let (from, to) = estimate.interval.unwrap_or((estimate.value, estimate.value));
        [from, estimate.value, to]
    });
    let scale = Scale::fit(values);
    html! {
        div.plot {
            (dots(page, &known, scale, "wide"))
            (dots(page, &known, scale, "narrow"))
        }
        p.note {
            "Dot: " (page.objective) "."
            @if known.iter().any(|(_, _, estimate)| estimate.interval.is_some()) {
                " Bar: " (format::percentile(page.confidence)) " confidence interval."
            }
        }
    }
}

fn dots(page: &Page, known: &[Known<'_>], scale: Scale, class: &'static str) -> Markup {
    let wide = class == "wide";
    let (width, left, right, row, above) =
        if wide { (900.0, 190.0, 800.0, 24.0, 12.0) } else { (366.0, 10.0, 290.0, 38.0, 26.0) };
    let bottom = known.len() as f64 * row + 4.0;
    let height = bottom + 24.0;
    let x = |value: f64| left + scale.fraction(value) * (right - left);
    let ticks = scale.ticks_in(page.unit);
    let every = if wide { 1 } else { ticks.len().div_ceil(4) };
    let describe = |(_, strategy, estimate): &Known<'_>| {
        format!("{} {}", strategy.name(), page.unit.write(estimate.value))
    };
    Chart {
        class,
        id: &format!("ranking-{class}"),
        width,
        height,
        title: &format!("Ranking by {}", page.objective),
        description: &known.iter().map(describe).collect::<Vec<_>>().join(", "),
    }
    .draw(&html! {
        g.axes aria-hidden="true" {
            @for (tick, label) in ticks.iter().step_by(every) {
                path.grid d={ "M" (px(x(*tick))) " 0V" (px(bottom)) } {}
                text.middle x=(px(x(*tick))) y=(px(height - 6.0)) { (label) }
            }
        }
        @for (index, (mark, strategy, estimate)) in known.iter().enumerate() {
            @let y = index as f64 * row + above;
            g class=(mark.classes()) aria-hidden="true" {
                @if wide {
                    text.end x=(px(left - 14.0)) y=(px(y + 4.5)) {
                        (mark.number()) " " (shortened(strategy.name(), 22))
                    }
                } @else {
                    text x="2" y=(px(y - 10.0)) { (mark.number()) " " (strategy.name()) }
                }
                @if let Some((from, to)) = estimate.interval {
                    path.whisker d={ "M" (px(x(from))) " " (px(y)) "H" (px(x(to))) } {}
                }
                circle.dot cx=(px(x(estimate.value))) cy=(px(y)) r="4.5" {}
                text.figure.end x=(px(width - 2.0)) y=(px(y + 4.5)) {
                    (page.unit.write(estimate.value))
                }
            }
        }
    })
}
