use std::collections::HashMap;

use crate::figures::{Figure, Figures, median};

/// The samples of a run, by scenario and contender.
#[derive(Debug, Default)]
pub struct Results {
    samples: HashMap<(String, String), Vec<Figures>>,
    lost: HashMap<(String, String), Vec<String>>,
}

/// The median and range of some samples.
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

    /// Records why there is no sample.
    pub fn lose(&mut self, scenario: &str, contender: &str, why: String) {
        self.lost.entry(key(scenario, contender)).or_default().push(why);
    }

    /// Returns the samples of a contender.
    pub fn samples(&self, scenario: &str, contender: &str) -> &[Figures] {
        self.samples.get(&key(scenario, contender)).map_or(&[], Vec::as_slice)
    }

    /// Returns why samples of a contender are missing.
    pub fn lost(&self, scenario: &str, contender: &str) -> &[String] {
        self.lost.get(&key(scenario, contender)).map_or(&[], Vec::as_slice)
    }

    /// Returns the spread of a figure over all rounds.
    pub fn spread(&self, scenario: &str, contender: &str, figure: Figure) -> Option<Spread> {
        let samples = self.samples(scenario, contender);
        let values: Vec<f64> = samples.iter().filter_map(|sample| sample.get(figure)).collect();
        Some(Spread {
            median: median(&values)?,
            lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
            highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// Returns the median of a figure over all rounds.
    pub fn median(&self, scenario: &str, contender: &str, figure: Figure) -> Option<f64> {
        self.spread(scenario, contender, figure).map(|spread| spread.median)
    }
}

fn key(scenario: &str, contender: &str) -> (String, String) {
    (scenario.to_owned(), contender.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::RATE;

    #[test]
    fn a_spread_covers_all_rounds_of_one_contender() {
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
