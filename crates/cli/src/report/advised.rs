//! The advice on a workload: a ranking with confidence intervals.

use raddle::sim::{Advice, CONFIDENCE, Conclusion, Estimate, Objective, RESAMPLES, Standing};
use serde::Serialize;

use super::Latency;
use super::layout::{Layout, Line, Shown, right};
use super::simulated::{Simulated, SimulatedWorkload};
use super::table::{LATENCIES, milliseconds, percent, rate};

/// The columns of the ranking, those of the objective first.
pub const COLUMNS: [&str; 12] = [
    "objective",
    "error",
    "behind",
    "behind-error",
    "lost",
    "mean",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    "tasks/s",
];

/// The advice on a workload. Its JSON form is stable.
#[derive(Debug, Serialize)]
pub struct AdvisedReport {
    /// The workload of all strategies.
    pub workload: SimulatedWorkload,
    /// The figure that ranks strategies: `p99`, a lower percentile, `mean` or `throughput`.
    pub objective: String,
    /// The figure that was asked for; the other differs if there are too few tasks for this one.
    pub asked: String,
    /// The recommended strategy; `null` if the data do not support a recommendation.
    pub recommended: Option<String>,
    /// The number of runs per strategy.
    pub seeds: usize,
    /// The number of successive tasks in a block of a resampled trace; `null` for a scenario.
    pub block_tasks: Option<usize>,
    /// The number of further runs per strategy on resampled traces, from which the intervals are.
    pub resamples: usize,
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
    /// The strategy's name in the table, which marks ties.
    #[serde(skip)]
    name: String,
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

impl Line for Ranked {
    fn strategy(&self) -> &str {
        &self.name
    }

    fn share(&self) -> &[(String, f64)] {
        &self.figures.share
    }
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
        let ranked = |(index, standing): (usize, &Standing)| Ranked {
            name: format!(
                "{}{}",
                standing.strategy,
                if standing.ties && index > 0 { " =" } else { "" }
            ),
            objective: Interval::of(advice.objective, &standing.figure),
            behind: Interval::of(advice.objective, &standing.behind),
            ties: standing.ties,
            lost: standing.lost,
            figures: Simulated::of_all(&standing.runs),
        };
        Self {
            workload,
            objective: advice.objective.to_string(),
            asked: advice.asked.to_string(),
            recommended: advice
                .ranking
                .first()
                .filter(|_| advice.conclusion == Conclusion::Best)
                .map(|best| best.strategy.clone()),
            block_tasks: advice.block_tasks,
            resamples: if advice.block_tasks.is_some() { RESAMPLES } else { 0 },
            seeds,
            confidence: CONFIDENCE,
            advice: words,
            ranking: advice.ranking.iter().enumerate().map(ranked).collect(),
        }
    }

    /// Returns the ranking as a table.
    pub fn table(&self, objective: Objective, layout: &Layout) -> String {
        let (unit, write): (_, fn(f64) -> String) = match objective {
            Objective::Throughput => ("tasks/s", rate),
            _ => ("ms", milliseconds),
        };
        let some_lost = self.ranking.iter().any(|ranked| ranked.lost > 0.0);
        let column = |name, heading: String, cell: &dyn Fn(&Ranked) -> String| Shown {
            name,
            heading,
            cells: self.ranking.iter().map(|ranked| right(cell(ranked))).collect(),
            usual: name != "lost" || some_lost,
            urgent: name == "lost" && some_lost,
        };
        let latency = |name, figure: fn(&Latency) -> f64| {
            column(name, format!("{name} ms"), &|one| milliseconds(figure(&one.figures.latency_us)))
        };
        let half = |interval: Interval| write((interval.high - interval.low) / 2.0);
        let columns = vec![
            column("objective", format!("{} {unit}", self.objective), &|one| {
                write(one.objective.mean)
            }),
            column("error", "±".into(), &|one| half(one.objective)),
            column("behind", format!("behind {unit}"), &|one| write(one.behind.mean)),
            column("behind-error", "±".into(), &|one| half(one.behind)),
            column("lost", "lost".into(), &|one| percent(one.lost)),
            latency("mean", |latency| latency.mean),
            latency("p50", |latency| latency.p50),
            latency("p90", |latency| latency.p90),
            latency("p99", |latency| latency.p99),
            latency("p99.9", |latency| latency.p999),
            latency("max", |latency| latency.max),
            column("tasks/s", "tasks/s".into(), &|one| rate(one.figures.throughput_per_s)),
        ];
        layout.show(&self.ranking, columns, &[&COLUMNS[..4], &LATENCIES].concat())
    }

    /// Explains the columns of the table.
    pub fn legend(&self) -> String {
        let mut text = format!(
            "= the difference from the best {} is not significant; ± is half of the {:.0} % \
             confidence interval; behind compares with the best on the same tasks",
            self.objective,
            self.confidence * 100.0
        );
        if let Some(block) = self.block_tasks {
            text += &format!(
                "\n± is that of {} more runs per strategy, on the trace resampled in blocks of {block} \
                 tasks",
                self.resamples
            );
        }
        text
    }
}
