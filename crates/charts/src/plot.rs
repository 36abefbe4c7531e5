//! Lines over two axes.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::STYLE;
use super::axis::Axis;
use super::labels::{apart, shortened, spread};
use super::mark::Mark;

/// Room above the plot, for the name of the vertical axis.
const TOP: f64 = 30.0;
/// Room below it, for ticks and the name of the horizontal axis.
const BOTTOM: f64 = 46.0;
/// Room at the left, for ticks.
const LEFT: f64 = 62.0;
/// Between the end of the plot and the labels of lines.
const GAP: f64 = 16.0;
/// A letter of a line's label is about this wide.
const LABEL_LETTER: f64 = 8.0;
/// The distance between lines of text.
const LINE: f64 = 15.0;
/// Longer names are shortened beside their line; the table has them in full.
const LONGEST_NAME: usize = 27;
/// Around a picture.
const MARGIN: f64 = 12.0;
/// What a page's own style sets for its charts.
const PICTURE_STYLE: &str = ".paper{fill:var(--paper)}.chart{font:12.5px system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}";
/// Points closer than this are drawn as one.
const VISIBLE: f64 = 0.6;

/// A chart of lines.
pub struct Plot {
    /// Part of element ids: must differ from those of other charts on the page.
    pub id: &'static str,
    /// The title, read aloud by screen readers.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
    /// Whether points are marked, because nothing is known between them.
    pub markers: bool,
    /// Whether it shares a row of a wide page with another chart.
    pub half_width: bool,
}

/// A line of a [`Plot`].
pub struct Line {
    /// Its colour and dash.
    pub mark: Mark,
    /// Its label.
    pub name: String,
    /// Whether it is drawn thicker than others.
    pub strong: bool,
    /// Values of both axes, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// The size of a drawing, in pixels if it is not scaled.
#[derive(Clone, Copy)]
struct Size {
    class: &'static str,
    width: f64,
    height: f64,
    /// Whether lines are labelled with their names, or only with their numbers.
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
    /// Draws it for a wide window and for a phone; the page's style shows one of the two.
    pub fn draw(&self) -> Markup {
        let wide = if self.half_width { self.wide(470.0, 340.0) } else { self.wide(900.0, 430.0) };
        let height = self.labels_height().clamp(330.0, 600.0);
        let narrow = Size { class: "narrow", width: 366.0, height, names: false };
        html! {
            div.plot {
                (Drawing::new(self, wide).svg())
                (Drawing::new(self, narrow).svg())
            }
        }
    }

    /// Draws it as an SVG file with its own background and style.
    pub fn picture(&self) -> String {
        let drawing = Drawing::new(self, self.wide(900.0, 430.0));
        let [width, height] =
            [drawing.size.width, drawing.size.height].map(|side| side + 2.0 * MARGIN);
        let svg = html! {
            svg.chart xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
                viewBox={ (-MARGIN) " " (-MARGIN) " " (width) " " (height) }
                role="img" aria-labelledby="t" aria-describedby="d"
            {
                title id="t" { (self.title) }
                desc id="d" { (self.description()) }
                style { (PreEscaped(STYLE)) (PreEscaped(PICTURE_STYLE)) }
                rect.paper x=(-MARGIN) y=(-MARGIN) width="100%" height="100%" {}
                (drawing.inside())
            }
        };
        svg.into_string()
    }

    /// What can be read off the chart, for those who cannot see it.
    fn description(&self) -> String {
        let end = |line: &'_ Line| Some((line.name.clone(), line.points.last().copied()?));
        let mut ends: Vec<(String, (f64, f64))> = self.lines.iter().filter_map(end).collect();
        ends.sort_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
        let end = |(name, (x, y)): &(String, (f64, f64))| {
            format!("{name} {} at {}", self.y.write(*y), self.x.write(*x))
        };
        let ends: Vec<String> = ends.iter().map(end).collect();
        format!("The lines end, from the lowest: {}.", ends.join(", "))
    }

    fn labels_height(&self) -> f64 {
        self.lines.len() as f64 * LINE + TOP + BOTTOM
    }

