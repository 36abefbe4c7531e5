//! How the tasks were spread over the workers: a small chart a strategy, all to one scale.

use maud::{Markup, html};

use super::page::Shares;
use super::plot::{at, cut, path};
use super::scale::Scale;
use super::series::Series;
use super::{format, table};

/// More workers have no names beside their bars and stand in order of their shares.
const NAMED: usize = 16;
/// More workers share bars.
const BARS: usize = 100;
/// More workers are summed up in the table.
const IN_TABLE: usize = 64;

const WIDTH: f64 = 340.0;
const ROW: f64 = 19.0;
/// Where bars start that have names beside them.
const NAMES: f64 = 92.0;
/// What a bar's figure needs.
const FIGURE: f64 = 52.0;
const NAME: usize = 12;
const HEIGHT: f64 = 128.0;

/// The section, if shares are known.
pub fn section(shares: &Shares, series: &Series) -> Markup {
    let known = || shares.strategies.iter().filter(|(_, shares)| !shares.is_empty());
    if known().next().is_none() {
        return Markup::default();
    }
    let all = known().flat_map(|(_, shares)| shares).chain(&shares.capacity).copied();
    let most = all.filter(|share| share.is_finite()).fold(0.0, f64::max);
    html! {
        section aria-labelledby="shares" {
            h2 id="shares" { "Tasks by worker" }
            p.note { (note(shares)) }
            div.multiples {
                @for (place, (strategy, given)) in known().enumerate() {
                    @let mark = series.find(strategy);
                    figure class=(mark.classes()) {
                        figcaption { (mark.sample()) (mark.number()) " " (strategy) }
                        @if given.len() <= NAMED {
                            (named(shares, strategy, given, place, most))
                        } @else {
                            (ordered(strategy, given, place, most))
                        }
                    }
                }
            }
            (figures_behind(shares, series))
        }
    }
}

fn note(shares: &Shares) -> &'static str {
    if shares.strategies.iter().any(|(_, given)| given.len() > NAMED) {
        "Each worker's share of the tasks, the largest first. The dotted line is an equal share."
    } else if shares.capacity.is_empty() {
        "Each worker's share of the tasks. The upright mark is an equal share."
    } else {
        "Each worker's share of the tasks. The upright mark is its share of the pool's speed."
    }
}

fn worker(shares: &Shares, position: usize) -> String {
    shares.workers.get(position).cloned().unwrap_or_else(|| format!("worker {}", position + 1))
}

/// A bar a worker, with its name and figure.
fn named(shares: &Shares, strategy: &str, given: &[f64], place: usize, most: f64) -> Markup {
    let scale = Scale::Linear { from: 0.0, to: most.max(f64::MIN_POSITIVE) };
    let long = |share: f64| scale.place(share) * (WIDTH - NAMES - FIGURE);
    let equal = 1.0 / given.len() as f64;
    let fair = |position: usize| {
        let capacity = shares.capacity.get(position).copied();
        capacity.filter(|capacity| capacity.is_finite()).unwrap_or(equal)
    };
    let height = given.len() as f64 * ROW + 4.0;
    let title = format!("Tasks by worker under {strategy}");
    let describe = |(position, share): (usize, &f64)| {
        format!("{} {}", worker(shares, position), format::percent(*share))
    };
    let description = given.iter().enumerate().map(describe).collect::<Vec<_>>().join(", ");
    drawing(
        place,
        height,
        &title,
        &description,
        &html! {
            @for (position, share) in given.iter().enumerate().filter(|(_, share)| share.is_finite()) {
                @let y = position as f64 * ROW + 2.0;
                @let name = worker(shares, position);
                text.end x=(at(NAMES - 8.0)) y=(at(y + 12.5)) { (cut(&name, NAME)) }
                rect.bar x=(at(NAMES)) y=(at(y + 2.0)) width=(at(long(*share))) height="13" {
                    title { (name) ": " (format::percent(*share)) " of the tasks" }
                }
                path.fair d={
                    "M" (at(NAMES + long(fair(position)))) " " (at(y)) "v17"
                } {}
                @let beyond = long(share.max(fair(position)));
                text.figure x=(at(NAMES + beyond + 6.0)) y=(at(y + 12.5)) { (format::percent(*share)) }
            }
            path.axis d={ "M" (at(NAMES)) " 0V" (at(height)) } {}
        },
    )
}

