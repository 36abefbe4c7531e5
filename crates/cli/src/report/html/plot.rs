//! Lines over two axes, drawn once for a wide window and once for a phone. The page's style shows
//! one of the two.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::scale::Scale;
use super::series::Mark;

/// Above the plot: the name of the vertical axis.
const TOP: f64 = 30.0;
/// Below it: ticks and the name of the horizontal axis.
const BOTTOM: f64 = 46.0;
/// Left of it: ticks.
const LEFT: f64 = 62.0;
/// Between the end of the plot and the labels of lines.
const GAP: f64 = 16.0;
/// A letter is about so wide.
const LETTER: f64 = 7.1;
/// A letter of a line's label, which is bolder.
const LABEL_LETTER: f64 = 8.0;
/// Lines of text are so far apart.
const LINE: f64 = 15.0;
/// Longer names are cut where they label a line; the table has them whole.
const LONGEST_NAME: usize = 22;
/// Around a drawing that is a file of its own.
const MARGIN: f64 = 12.0;
/// What a page gives its charts otherwise.
const PICTURE_STYLE: &str = ".paper{fill:var(--paper)}.chart{font:12.5px system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}";
/// Points that are nearer to each other are drawn as one.
const VISIBLE: f64 = 0.6;

/// A chart of lines.
pub struct Plot {
    /// Part of ids: no other chart of the page has it.
    pub id: &'static str,
    /// What it shows.
    pub title: String,
    /// What can be read off it, for those who cannot see it.
    pub description: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
    /// Whether points are marked, as there is nothing known between them.
    pub points: bool,
    /// Whether it shares a row with another.
    pub half: bool,
}

/// An axis.
pub struct Axis {
    /// Its name, with the unit if ticks do not say it.
    pub name: String,
    /// How figures lie on it.
    pub scale: Scale,
    /// Ticks and their labels.
    pub ticks: Vec<(f64, String)>,
    /// What its figures are, for who hovers over them: `time`, `share` or `nines`.
    pub kind: &'static str,
}

/// A line.
pub struct Line {
    /// How it is drawn.
    pub mark: Mark,
    /// Its label.
    pub name: String,
    /// In the figures of both axes, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// A drawing's size, in units that are pixels where it is not scaled.
#[derive(Clone, Copy)]
struct Size {
    class: &'static str,
    width: f64,
    height: f64,
    /// Whether there is room for names beside the lines. Numbers stand there if not.
    names: bool,
}

/// A plot in one size.
struct Drawing<'a> {
    plot: &'a Plot,
    size: Size,
    right: f64,
    bottom: f64,
}

impl Plot {
    /// Both drawings.
    pub fn draw(&self) -> Markup {
        let labels = self.labels_height();
        let wide = if self.half { self.wide(470.0, 340.0) } else { self.wide(900.0, 430.0) };
        let narrow = labels.clamp(330.0, 600.0);
        let narrow = Size { class: "narrow", width: 366.0, height: narrow, names: false };
        html! {
            div.plot {
                (Drawing::new(self, wide).svg())
                (Drawing::new(self, narrow).svg())
            }
        }
    }

    /// A drawing of its own, to be a file: with a background, the style and a margin.
    pub fn picture(&self, style: &str) -> Markup {
        let drawing = Drawing::new(self, self.wide(900.0, 430.0));
        let (width, height) =
            (drawing.size.width + 2.0 * MARGIN, drawing.size.height + 2.0 * MARGIN);
        html! {
            svg.chart xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
                viewBox={ (-MARGIN) " " (-MARGIN) " " (width) " " (height) }
                role="img" aria-labelledby="t" aria-describedby="d"
            {
                title id="t" { (self.title) }
                desc id="d" { (self.description) }
                style { (PreEscaped(style)) (PreEscaped(PICTURE_STYLE)) }
                rect.paper x=(-MARGIN) y=(-MARGIN) width="100%" height="100%" {}
                (drawing.inside())
            }
        }
    }

    fn labels_height(&self) -> f64 {
        self.lines.len() as f64 * LINE + TOP + BOTTOM
    }

    /// At least so high, and as high as the labels need.
    fn wide(&self, width: f64, height: f64) -> Size {
        Size { class: "wide", width, height: height.max(self.labels_height()), names: true }
    }
}

impl<'a> Drawing<'a> {
    fn new(plot: &'a Plot, size: Size) -> Self {
        let letters =
            |line: &Line| if size.names { shortened(&line.name).chars().count() } else { 2 };
        let longest = plot.lines.iter().map(letters).max().unwrap_or(0);
        let labels = GAP + longest as f64 * LABEL_LETTER;
        Self { plot, size, right: size.width - labels.max(26.0), bottom: size.height - BOTTOM }
    }

