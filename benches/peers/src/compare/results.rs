use std::collections::HashMap;

use crate::figures::{Figure, Figures};

/// The samples of a run by scenario and contender.
#[derive(Debug, Default)]
pub struct Results {
    samples: HashMap<(String, String), Vec<Figures>>,
    lost: HashMap<(String, String), Vec<String>>,
}

/// The middle of some samples and how far they are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

impl Results {
    /// Adds a sample.
    pub fn add(&mut self, scenario: &str, contender: &str, figures: Figures) {
        self.samples.entry(key(scenario, contender)).or_default().push(figures);
    }

    /// Notes why there is no sample.
    pub fn lose(&mut self, scenario: &str, contender: &str, why: String) {
        self.lost.entry(key(scenario, contender)).or_default().push(why);
    }

    /// The samples of a contender.
    pub fn samples(&self, scenario: &str, contender: &str) -> &[Figures] {
        self.samples.get(&key(scenario, contender)).map_or(&[], Vec::as_slice)
    }

    /// Why samples of a contender are missing.
    pub fn lost(&self, scenario: &str, contender: &str) -> &[String] {
        self.lost.get(&key(scenario, contender)).map_or(&[], Vec::as_slice)
    }

    /// A figure of a contender over all rounds.
    pub fn spread(&self, scenario: &str, contender: &str, figure: Figure) -> Option<Spread> {
        let samples = self.samples(scenario, contender);
        let values: Vec<f64> = samples.iter().filter_map(|sample| sample.get(figure)).collect();
        Some(Spread {
            median: median(&values)?,
            lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
            highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// The median of a figure of a contender over all rounds.
    pub fn median(&self, scenario: &str, contender: &str, figure: Figure) -> Option<f64> {
        self.spread(scenario, contender, figure).map(|spread| spread.median)
    }
}

fn key(scenario: &str, contender: &str) -> (String, String) {
    (scenario.to_owned(), contender.to_owned())
}

/// The middle of some values, of an even number the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::RATE;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }

    #[test]
    fn a_spread_is_over_all_rounds_of_one_contender() {
        let mut results = Results::default();
        for rate in [5.0, 7.0, 6.0] {
            results.add("tell/1", "raddle", Figures::one(RATE, rate));
        }
        results.add("tell/1", "xtra", Figures::one(RATE, 1.0));
        let spread = results.spread("tell/1", "raddle", RATE).unwrap();
        assert_eq!(spread, Spread { median: 6.0, lowest: 5.0, highest: 7.0 });
        assert_eq!(results.spread("tell/4", "raddle", RATE), None);
    }
}
