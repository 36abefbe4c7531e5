//! The HTML pages of simulations.

use std::time::Duration;

use raddle::sim::{Advice, CONFIDENCE, Objective, Run};
use raddle_charts::Unit;

use super::input::Input;
use crate::print::visible;
use crate::report::advised::{AdvisedReport, Ranked};
use crate::report::html::{Detail, Estimate, Page, Strategy};
use crate::report::simulated::Simulated;

/// The points of percentile curves. The very shortest latencies, possibly of tasks that take no
/// time, would stretch the axis for nothing of interest.
const QUANTILES: [f64; 18] = [
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995,
    0.9999, 0.99999,
];

/// Creates the page of one run per strategy, ranked by 99th percentile.
pub fn of_runs(input: &Input, runs: &[Run]) -> Page {
    let strategy = |run: &Run| {
        let objective = Estimate { value: Objective::P99.of(run) / 1e9, interval: None };
        strategy(Simulated::of(run), objective, std::slice::from_ref(run))
    };
    let mut strategies: Vec<Strategy> = runs.iter().map(strategy).collect();
    let p99 =
        |strategy: &Strategy| strategy.objective.map_or(f64::INFINITY, |estimate| estimate.value);
    strategies.sort_by(|one, other| p99(one).total_cmp(&p99(other)));
    Page {
        title: format!("{}, simulated", visible(&input.workload.source)),
        objective: "p99 latency".into(),
        strategies,
        ..page(input, 1)
    }
}

/// Creates the page of an advice.
pub fn of_advice(input: &Input, advice: &Advice, report: &AdvisedReport) -> Page {
    let (objective, unit) = match advice.objective {
        Objective::Throughput => ("throughput".into(), Unit::PerSecond),
        latency => (format!("{latency} latency"), Unit::Seconds),
    };
    // The report has microseconds.
    let scale = if unit == Unit::Seconds { 1e-6 } else { 1.0 };
    let ranked = |(index, ranked): (usize, &Ranked)| {
        let figure = ranked.objective;
        let estimate = Estimate {
            value: figure.mean * scale,
            interval: (!figure.low.is_nan()).then_some((figure.low * scale, figure.high * scale)),
        };
        let mut strategy = strategy(ranked.figures.clone(), estimate, &advice.ranking[index].runs);
        // Without a note that the best ties with itself.
        if ranked.ties && index > 0 {
            strategy.notes.insert(0, "ties with the best".into());
        }
        let name = &ranked.figures.strategy;
        let curve = advice.curves.iter().find(|curve| curve.strategy == *name);
        strategy.loads = curve.map_or(Vec::new(), |curve| curve.points.clone());
        strategy
    };
    Page {
        title: format!("Which strategy for {}?", visible(&input.workload.source)),
        advice: report.advice.iter().map(|line| visible(line)).collect(),
        objective,
        unit,
        strategies: report.ranking.iter().enumerate().map(ranked).collect(),
        ..page(input, report.seeds)
    }
}

/// A page without strategies.
fn page(input: &Input, seeds: usize) -> Page {
    let detail = |name: &str, value: String| Detail { name: name.into(), value, code: false };
    let capacity = input.scenario.capacity();
    Page {
        subtitle: vec![visible(&input.heading())],
        confidence: CONFIDENCE,
        capacity: input.scenario.workers.iter().map(|worker| worker.speed / capacity).collect(),
        details: vec![
            detail("First seed", input.workload.seed.to_string()),
            detail("Runs per strategy", seeds.to_string()),
            detail("Warm-up", format!("{} tasks", input.workload.warm_up)),
            detail("Version", env!("CARGO_PKG_VERSION").into()),
            Detail { name: "Repeat with".into(), value: command(), code: true },
        ],
        ..Page::default()
    }
}

/// The command line, quoted for a shell where needed.
fn command() -> String {
    let quoted = |argument: std::ffi::OsString| {
        let argument = argument.to_string_lossy();
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_=+./,:@%".contains(char);
        if !argument.is_empty() && argument.chars().all(is_plain) {
            return argument.into_owned();
        }
        visible(&format!("'{}'", argument.replace('\'', r"'\''")))
    };
    let arguments = std::env::args_os().skip(1).map(quoted);
    std::iter::once("raddle".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// A strategy by its runs; only the first has a timeline.
fn strategy(mut figures: Simulated, objective: Estimate, runs: &[Run]) -> Strategy {
    for (worker, _) in &mut figures.share {
        *worker = visible(worker);
    }
    let mut notes = Vec::new();
    for (outcome, count) in figures.other_outcomes() {
        if count > 0 {
            let share = count as f64 / figures.tasks.max(1) as f64 * 100.0;
            notes.push(format!("{share:.2} % {outcome}"));
        }
    }
    if figures.stolen > 0 {
        notes.push(format!("{} stolen", figures.stolen));
    }
    Strategy {
        figures,
        objective: Some(objective),
        notes,
        percentiles: percentiles(runs),
        loads: Vec::new(),
        timeline: runs.first().map_or(Vec::new(), |run| run.timeline.clone()),
    }
}

/// The percentiles of the tasks of all runs together.
fn percentiles(runs: &[Run]) -> Vec<(f64, Duration)> {
    let Some((first, rest)) = runs.split_first() else {
        return Vec::new();
    };
    let mut all = first.sojourn.histogram().clone();
    for run in rest {
        // Cannot fail: the histogram resizes itself.
        let _ = all.add(run.sojourn.histogram());
    }
    // A higher quantile would be the latency of a single task.
    let last = 1.0 - 1.0 / all.len().max(1) as f64;
    let drawn = QUANTILES.into_iter().filter(|quantile| *quantile <= last);
    drawn.map(|at| (at, Duration::from_nanos(all.value_at_quantile(at)))).collect()
}
