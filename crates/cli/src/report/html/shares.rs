//! How the tasks were spread over the workers: a small chart per strategy, all to one scale.

use maud::{Markup, html};
use raddle_charts::{Scale, format, path, px, shortened};

use super::page::{Page, Strategy};
use super::parts::{self, Chart};

/// With more workers, bars have no names and are sorted by length.
const NAMED: usize = 16;
/// With more workers, each bar stands for several.
const BARS: usize = 100;
/// With more workers, the table shows quantiles.
const IN_TABLE: usize = 64;

const WIDTH: f64 = 340.0;
const ROW: f64 = 19.0;
/// Where bars with names start.
const NAMES: f64 = 92.0;
/// Room for a bar's figure.
const FIGURE: f64 = 52.0;
const LONGEST_NAME: usize = 12;
const HEIGHT: f64 = 128.0;

/// The section, if shares are known.
pub fn section(page: &Page) -> Markup {
    let known = || page.marked().filter(|(_, strategy)| !strategy.figures.share.is_empty());
    if known().next().is_none() {
        return Markup::default();
    }
    let all = known().flat_map(|(_, strategy)| shares(strategy)).chain(page.capacity.clone());
    let most = all.filter(|share| share.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let scale = Scale::Linear { from: 0.0, to: most };
    let charts = known().map(|(mark, strategy)| {
        let draw = if strategy.figures.share.len() <= NAMED { named } else { sorted };
        (mark, strategy, draw(page, strategy, &format!("shares-{}", mark.0), scale))
    });
    let content = html! {
        p.note { (note(page)) }
        (parts::multiples(charts))
        (figures(page))
    };
    parts::section("shares", "Tasks by worker", &content)
}

fn shares(strategy: &Strategy) -> impl Iterator<Item = f64> {
    strategy.figures.share.iter().map(|(_, share)| *share)
}

fn note(page: &Page) -> &'static str {
    if page.strategies.iter().any(|strategy| strategy.figures.share.len() > NAMED) {
        "Each worker's share of the tasks, the largest first. The dotted line is an equal share."
    } else if page.capacity.is_empty() {
        "Each worker's share of the tasks. The vertical mark is an equal share."
    } else {
        "Each worker's share of the tasks. The vertical mark is its share of the pool's speed."
    }
}

/// One bar per worker, with its name and share.
fn named(page: &Page, strategy: &Strategy, id: &str, scale: Scale) -> Markup {
    let given = &strategy.figures.share;
    let length = |share: f64| scale.fraction(share) * (WIDTH - NAMES - FIGURE);
    let equal = 1.0 / given.len() as f64;
    let fair = |position: usize| {
        let capacity = page.capacity.get(position).copied();
        capacity.filter(|capacity| capacity.is_finite()).unwrap_or(equal)
    };
    let height = given.len() as f64 * ROW + 4.0;
    let describe = |(name, share): &(String, f64)| format!("{name} {}", format::percent(*share));
    let description = given.iter().map(describe).collect::<Vec<_>>().join(", ");
    let finite = given.iter().enumerate().filter(|(_, (_, share))| share.is_finite());
    let bars = html! {
        @for (position, (name, share)) in finite {
            @let y = position as f64 * ROW + 2.0;
            text.end x=(px(NAMES - 8.0)) y=(px(y + 12.5)) { (shortened(name, LONGEST_NAME)) }
            rect.bar x=(px(NAMES)) y=(px(y + 2.0)) width=(px(length(*share))) height="13" {
                title { (name) ": " (format::percent(*share)) " of the tasks" }
            }
            path.fair d={ "M" (px(NAMES + length(fair(position)))) " " (px(y)) "v17" } {}
            @let end = NAMES + length(share.max(fair(position)));
            text.figure x=(px(end + 6.0)) y=(px(y + 12.5)) { (format::percent(*share)) }
        }
        path.axis d={ "M" (px(NAMES)) " 0V" (px(height)) } {}
    };
    drawing(strategy, id, height, &description, &bars)
}

