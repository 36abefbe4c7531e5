//! The results of a simulation, in virtual time.

use std::io::{self, Write};

use raddle::nanos;
use raddle::sim::{Estimate, Facts, Latencies, Run};
use serde::Serialize;

use super::layout::{Layout, Line, Shown};
use super::table::{Better, Column, LATENCIES, column, count, marked, milliseconds, percent, rate};
use super::{Latency, as_map, csv};

/// The results of a simulation. Its JSON form is stable.
#[derive(Debug, Serialize)]
pub struct SimulatedReport {
    /// The workload of all strategies.
    pub workload: SimulatedWorkload,
    /// The results of each strategy.
    pub strategies: Vec<Simulated>,
}

/// A workload and its statistics.
#[derive(Clone, Debug, Serialize)]
pub struct SimulatedWorkload {
    /// The path of the scenario or trace, `-` for standard input.
    pub source: String,
    /// The number of tasks.
    pub tasks: u64,
    /// The number of first tasks whose latencies are not counted.
    pub warm_up: u64,
    /// The seed of the first run.
    pub seed: u64,
    /// What times were divided by during the runs. All times in the report are those of the
    /// workload, not sped up.
    pub speedup: f64,
    /// The workers, as `--workers` describes them.
    pub workers: String,
    /// The offered work as a fraction of the workers' capacity; `null` if all tasks arrive at once.
    pub load: f64,
    /// The load during a burst, or in the busiest hundredth of a trace.
    pub peak_load: f64,
    /// The mean service time at speed 1, in microseconds.
    pub service_us_mean: f64,
    /// The squared coefficient of variation of service times.
    pub service_scv: f64,
    /// The squared coefficient of variation of the times between arrivals.
    pub gap_scv: f64,
    /// Whether the service time of a task is known when it is submitted.
    pub durations_known: bool,
    /// Whether a signal ended it early.
    pub interrupted: bool,
}

impl SimulatedWorkload {
    /// Sets the statistics.
    pub fn with_facts(mut self, facts: &Facts) -> Self {
        self.load = facts.load;
        self.peak_load = facts.peak_load;
        self.service_us_mean = facts.service.mean.as_secs_f64() * 1e6;
        self.service_scv = facts.service.scv;
        self.gap_scv = facts.interarrival_scv;
        self
    }
}

/// The results of one strategy: of one run, or the means of several. Maxima are over all runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulated {
    /// The name.
    pub strategy: String,
    /// Tasks submitted.
    pub tasks: u64,
    /// Tasks whose handler succeeded.
    pub completed: u64,
    /// Tasks whose handler failed or panicked.
    pub failed: u64,
    /// Tasks whose deadline passed before they started.
    pub expired: u64,
    /// Tasks that no worker had room for.
    pub rejected: u64,
    /// Tasks that never ended.
    pub stuck: u64,
    /// Tasks that an idle worker stole from another.
    pub stolen: u64,
    /// Virtual seconds from the start to the last outcome.
    pub span_s: f64,
    /// Completed tasks per virtual second.
    pub throughput_per_s: f64,
    /// The fraction of that time in which workers were busy.
    pub utilisation: f64,
    /// From arrival to completion, of completed tasks.
    pub latency_us: Latency,
    /// From arrival to start, of completed tasks.
    pub wait_us: Latency,
    /// Each worker's share of the completed tasks.
    #[serde(serialize_with = "as_map")]
    pub share: Vec<(String, f64)>,
}

impl Simulated {
    /// Summarises a run.
    pub fn of(run: &Run) -> Self {
        let all: u64 = run.workers.iter().map(|worker| worker.completed).sum();
        let latency = |latencies: &Latencies| {
            let (mean, max) = (latencies.mean().as_nanos() as f64, nanos(latencies.max()));
            Latency::of_histogram(latencies.histogram(), mean, max)
        };
        let share = |completed: u64| completed as f64 / all.max(1) as f64;
        Self {
            strategy: run.strategy.clone(),
            tasks: run.tasks,
            completed: run.completed,
            failed: run.failed + run.panicked,
            expired: run.expired,
            rejected: run.rejected,
            stuck: run.stuck,
            stolen: run.stolen,
            span_s: run.span.as_secs_f64(),
            throughput_per_s: run.throughput(),
            utilisation: run.utilisation(),
            latency_us: latency(&run.sojourn),
            wait_us: latency(&run.wait),
            share: run
                .workers
                .iter()
                .map(|worker| (worker.name.clone(), share(worker.completed)))
                .collect(),
        }
    }

