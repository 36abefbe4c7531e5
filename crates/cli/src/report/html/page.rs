//! The content of a page, as plain data.
//!
//! Everything but the title may be empty, and an empty part has no section. Values that are not
//! finite are shown as not measured and are not drawn.

use std::time::Duration;

use raddle::sim::{CurvePoint, QueueSample};
use raddle_charts::{Mark, Unit};

use crate::report::simulated::Simulated;

/// The content of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The heading, and the title of the window.
    pub title: String,
    /// Lines below the heading: the load and the workers.
    pub subtitle: Vec<String>,
    /// What follows from the figures, in items of one or two sentences.
    pub advice: Vec<String>,
    /// The name of the figure that ranks strategies, as in a heading: `p99 latency`.
    pub objective: String,
    /// The unit of the objective.
    pub unit: Unit,
    /// The confidence of intervals as a fraction: 0.95 for 95 %.
    pub confidence: f64,
    /// Each worker's share of the pool's speed, by position; empty if workers are equal. It is
    /// marked beside the worker's share of the tasks.
    pub capacity: Vec<f64>,
    /// The strategies, the best first.
    pub strategies: Vec<Strategy>,
    /// How the figures were measured and how to repeat them.
    pub details: Vec<Detail>,
}

/// The results of one strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    /// Its figures.
    pub figures: Simulated,
    /// The figure that ranks it.
    pub objective: Option<Estimate>,
    /// Remarks: `0.3 % rejected`.
    pub notes: Vec<String>,
    /// Quantiles from 0 to 1, ascending, each with its latency. The curve ends before 1, which the
    /// axis cannot show.
    pub percentiles: Vec<(f64, Duration)>,
    /// Latencies by load, ascending. Loads below 0 or above a million are not drawn.
    pub loads: Vec<CurvePoint>,
    /// Any number of queue lengths, in order of time; the chart aggregates what cannot be told
    /// apart.
    pub timeline: Vec<QueueSample>,
}

/// A value with its interval at the [confidence](Page::confidence) of the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// From and to; `None` after a single run.
    pub interval: Option<(f64, f64)>,
}

/// A line about how the figures were measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The name: `Seed`, `Version`, `Repeat with`.
    pub name: String,
    /// The value.
    pub value: String,
    /// Whether the value is something to type, such as a command line.
    pub code: bool,
}

impl Page {
    /// Returns each strategy with the mark that it has throughout the page.
    pub fn marked(&self) -> impl Iterator<Item = (Mark, &Strategy)> {
        self.strategies.iter().enumerate().map(|(index, strategy)| (Mark(index), strategy))
    }
}

impl Strategy {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.figures.strategy
    }

    /// Returns the objective, without what is not finite.
    pub fn finite_objective(&self) -> Option<Estimate> {
        let estimate = self.objective.filter(|estimate| estimate.value.is_finite())?;
        let interval = estimate.interval.filter(|(from, to)| from.is_finite() && to.is_finite());
        Some(Estimate { interval, ..estimate })
    }
}