/// Bars sorted by length, without names.
fn sorted(_: &Page, strategy: &Strategy, id: &str, scale: Scale) -> Markup {
    let sorted = descending(strategy);
    let (Some(largest), Some(smallest)) = (sorted.first(), sorted.last()) else {
        return Markup::default();
    };
    let equal = 1.0 / strategy.figures.share.len() as f64;
    let (top, bottom) = (22.0, HEIGHT - 20.0);
    let y = |share: f64| bottom - scale.fraction(share) * (bottom - top);
    let count = sorted.len();
    // One outline instead of a thousand bars; each pair of its points is the top of a bar.
    let bars = count.min(BARS);
    let mut outline = vec![(0.0, bottom)];
    for bar in 0..bars {
        let members = &sorted[bar * count / bars..(bar + 1) * count / bars];
        let mean = members.iter().sum::<f64>() / members.len() as f64;
        let edge = |bar: usize| bar as f64 / bars as f64 * WIDTH;
        outline.extend([(edge(bar), y(mean)), (edge(bar + 1), y(mean))]);
    }
    outline.push((WIDTH, bottom));
    let [largest, smallest, even] = [*largest, *smallest, equal].map(format::percent);
    let description = format!(
        "{count} workers; the largest share is {largest}, the smallest {smallest}, an equal one {even}"
    );
    let outline = html! {
        path.bar d={ (path(&outline)) "Z" } {}
        path.equal d={ "M0 " (px(y(equal))) "H" (px(WIDTH)) } {}
        path.axis d={ "M0 " (px(bottom)) "H" (px(WIDTH)) } {}
        text x="0" y="13" { "largest " (largest) }
        text.end x=(px(WIDTH)) y="13" { "equal " (even) }
        text x="0" y=(px(HEIGHT - 4.0)) { (format::short(count as f64)) " workers" }
        text.end x=(px(WIDTH)) y=(px(HEIGHT - 4.0)) { "smallest " (smallest) }
    };
    drawing(strategy, id, HEIGHT, &description, &outline)
}

fn drawing(
    strategy: &Strategy,
    id: &str,
    height: f64,
    description: &str,
    content: &Markup,
) -> Markup {
    let title = format!("Tasks by worker under {}", strategy.name());
    Chart { class: "small", id, width: WIDTH, height, title: &title, description }
        .draw(&html! { g aria-hidden="true" { (content) } })
}

fn descending(strategy: &Strategy) -> Vec<f64> {
    let mut sorted: Vec<f64> = shares(strategy).filter(|share| share.is_finite()).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted
}

fn figures(page: &Page) -> Markup {
    let widest = page.strategies.iter().map(|strategy| &strategy.figures.share);
    let widest = widest.max_by_key(|share| share.len()).map_or(&[][..], Vec::as_slice);
    let all = widest.len() <= IN_TABLE;
    let headings: Vec<String> = if all {
        widest.iter().map(|(worker, _)| worker.clone()).collect()
    } else {
        QUANTILES.map(|(heading, _)| heading.into()).to_vec()
    };
    let row = |strategy: &Strategy| -> Vec<String> {
        let write = |share: Option<f64>| share.map_or(format::NONE.into(), format::percent);
        if all {
            let given: Vec<f64> = shares(strategy).collect();
            return (0..widest.len()).map(|position| write(given.get(position).copied())).collect();
        }
        let sorted = descending(strategy);
        let last = sorted.len().saturating_sub(1) as f64;
        QUANTILES.map(|(_, at)| write(sorted.get((at * last).round() as usize).copied())).to_vec()
    };
    parts::figures(page, "Tasks by worker", headings.into_iter(), row)
}

/// The quantiles that the table shows for many workers, from the largest share.
const QUANTILES: [(&str, f64); 5] = [
    ("largest", 0.0),
    ("a tenth have more than", 0.1),
    ("median", 0.5),
    ("a tenth have less than", 0.9),
    ("smallest", 1.0),
];