    /// At least this high, and high enough for all labels.
    fn wide(&self, width: f64, height: f64) -> Size {
        Size { class: "wide", width, height: height.max(self.labels_height()), names: true }
    }
}

impl<'a> Drawing<'a> {
    fn new(plot: &'a Plot, size: Size) -> Self {
        let letters = |line: &Line| if size.names { label(line).chars().count() } else { 2 };
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
                data-x=(self.plot.x.for_script(&px(LEFT), &px(self.right)))
                data-y=(self.plot.y.for_script(&px(self.bottom), &px(TOP)))
            {
                title id={ (id) "-t" } { (self.plot.title) }
                desc id={ (id) "-d" } { (self.plot.description()) }
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

    fn x(&self, value: f64) -> f64 {
        LEFT + self.plot.x.scale.fraction(value) * (self.right - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - self.plot.y.scale.fraction(value) * (self.bottom - TOP)
    }

    fn axes(&self) -> Markup {
        let Plot { x, y, .. } = self.plot;
        let middle = f64::midpoint(LEFT, self.right);
        let xs = apart(x.ticks.iter().map(|(tick, label)| (self.x(*tick), label.as_str())));
        html! {
            g.axes aria-hidden="true" {
                @for (tick, label) in &y.ticks {
                    @let y = self.y(*tick);
                    path.grid d={ "M" (px(LEFT)) " " (px(y)) "H" (px(self.right)) } {}
                    text.end x=(px(LEFT - 8.0)) y=(px(y + 4.0)) { (label) }
                }
                @for (tick, _) in &x.ticks {
                    path.grid d={ "M" (px(self.x(*tick))) " " (px(TOP)) "V" (px(self.bottom)) } {}
                }
                @for (x, label) in &xs {
                    text.middle x=(px(*x)) y=(px(self.bottom + 18.0)) { (label) }
                }
                path.axis d={ "M" (px(LEFT)) " " (px(self.bottom)) "H" (px(self.right)) } {}
                text.name x="2" y="14" {
                    (y.name) @if y.scale.is_log() { tspan.aside { ", logarithmic" } }
                }
                text.name.middle x=(px(middle)) y=(px(self.size.height - 6.0)) { (x.name) }
            }
        }
    }

    fn line(&self, line: &Line) -> Markup {
        let points = self.visible(line);
        html! {
            g class=(line.mark.classes()) aria-hidden="true" {
                path.line.strong[line.strong] d=(path(&points)) data-name=(line.name) {}
                @if self.plot.markers || points.len() == 1 {
                    @for (x, y) in &points { circle.point cx=(px(*x)) cy=(px(*y)) r="3" {} }
                }
            }
        }
    }

    /// The coordinates of a line's points, without those that would cover one another.
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
        let end = |line: &'a Line| Some((line, self.visible(line).last().copied()?));
        let mut ends: Vec<(&Line, (f64, f64))> = self.plot.lines.iter().filter_map(end).collect();
        ends.sort_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
        let wanted: Vec<f64> = ends.iter().map(|(_, end)| end.1).collect();
        let heights = spread(&wanted, LINE, TOP - 4.0, self.bottom + 4.0);
        html! {
            g aria-hidden="true" {
                @for ((line, (x, y)), height) in ends.iter().zip(heights) {
                    g class=(line.mark.classes()) {
                        path.leader d={
                            "M" (px(x + 3.0)) " " (px(*y)) "L" (px(self.right + 3.0)) " " (px(*y))
                            "L" (px(self.right + GAP - 4.0)) " " (px(height))
                        } {}
                        text.label x=(px(self.right + GAP)) y=(px(height + 4.0)) {
                            @if self.size.names { (label(line)) } @else { (line.mark.number()) }
                        }
                    }
                }
            }
        }
    }
}

fn label(line: &Line) -> String {
    shortened(&line.name, LONGEST_NAME)
}

/// Writes a coordinate to a tenth of a pixel.
pub fn px(coordinate: f64) -> String {
    let text = format!("{coordinate:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Writes the SVG path through these points.
pub fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        write!(path, "{command}{} {}", px(*x), px(*y)).expect("writing to a string cannot fail");
    }
    path
}