    fn svg(&self) -> Markup {
        let Size { class, width, height, .. } = self.size;
        let id = format!("{}-{class}", self.plot.id);
        html! {
            svg.chart.(class) viewBox={ "0 0 " (width) " " (height) }
                role="img" aria-labelledby={ (id) "-t" } aria-describedby={ (id) "-d" }
                data-x=(self.hover(&self.plot.x, LEFT, self.right))
                data-y=(self.hover(&self.plot.y, self.bottom, TOP))
            {
                title id={ (id) "-t" } { (self.plot.title) }
                desc id={ (id) "-d" } { (self.plot.description) }
                (self.inside())
            }
        }
    }

    fn inside(&self) -> Markup {
        html! {
            (self.axes())
            @for line in &self.plot.lines { (self.line(line)) }
            (self.labels())
        }
    }

    fn x(&self, figure: f64) -> f64 {
        LEFT + self.plot.x.scale.place(figure) * (self.right - LEFT)
    }

    fn y(&self, figure: f64) -> f64 {
        self.bottom - self.plot.y.scale.place(figure) * (self.bottom - TOP)
    }

    /// What the page's script needs to turn places into figures again.
    fn hover(&self, axis: &Axis, start: f64, end: f64) -> String {
        let (name, from, to) = match axis.scale {
            Scale::Linear { from, to } => ("linear", from, to),
            Scale::Log { from, to } => ("log", from, to),
            Scale::LogFromZero { to } => ("zero", 0.0, to),
        };
        format!("{} {name} {from:e} {to:e} {} {}", axis.kind, at(start), at(end))
    }

    fn axes(&self) -> Markup {
        let Plot { x, y, .. } = self.plot;
        let middle = f64::midpoint(LEFT, self.right);
        let xs = apart(x.ticks.iter().map(|(tick, label)| (self.x(*tick), label.as_str())));
        html! {
            g.axes aria-hidden="true" {
                @for (tick, label) in &y.ticks {
                    @let y = self.y(*tick);
                    path.grid d={ "M" (at(LEFT)) " " (at(y)) "H" (at(self.right)) } {}
                    text.end x=(at(LEFT - 8.0)) y=(at(y + 4.0)) { (label) }
                }
                @for (tick, _) in &x.ticks {
                    path.grid d={ "M" (at(self.x(*tick))) " " (at(TOP)) "V" (at(self.bottom)) } {}
                }
                @for (x, label) in &xs {
                    text.middle x=(at(*x)) y=(at(self.bottom + 18.0)) { (label) }
                }
                path.axis d={ "M" (at(LEFT)) " " (at(self.bottom)) "H" (at(self.right)) } {}
                text.name x="2" y="14" {
                    (y.name) @if y.scale.is_log() { tspan.aside { ", logarithmic" } }
                }
                text.name.middle x=(at(middle)) y=(at(self.size.height - 6.0)) { (x.name) }
            }
        }
    }

    fn line(&self, line: &Line) -> Markup {
        let points: Vec<(f64, f64)> = self.visible(line);
        html! {
            g class=(line.mark.classes()) aria-hidden="true" {
                path.line d=(path(&points)) data-name=(line.name) {}
                @if self.plot.points || points.len() == 1 {
                    @for (x, y) in &points { circle.point cx=(at(*x)) cy=(at(*y)) r="3" {} }
                }
            }
        }
    }

    /// A line's points as drawn, those that would lie on one another left out.
    fn visible(&self, line: &Line) -> Vec<(f64, f64)> {
        let finite = line.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let drawn: Vec<(f64, f64)> = finite.map(|(x, y)| (self.x(*x), self.y(*y))).collect();
        let Some(last) = drawn.last().copied() else { return drawn };
        let mut kept: Vec<(f64, f64)> = Vec::new();
        for point in drawn {
            let far = |kept: &(f64, f64)| (kept.0 - point.0).hypot(kept.1 - point.1) >= VISIBLE;
            if kept.last().is_none_or(far) {
                kept.push(point);
            }
        }
        if kept.last() != Some(&last) {
            kept.push(last);
        }
        kept
    }

    /// Names at the ends of lines, moved apart where they would cover each other.
    fn labels(&self) -> Markup {
        let ends = self.plot.lines.iter().filter_map(|line| {
            let end = self.visible(line).last().copied()?;
            Some((line, end))
        });
        let mut ends: Vec<(&Line, (f64, f64))> = ends.collect();
        ends.sort_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
        let wanted: Vec<f64> = ends.iter().map(|(_, end)| end.1).collect();
        let places = spread(&wanted, LINE, TOP - 4.0, self.bottom + 4.0);
        html! {
            g aria-hidden="true" {
                @for ((line, (x, y)), place) in ends.iter().zip(places) {
                    g class=(line.mark.classes()) {
                        path.leader d={
                            "M" (at(x + 3.0)) " " (at(*y)) "L" (at(self.right + 3.0)) " " (at(*y))
                            "L" (at(self.right + GAP - 4.0)) " " (at(place))
                        } {}
                        text.label x=(at(self.right + GAP)) y=(at(place + 4.0)) {
                            @if self.size.names { (shortened(&line.name)) }
                            @else { (line.mark.number()) }
                        }
                    }
                }
            }
        }
    }
}