    /// Summarises the runs of a strategy, at least one; counts are rounded means.
    pub fn of_all(runs: &[Run]) -> Self {
        let all: Vec<Self> = runs.iter().map(Self::of).collect();
        let mean = |figure: &dyn Fn(&Self) -> f64| {
            Estimate::of(&all.iter().map(figure).collect::<Vec<_>>()).mean
        };
        let count = |figure: fn(&Self) -> u64| mean(&|one| figure(one) as f64).round() as u64;
        let latency = |figure: fn(&Self) -> &Latency| Latency {
            mean: mean(&|one| figure(one).mean),
            p50: mean(&|one| figure(one).p50),
            p90: mean(&|one| figure(one).p90),
            p99: mean(&|one| figure(one).p99),
            p999: mean(&|one| figure(one).p999),
            max: all.iter().map(|one| figure(one).max).fold(f64::NAN, f64::max),
        };
        let workers = all[0].share.iter().enumerate();
        Self {
            strategy: all[0].strategy.clone(),
            tasks: count(|one| one.tasks),
            completed: count(|one| one.completed),
            failed: count(|one| one.failed),
            expired: count(|one| one.expired),
            rejected: count(|one| one.rejected),
            stuck: count(|one| one.stuck),
            stolen: count(|one| one.stolen),
            span_s: mean(&|one| one.span_s),
            throughput_per_s: mean(&|one| one.throughput_per_s),
            utilisation: mean(&|one| one.utilisation),
            latency_us: latency(|one| &one.latency_us),
            wait_us: latency(|one| &one.wait_us),
            share: workers
                .map(|(index, (name, _))| (name.clone(), mean(&|one| one.share[index].1)))
                .collect(),
        }
    }

    /// Returns the name and number of each outcome but completion.
    pub fn other_outcomes(&self) -> [(&'static str, u64); 4] {
        [
            ("failed", self.failed),
            ("expired", self.expired),
            ("rejected", self.rejected),
            ("stuck", self.stuck),
        ]
    }
}

impl Line for Simulated {
    fn strategy(&self) -> &str {
        &self.strategy
    }

    fn share(&self) -> &[(String, f64)] {
        &self.share
    }
}

const OUTCOMES: [Column<Simulated>; 7] = [
    column("tasks", Better::Neither, count, |s| s.tasks as f64),
    column("completed", Better::More, count, |s| s.completed as f64),
    column("failed", Better::Less, count, |s| s.failed as f64),
    column("expired", Better::Less, count, |s| s.expired as f64),
    column("rejected", Better::Less, count, |s| s.rejected as f64),
    column("stuck", Better::Less, count, |s| s.stuck as f64),
    column("stolen", Better::Neither, count, |s| s.stolen as f64),
];

/// The columns of figures, without outcomes.
pub const FIGURES: [Column<Simulated>; 8] = [
    column("tasks/s", Better::More, rate, |s| s.throughput_per_s),
    column("utilisation", Better::Neither, percent, |s| s.utilisation),
    column("mean ms", Better::Less, milliseconds, |s| s.latency_us.mean),
    column("p50 ms", Better::Less, milliseconds, |s| s.latency_us.p50),
    column("p90 ms", Better::Less, milliseconds, |s| s.latency_us.p90),
    column("p99 ms", Better::Less, milliseconds, |s| s.latency_us.p99),
    column("p99.9 ms", Better::Less, milliseconds, |s| s.latency_us.p999),
    column("max ms", Better::Less, milliseconds, |s| s.latency_us.max),
];

/// Returns the names of the columns of [`figures`].
pub fn names() -> Vec<&'static str> {
    OUTCOMES.iter().chain(&FIGURES).map(Column::name).collect()
}