/// Bars in order of their length, several workers to one where they are many.
fn ordered(strategy: &str, given: &[f64], place: usize, most: f64) -> Markup {
    let mut sorted: Vec<f64> = given.iter().copied().filter(|share| share.is_finite()).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (Some(largest), Some(smallest)) = (sorted.first(), sorted.last()) else {
        return Markup::default();
    };
    let equal = 1.0 / given.len() as f64;
    let (top, bottom) = (22.0, HEIGHT - 20.0);
    let scale = Scale::Linear { from: 0.0, to: most.max(f64::MIN_POSITIVE) };
    let y = |share: f64| bottom - scale.place(share) * (bottom - top);
    let count = sorted.len();
    // One outline instead of a thousand bars: between two of its corners a bar's top.
    let bars = count.min(BARS);
    let mut outline = vec![(0.0, bottom)];
    for bar in 0..bars {
        let members = &sorted[bar * count / bars..(bar + 1) * count / bars];
        let mean = members.iter().sum::<f64>() / members.len() as f64;
        let edge = |bar: usize| bar as f64 / bars as f64 * WIDTH;
        outline.extend([(edge(bar), y(mean)), (edge(bar + 1), y(mean))]);
    }
    outline.push((WIDTH, bottom));
    let title = format!("Tasks by worker under {strategy}");
    let [largest, smallest] = [largest, smallest].map(|share| format::percent(*share));
    let description = format!(
        "{count} workers; the largest share is {largest}, the smallest {smallest}, an equal one {}",
        format::percent(equal)
    );
    drawing(
        place,
        HEIGHT,
        &title,
        &description,
        &html! {
            path.bar d={ (path(&outline)) "Z" } {}
            path.equal d={ "M0 " (at(y(equal))) "H" (at(WIDTH)) } {}
            path.axis d={ "M0 " (at(bottom)) "H" (at(WIDTH)) } {}
            text x="0" y="13" { "largest " (largest) }
            text.end x=(at(WIDTH)) y="13" { "equal " (format::percent(equal)) }
            text x="0" y=(at(HEIGHT - 4.0)) { (format::short(count as f64)) " workers" }
            text.end x=(at(WIDTH)) y=(at(HEIGHT - 4.0)) { "smallest " (smallest) }
        },
    )
}

fn drawing(place: usize, height: f64, title: &str, description: &str, body: &Markup) -> Markup {
    html! {
        svg.chart.small viewBox={ "0 0 " (WIDTH) " " (at(height)) } role="img"
            aria-labelledby={ "shares-" (place) "-t" } aria-describedby={ "shares-" (place) "-d" }
        {
            title id={ "shares-" (place) "-t" } { (title) }
            desc id={ "shares-" (place) "-d" } { (description) }
            g aria-hidden="true" { (body) }
        }
    }
}

fn figures_behind(shares: &Shares, series: &Series) -> Markup {
    let most = shares.strategies.iter().map(|(_, given)| given.len()).max().unwrap_or(0);
    let rows = |figures: &dyn Fn(&[f64]) -> Vec<String>| -> Markup {
        let rows: Vec<_> = shares
            .strategies
            .iter()
            .map(|(strategy, given)| (series.find(strategy), strategy.as_str(), figures(given)))
            .collect();
        let headings: Vec<String> = if most <= IN_TABLE {
            (0..most).map(|position| worker(shares, position)).collect()
        } else {
            QUANTILES.map(|(heading, _)| heading.into()).to_vec()
        };
        table::of_strategies(&headings, &rows)
    };
    let table = if most <= IN_TABLE {
        rows(&|given| {
            let share = |position| given.get(position).map_or(format::NONE.into(), written);
            (0..most).map(share).collect()
        })
    } else {
        rows(&summary)
    };
    table::behind("Tasks by worker", &table)
}

fn written(share: &f64) -> String {
    format::percent(*share)
}

/// Which shares sum up those of many workers.
const QUANTILES: [(&str, f64); 5] = [
    ("largest", 0.0),
    ("a tenth have more than", 0.1),
    ("median", 0.5),
    ("a tenth have less than", 0.9),
    ("smallest", 1.0),
];

fn summary(given: &[f64]) -> Vec<String> {
    let mut sorted = given.to_vec();
    sorted.retain(|share| share.is_finite());
    sorted.sort_by(|a, b| b.total_cmp(a));
    let last = sorted.len().saturating_sub(1) as f64;
    let at = |(_, quantile): (&str, f64)| {
        sorted.get((quantile * last).round() as usize).map_or(format::NONE.into(), written)
    };
    QUANTILES.map(at).to_vec()
}