/// A coordinate: a tenth of a pixel is finer than anyone sees.
pub fn at(coordinate: f64) -> String {
    let text = format!("{coordinate:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The path through points.
pub fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (place, (x, y)) in points.iter().enumerate() {
        let command = if place == 0 { 'M' } else { 'L' };
        write!(path, "{command}{} {}", at(*x), at(*y)).expect("strings take what is written");
    }
    path
}

/// A name that fits beside a line.
pub fn shortened(name: &str) -> String {
    cut(name, LONGEST_NAME)
}

/// A name in so many letters at most.
pub fn cut(name: &str, longest: usize) -> String {
    if name.chars().count() <= longest {
        return name.into();
    }
    name.chars().take(longest - 1).chain(['…']).collect()
}

/// Those labels, from left to right, that do not run into the one before.
fn apart<'a>(labels: impl Iterator<Item = (f64, &'a str)>) -> Vec<(f64, &'a str)> {
    let mut free = f64::NEG_INFINITY;
    let mut kept = Vec::new();
    for (x, label) in labels {
        let half = label.chars().count() as f64 * LETTER / 2.0;
        if x - half >= free {
            free = x + half + LETTER;
            kept.push((x, label));
        }
    }
    kept
}

/// Places at least `gap` apart, in the order of `wanted`, which rises, and as near to it as can be;
/// nearer to each other if there is no room otherwise.
fn spread(wanted: &[f64], gap: f64, from: f64, to: f64) -> Vec<f64> {
    let gap = gap.min((to - from) / (wanted.len().max(2) - 1) as f64);
    // Labels that touch form a block, which lies where its members want it on average.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    let length = |members: usize| (members - 1) as f64 * gap;
    for place in wanted {
        let mut block = (place.clamp(from, to), 1);
        while let Some((start, members)) = blocks.last().copied() {
            if start + members as f64 * gap <= block.0 {
                break;
            }
            let both = members + block.1;
            let shifted = block.0 - members as f64 * gap;
            let sum = start * members as f64 + shifted * block.1 as f64;
            block = ((sum / both as f64).clamp(from, (to - length(both)).max(from)), both);
            blocks.pop();
        }
        blocks.push(block);
    }
    let places =
        |(start, members): (f64, usize)| (0..members).map(move |at| start + at as f64 * gap);
    blocks.into_iter().flat_map(places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_that_have_room_stay_and_others_make_room() {
        assert_eq!(spread(&[10.0, 50.0], 15.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(spread(&[50.0, 50.0, 50.0], 10.0, 0.0, 100.0), [40.0, 50.0, 60.0]);
        assert_eq!(spread(&[98.0, 99.0], 10.0, 0.0, 100.0), [90.0, 100.0]);
        assert_eq!(spread(&[0.0; 3], 80.0, 0.0, 100.0), [0.0, 50.0, 100.0]);
        assert!(spread(&[], 10.0, 0.0, 100.0).is_empty());
    }

    #[test]
    fn labels_of_ticks_do_not_run_into_each_other() {
        let labels = [(0.0, "0 %"), (35.0, "50 %"), (45.0, "75 %"), (100.0, "90 %")];
        let kept: Vec<&str> =
            apart(labels.into_iter()).into_iter().map(|(_, label)| label).collect();
        assert_eq!(kept, ["0 %", "50 %", "90 %"]);
    }

    #[test]
    fn long_names_are_cut_between_letters() {
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("grüner", 4), "grü…");
    }

    proptest! {
        #[test]
        fn labels_keep_their_order_and_their_distance(
            mut wanted in prop::collection::vec(-50.0..450.0, 0..40)
        ) {
            wanted.sort_by(f64::total_cmp);
            let places = spread(&wanted, 15.0, 0.0, 400.0);
            prop_assert_eq!(places.len(), wanted.len());
            let gap = f64::min(15.0, 400.0 / (wanted.len().max(2) - 1) as f64);
            for pair in places.windows(2) {
                prop_assert!(pair[1] - pair[0] >= gap - 1e-6, "{places:?}");
            }
            for place in places {
                prop_assert!((-1e-6..=400.0 + 1e-6).contains(&place));
            }
        }
    }
}
