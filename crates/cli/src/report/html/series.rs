//! The strategies of a page: each has one number, colour and dash wherever it is drawn.

use maud::{Markup, PreEscaped, html};

use super::page::Page;

/// Colours of lines in `chart.css`. Their count and that of [`DASHES`] have no common divisor, so
/// that the first 30 strategies differ in one of the two, and neighbours in both.
pub const COLOURS: usize = 6;
/// Dashes of lines in `chart.css`.
pub const DASHES: usize = 5;

/// The strategies of a page in order of rank, and then those that are not ranked.
#[derive(Debug, Default)]
pub struct Series {
    names: Vec<String>,
}

impl Series {
    /// Every strategy that the page names anywhere.
    pub fn of(page: &Page) -> Self {
        let mut series = Self::default();
        let ranked = page.ranking.rows.iter().map(|row| &row.strategy);
        let drawn = page.percentiles.iter().map(|curve| &curve.strategy);
        let loaded = page.loads.iter().map(|curve| &curve.strategy);
        let shared = page.shares.strategies.iter().map(|(strategy, _)| strategy);
        let timed = page.timelines.iter().map(|timeline| &timeline.strategy);
        for name in ranked.chain(drawn).chain(loaded).chain(shared).chain(timed) {
            if !series.names.contains(name) {
                series.names.push(name.clone());
            }
        }
        series
    }

    /// A strategy by its name.
    ///
    /// # Panics
    /// If the page that this was made of does not name it.
    pub fn find(&self, name: &str) -> Mark {
        let place = self.names.iter().position(|known| known == name);
        Mark(place.expect("series are made of every name on the page"))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Boxes to tick for the strategies that charts show, where there are some to choose from. The
    /// page's style alone acts on them.
    pub fn switches(&self) -> Markup {
        html! {
            @if self.len() > 1 {
                fieldset.switches {
                    legend { "Strategies in the charts" }
                    @for (place, name) in self.names.iter().enumerate() {
                        label {
                            input type="checkbox" id={ "on" (place) } checked autocomplete="off";
                            (Mark(place).sample()) (Mark(place).number()) " " (name)
                        }
                    }
                }
            }
        }
    }

    /// What hides the strategies whose boxes are not ticked.
    pub fn style(&self) -> Markup {
        let rule = |place| format!("body:has(#on{place}:not(:checked)) .s{place}{{display:none}}");
        PreEscaped((0..self.len()).map(rule).collect())
    }
}

/// How one strategy is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

impl Mark {
    /// Its number on the page, from 1.
    pub fn number(self) -> usize {
        self.0 + 1
    }

    /// The classes of what is drawn for it and goes when it is switched off.
    pub fn classes(self) -> String {
        format!("s{} {}", self.0, self.look())
    }

    /// The classes of what is drawn for it and stays.
    pub fn look(self) -> String {
        format!("c{} d{}", self.0 % COLOURS, self.0 % DASHES)
    }

    /// A short piece of its line.
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
    use crate::report::html::page::{PercentileCurve, Ranking, Row};

    #[test]
    fn strategies_are_numbered_by_rank_and_once() {
        let row = |strategy: &str| Row { strategy: strategy.into(), ..Row::default() };
        let curve = |strategy: &str| PercentileCurve { strategy: strategy.into(), points: vec![] };
        let series = Series::of(&Page {
            ranking: Ranking { rows: vec![row("b"), row("a")], ..Ranking::default() },
            percentiles: vec![curve("a"), curve("c"), curve("b")],
            ..Page::default()
        });
        assert_eq!(["b", "a", "c"].map(|name| series.find(name).number()), [1, 2, 3]);
    }

    #[test]
    fn thirty_strategies_are_drawn_in_thirty_ways() {
        let mut looks: Vec<String> = (0..30).map(|place| Mark(place).look()).collect();
        looks.sort();
        looks.dedup();
        assert_eq!(looks.len(), 30);
    }
}
