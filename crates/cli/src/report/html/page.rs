//! What a page says, as plain data: whoever has measured something fills it.
//!
//! Everything but the title may be empty, and what is empty has no section. Figures that were not
//! measured are `None`; figures that are not finite are shown as not measured and not drawn.

use std::time::Duration;

/// A page: what was asked, what came of it, what follows from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The heading, and the title of the window.
    pub title: String,
    /// Lines below the heading: what was asked of whom.
    pub subtitle: Vec<String>,
    /// What follows from the figures, a sentence or two each.
    pub advice: Vec<String>,
    /// The strategies, the best first.
    pub ranking: Ranking,
    /// Latencies by percentile, a curve a strategy.
    pub percentiles: Vec<PercentileCurve>,
    /// Latencies by load, a curve a strategy.
    pub loads: Vec<LoadCurve>,
    /// How the tasks were spread over the workers.
    pub shares: Shares,
    /// Queue lengths over time, one timeline a strategy.
    pub timelines: Vec<Timeline>,
    /// How the figures were made and how to make them again.
    pub details: Vec<Detail>,
}

/// The strategies in order, and what they are ordered by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// What they are ordered by, as a heading says it: `p99 latency`.
    pub objective: String,
    /// What the objective is measured in.
    pub unit: Unit,
    /// How sure the intervals are, as a share: 0.95 for a confidence interval of 95 %.
    pub confidence: f64,
    /// The strategies, the best first.
    pub rows: Vec<Row>,
}

/// What an objective is measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, shown as ns, us, ms or s.
    #[default]
    Seconds,
    /// Tasks a second.
    PerSecond,
    /// A share of 1, shown as a percentage.
    #[allow(dead_code, reason = "no objective is measured in it yet")]
    Share,
    /// A figure without a unit.
    #[allow(dead_code, reason = "no objective is measured in it yet")]
    Number,
}

/// What came of one strategy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its name: the same in all parts of the page, which is how they are matched.
    pub strategy: String,
    /// The objective.
    pub objective: Option<Estimate>,
    /// The mean latency.
    pub mean: Option<Duration>,
    /// The median latency.
    pub p50: Option<Duration>,
    /// The 90th percentile.
    pub p90: Option<Duration>,
    /// The 99th percentile.
    pub p99: Option<Duration>,
    /// The 99.9th percentile.
    pub p999: Option<Duration>,
    /// The longest latency.
    pub max: Option<Duration>,
    /// Completed tasks a second.
    pub throughput: Option<f64>,
    /// Share of the time in which workers were busy.
    pub utilisation: Option<f64>,
    /// What else is to be known: `0.3 % rejected`.
    pub notes: Vec<String>,
}

/// A figure and the interval in which it lies with the [confidence](Ranking::confidence) of its
/// ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// From and to; `None` where there was one run only.
    pub interval: Option<(f64, f64)>,
}

/// One strategy's latencies by percentile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PercentileCurve {
    /// The strategy.
    pub strategy: String,
    /// Quantiles from 0 to 1, rising, each with its latency. 1 itself is not drawn, as 1/(1-p) has
    /// no end; the curve ends at the last quantile before it.
    pub points: Vec<(f64, Duration)>,
}

/// One strategy's latencies by load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadCurve {
    /// The strategy.
    pub strategy: String,
    /// In order of load.
    pub points: Vec<LoadPoint>,
}

/// Latencies at one load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadPoint {
    /// Work offered, as a share of what the workers can do; from 0, and below a million.
    pub load: f64,
    /// The mean latency.
    pub mean: Duration,
    /// The 99th percentile.
    pub p99: Duration,
}

/// How each strategy spread the tasks over the workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// The workers' names, by position.
    pub workers: Vec<String>,
    /// Each worker's share of the pool's speed, by position; empty where workers are not to be
    /// told apart by speed. It is marked beside what each worker got.
    pub capacity: Vec<f64>,
    /// Per strategy, the tasks that each worker was given, as shares of 1, by position.
    pub strategies: Vec<(String, Vec<f64>)>,
}

/// One strategy's queue lengths over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// The strategy.
    pub strategy: String,
    /// In order of time. Any number of them: what is drawn is summed up to what can be seen.
    pub samples: Vec<QueueLengths>,
}

/// How long the queues were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueLengths {
    /// When, from the start.
    pub at: Duration,
    /// Tasks in mailbox or handler, by the workers' positions.
    pub queues: Vec<u32>,
}

/// A line of how the figures were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// What it is: `Seed`, `Version`, `Repeat with`.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it is something to type, such as a command line.
    pub code: bool,
}
