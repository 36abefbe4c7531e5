//! The advice on a workload: a ranking with confidence intervals.

use comfy_table::{Cell, Table};
use raddle::sim::{Advice, CONFIDENCE, Estimate, Objective, Standing};
use serde::Serialize;

use super::simulated::{Simulated, SimulatedWorkload};
use super::table::{self, count, milliseconds, percent, right};

/// The advice on a workload. Its JSON form is stable.
#[derive(Debug, Serialize)]
pub struct AdvisedReport {
    /// The workload of all strategies.
    pub workload: SimulatedWorkload,
    /// The figure that ranks strategies: `p99`, `mean` or `throughput`.
    pub objective: &'static str,
    /// The number of runs per strategy.
    pub seeds: usize,
    /// The confidence of the intervals, as a fraction.
    pub confidence: f64,
    /// The conclusions, in words.
    pub advice: Vec<String>,
    /// The strategies, the best first.
    pub ranking: Vec<Ranked>,
}

/// The results of one strategy.
#[derive(Debug, Serialize)]
pub struct Ranked {
    /// The objective, in microseconds or tasks per second.
    pub objective: Interval,
    /// How much worse it is than the best on the same tasks, in the same unit.
    pub behind: Interval,
    /// Whether the difference from the best is not significant.
    pub ties: bool,
    /// The fraction of tasks that were not completed.
    pub lost: f64,
    /// The means of all runs.
    #[serde(flatten)]
    pub figures: Simulated,
}

/// A mean and its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Interval {
    /// Converts an estimate in nanoseconds or tasks per second.
    fn of(objective: Objective, estimate: &Estimate) -> Self {
        let unit = if objective == Objective::Throughput { 1.0 } else { 1e3 };
        let (low, high) = estimate.interval().unwrap_or((f64::NAN, f64::NAN));
        Self { mean: estimate.mean / unit, low: low / unit, high: high / unit }
    }
}

impl AdvisedReport {
    /// Creates the report on an advice and its conclusions in words.
    pub fn new(
        workload: SimulatedWorkload,
        seeds: usize,
        advice: &Advice,
        words: Vec<String>,
    ) -> Self {
        let ranked = |standing: &Standing| Ranked {
            objective: Interval::of(advice.objective, &standing.figure),
            behind: Interval::of(advice.objective, &standing.behind),
            ties: standing.ties,
            lost: standing.lost,
            figures: Simulated::of_all(&standing.runs),
        };
        Self {
            workload,
            objective: advice.objective.as_str(),
            seeds,
            confidence: CONFIDENCE,
            advice: words,
            ranking: advice.ranking.iter().map(ranked).collect(),
        }
    }

    /// Returns the ranking as a table.
    pub fn table(&self, objective: Objective) -> Table {
        let (unit, write): (_, fn(f64) -> String) = match objective {
            Objective::Throughput => ("tasks/s", |figure| format!("{figure:.1}")),
            _ => ("ms", milliseconds),
        };
        let some_lost = self.ranking.iter().any(|ranked| ranked.lost > 0.0);
        let bounds = ["from", "to"].map(str::to_owned);
        let mut headings = vec![format!("{} {unit}", self.objective)];
        headings.extend_from_slice(&bounds);
        headings.push(format!("behind {unit}"));
        headings.extend_from_slice(&bounds);
        headings.extend(some_lost.then(|| "lost".to_owned()));
        let rest = ["mean ms", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "tasks/s"];
        headings.extend(rest.map(str::to_owned));
        let row = |(index, ranked): (usize, &Ranked)| {
            let tie = if ranked.ties && index > 0 { " =" } else { "" };
            let mut row = vec![Cell::new(format!("{}{tie}", ranked.figures.strategy))];
            for Interval { mean, low, high } in [ranked.objective, ranked.behind] {
                row.extend([mean, low, high].map(|figure| right(write(figure))));
            }
            row.extend(some_lost.then(|| right(percent(ranked.lost))));
            let latency = ranked.figures.latency_us;
            let latencies =
                [latency.mean, latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
            row.extend(latencies.map(|figure| right(milliseconds(figure))));
            row.push(right(count(ranked.figures.throughput_per_s)));
            row
        };
        let rows = self.ranking.iter().enumerate().map(row).collect();
        table::table(headings.iter().map(String::as_str), rows)
    }

    /// Explains the columns of the table.
    pub fn legend(&self) -> String {
        format!(
            "= the difference from the best {} is not significant; from and to bound a mean with \
             {:.0} % confidence; behind compares with the best on the same tasks",
            self.objective,
            self.confidence * 100.0
        )
    }
}
