//! How lines are told apart.

use maud::{Markup, html};

/// Colours in `chart.css`. This number and [`DASHES`] are coprime, so the first 30 marks differ in
/// colour or dash, and neighbours in both.
const COLOURS: usize = 6;
/// Dash patterns in `chart.css`.
const DASHES: usize = 5;

/// The colour and dash of a line, by its index in a list of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub usize);

impl Mark {
    /// Returns the number shown to readers, from 1.
    pub fn number(self) -> usize {
        self.0 + 1
    }

    /// Returns the CSS classes of an element that a page may hide with its line.
    pub fn classes(self) -> String {
        format!("s{} {}", self.0, self.look())
    }

    /// Returns the CSS classes of an element that always stays visible.
    pub fn look(self) -> String {
        format!("c{} d{}", self.0 % COLOURS, self.0 % DASHES)
    }

    /// Draws a short piece of the line.
    pub fn sample(self) -> Markup {
        html! {
            svg.sample.(self.look()) viewBox="0 0 28 10" aria-hidden="true" {
                path.line d="M1 5H27" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STYLE;

    #[test]
    fn the_first_thirty_marks_differ() {
        let mut looks: Vec<String> = (0..30).map(|index| Mark(index).look()).collect();
        looks.sort();
        looks.dedup();
        assert_eq!(looks.len(), 30);
    }

    #[test]
    fn the_style_has_every_colour_and_dash() {
        for colour in 0..COLOURS {
            assert!(
                STYLE.contains(&format!(".c{colour} {{ --c: var(--c{colour}); }}")),
                "{colour}"
            );
        }
        for dash in 1..DASHES {
            assert!(STYLE.contains(&format!(".d{dash} {{ --d: ")), "{dash}");
        }
    }

    /// The colours that the block after `opening` sets.
    fn colours(opening: &str) -> Vec<(&str, [f64; 3])> {
        let block = STYLE.split_once(opening).expect("the style has it").1;
        let block = block.split_once('}').expect("blocks end").0;
        let colour = |declaration: &'static str| {
            let (name, value) = declaration.split_once(':')?;
            let digits = value.trim().strip_prefix('#')?;
            let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map(f64::from);
            Some((name.trim(), [part(0).ok()?, part(2).ok()?, part(4).ok()?]))
        };
        block.split(';').filter_map(colour).collect()
    }

    /// The contrast of two colours by WCAG 2: from 1 to 21.
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let linear = |part: f64| match part / 255.0 {
            part @ ..=0.04045 => part / 12.92,
            part => ((part + 0.055) / 1.055).powf(2.4),
        };
        let luminance = |[r, g, b]: [f64; 3]| {
            0.2126f64.mul_add(linear(r), 0.7152f64.mul_add(linear(g), 0.0722 * linear(b)))
        };
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_and_lines_are_readable_in_light_and_dark_mode() {
        assert!((contrast([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
        for scheme in [":root {\n  color-scheme", "prefers-color-scheme: dark) {\n  :root {"] {
            let colours = colours(scheme);
            let of = |name: &str| {
                colours.iter().find(|(known, _)| *known == name).expect("the style sets it").1
            };
            let lines: Vec<String> = (0..COLOURS).map(|c| format!("--c{c}")).collect();
            // WCAG requires 4.5 for text, and lines are labelled in their own colours.
            for name in lines.iter().map(String::as_str).chain(["--ink", "--soft", "--accent"]) {
                for paper in ["--paper", "--raised"] {
                    let contrast = contrast(of(name), of(paper));
                    assert!(contrast >= 4.5, "{name} on {paper} of {scheme}: {contrast:.2}");
                }
            }
        }
    }
}