/// A table of the figures of each strategy, with the best and worst of each column marked. An
/// outcome that no task had has no column unless it is named.
pub fn figures(strategies: &[Simulated], layout: &Layout) -> String {
    let any = |column: &Column<_>| strategies.iter().any(|one| column.figure(one) > 0.0);
    let outcome = |column: &Column<_>| Shown {
        usual: any(column),
        urgent: any(column) && !matches!(column.name(), "tasks" | "completed" | "stolen"),
        ..marked(strategies, column)
    };
    let figures = FIGURES.iter().map(|column| marked(strategies, column));
    let columns = OUTCOMES.iter().map(outcome).chain(figures).collect();
    layout.show(strategies, columns, &[&LATENCIES[..2], &["tasks/s"], &LATENCIES[2..]].concat())
}

const CSV_COLUMNS: [&str; 23] = [
    "strategy",
    "tasks",
    "completed",
    "failed",
    "expired",
    "rejected",
    "stuck",
    "stolen",
    "span_s",
    "throughput_per_s",
    "utilisation",
    "latency_us_mean",
    "latency_us_p50",
    "latency_us_p90",
    "latency_us_p99",
    "latency_us_p999",
    "latency_us_max",
    "wait_us_mean",
    "wait_us_p50",
    "wait_us_p90",
    "wait_us_p99",
    "wait_us_p999",
    "wait_us_max",
];

/// Writes the figures as CSV.
pub fn write_csv(report: &SimulatedReport, out: &mut dyn Write) -> io::Result<()> {
    let line = |one: &Simulated| {
        let counts = [
            one.tasks,
            one.completed,
            one.failed,
            one.expired,
            one.rejected,
            one.stuck,
            one.stolen,
        ];
        let mut figures = vec![one.span_s, one.throughput_per_s, one.utilisation];
        for Latency { mean, p50, p90, p99, p999, max } in [one.latency_us, one.wait_us] {
            figures.extend([mean, p50, p90, p99, p999, max]);
        }
        (counts.to_vec(), figures)
    };
    csv::lines(&CSV_COLUMNS, &report.strategies, line, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(strategy: &str, p99: f64, stuck: u64) -> Simulated {
        let latency = Latency { mean: 1e3, p50: 1e3, p90: 2e3, p99, p999: p99, max: p99 };
        Simulated {
            strategy: strategy.into(),
            tasks: 100,
            completed: 100 - stuck,
            failed: 0,
            expired: 0,
            rejected: 0,
            stuck,
            stolen: 0,
            span_s: 2.5,
            throughput_per_s: 40.0,
            utilisation: 0.5,
            latency_us: latency,
            wait_us: latency,
            share: vec![("a".into(), 0.25), ("b".into(), 0.75)],
        }
    }

    #[test]
    fn the_table_has_only_outcomes_that_occurred_and_marks_the_best() {
        let text = figures(&[example("x", 5e3, 0), example("y", 7e3, 3)], &Layout::whole());
        assert!(text.contains("stuck") && !text.contains("expired"), "{text}");
        assert!(text.contains("5.000 *") && text.contains("7.000 !"), "{text}");
    }

    #[test]
    fn the_csv_has_a_field_for_every_column() {
        let workload = SimulatedWorkload {
            source: "s".into(),
            tasks: 100,
            warm_up: 0,
            seed: 1,
            speedup: 1.0,
            workers: "2x1.0".into(),
            load: 0.5,
            peak_load: 0.5,
            service_us_mean: 1.0,
            service_scv: 1.0,
            gap_scv: 1.0,
            durations_known: false,
            interrupted: false,
        };
        let strategies = vec![example("x", 5e3, 3)];
        let mut bytes = Vec::new();
        write_csv(&SimulatedReport { workload, strategies }, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with("wait_us_max,share_a,share_b"), "{text}");
        let expected = "x,100,97,0,0,0,3,0,2.5,40,0.5,1000,1000,2000,5000,5000,5000,\
                        1000,1000,2000,5000,5000,5000,0.25,0.75";
        assert_eq!(lines[1], expected);
    }
}
