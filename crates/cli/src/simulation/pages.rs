//! The page of what was simulated.

use std::time::Duration;

use raddle::sim::{Advice, CONFIDENCE, Curve, Objective, QueueSample, Run};

use super::advised::{AdvisedReport, Ranked};
use super::asked::Asked;
use crate::report::Latency;
use crate::report::file::{FileError, OutputFile, OutputFolder};
use crate::report::html::{
    self, Detail, Estimate, LoadCurve, LoadPoint, Page, PercentileCurve, QueueLengths, Ranking,
    Row, Shares, Timeline, Unit,
};
use crate::report::simulated::Simulated;

/// Where curves of percentiles have points. The shortest latencies of all, which may be of tasks of no
/// length, would stretch the axis to nothing of interest.
const QUANTILES: [f64; 18] = [
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995,
    0.9999, 0.99999,
];

/// Writes the page, and its pictures, where they are asked for.
pub fn write(
    page: &Page,
    file: Option<OutputFile>,
    pictures: Option<OutputFolder>,
) -> Result<(), FileError> {
    if let Some(file) = file {
        file.write(|out| html::write(page, out))?;
    }
    if let Some(folder) = pictures {
        for (name, picture) in html::pictures(page) {
            folder.write(&format!("{name}.svg"), picture.as_bytes())?;
        }
    }
    Ok(())
}

/// The page of one run a strategy, ranked by the 99th percentile.
pub fn of_runs(asked: &Asked, runs: &[Run]) -> Page {
    let mut rows: Vec<Row> = runs
        .iter()
        .map(|run| {
            let p99 = Objective::P99.of(run) / 1e9;
            row(&Simulated::of(run), Some(Estimate { value: p99, interval: None }), Vec::new())
        })
        .collect();
    let p99 = |row: &Row| row.objective.map_or(f64::INFINITY, |estimate| estimate.value);
    rows.sort_by(|one, other| p99(one).total_cmp(&p99(other)));
    Page {
        title: format!("{}, simulated", asked.report.source),
        subtitle: vec![asked.heading()],
        ranking: Ranking {
            objective: "p99 latency".into(),
            unit: Unit::Seconds,
            confidence: CONFIDENCE,
            rows,
        },
        percentiles: runs.iter().map(|run| percentiles(std::slice::from_ref(run))).collect(),
        shares: shares(asked, &runs.iter().map(Simulated::of).collect::<Vec<_>>()),
        timelines: runs.iter().map(timeline).collect(),
        details: details(asked, "1"),
        ..Page::default()
    }
}

/// The page of an advice.
pub fn of_advice(asked: &Asked, advice: &Advice, report: &AdvisedReport) -> Page {
    let unit = match advice.objective {
        Objective::Throughput => Unit::PerSecond,
        Objective::P99 | Objective::Mean => Unit::Seconds,
    };
    // What the report has in microseconds.
    let scale = if unit == Unit::Seconds { 1e-6 } else { 1.0 };
    let ranked = |ranked: &Ranked| {
        let objective = ranked.objective;
        let interval = (!objective.low.is_nan()).then_some((objective.low, objective.high));
        let estimate = Estimate {
            value: objective.mean * scale,
            interval: interval.map(|(low, high)| (low * scale, high * scale)),
        };
        // The best ties with itself, which is not worth a note.
        let ties = ranked.ties && ranked.figures.strategy != report.ranking[0].figures.strategy;
        let notes = ties.then(|| "ties with the best".to_owned());
        row(&ranked.figures, Some(estimate), notes.into_iter().collect())
    };
    let rows = report.ranking.iter().map(ranked).collect();
    let figures: Vec<_> = report.ranking.iter().map(|ranked| ranked.figures.clone()).collect();
    let objective = match advice.objective {
        Objective::P99 => "p99 latency",
        Objective::Mean => "mean latency",
        Objective::Throughput => "throughput",
    };
    Page {
        title: format!("Which strategy for {}?", asked.report.source),
        subtitle: vec![asked.heading()],
        advice: report.advice.clone(),
        ranking: Ranking { objective: objective.into(), unit, confidence: CONFIDENCE, rows },
        percentiles: advice.ranking.iter().map(|one| percentiles(&one.runs)).collect(),
        loads: advice.curves.iter().map(loads).collect(),
        shares: shares(asked, &figures),
        timelines: advice.ranking.iter().filter_map(|one| one.runs.first()).map(timeline).collect(),
        details: details(asked, &report.seeds.to_string()),
    }
}

fn row(figures: &Simulated, objective: Option<Estimate>, mut notes: Vec<String>) -> Row {
    let Latency { mean, p50, p90, p99, p999, max } = figures.latency_us;
    let time = |us: f64| Duration::try_from_secs_f64(us / 1e6).ok();
    for (end, count) in figures.other_ends() {
        if count > 0 {
            let share = count as f64 / figures.tasks.max(1) as f64 * 100.0;
            notes.push(format!("{share:.2} % {end}"));
        }
    }
    if figures.stolen > 0 {
        notes.push(format!("{} stolen", figures.stolen));
    }
    Row {
        strategy: figures.strategy.clone(),
        objective,
        mean: time(mean),
        p50: time(p50),
        p90: time(p90),
        p99: time(p99),
        p999: time(p999),
        max: time(max),
        throughput: Some(figures.throughput_per_s),
        utilisation: Some(figures.utilisation),
        notes,
    }
}

/// Of all runs' tasks together.
fn percentiles(runs: &[Run]) -> PercentileCurve {
    let Some((first, rest)) = runs.split_first() else {
        return PercentileCurve::default();
    };
    let mut all = first.sojourn.clone();
    for run in rest {
        // One that does not fit is left out; both resize themselves, so that all fit.
        let _ = all.add(&run.sojourn);
    }
    // Beyond it a quantile is that of a single task.
    let last = 1.0 - 1.0 / all.len().max(1) as f64;
    let points = QUANTILES.into_iter().filter(|quantile| *quantile <= last);
    PercentileCurve {
        strategy: first.strategy.clone(),
        points: points
            .map(|quantile| (quantile, Duration::from_nanos(all.value_at_quantile(quantile))))
            .collect(),
    }
}

fn loads(curve: &Curve) -> LoadCurve {
    let points = curve.points.iter();
    LoadCurve {
        strategy: curve.strategy.clone(),
        points: points
            .map(|point| LoadPoint { load: point.load, mean: point.mean, p99: point.p99 })
            .collect(),
    }
}

fn shares(asked: &Asked, figures: &[Simulated]) -> Shares {
    let workers = &asked.scenario.workers;
    let capacity = asked.scenario.capacity();
    let shares = |one: &Simulated| {
        let shares = one.share.iter().map(|(_, share)| *share).collect();
        (one.strategy.clone(), shares)
    };
    Shares {
        workers: workers.iter().map(|worker| worker.spec.name().to_owned()).collect(),
        capacity: workers.iter().map(|worker| worker.speed / capacity).collect(),
        strategies: figures.iter().map(shares).collect(),
    }
}

fn timeline(run: &Run) -> Timeline {
    let sample =
        |sample: &QueueSample| QueueLengths { at: sample.at, queues: sample.in_flight.clone() };
    Timeline { strategy: run.strategy.clone(), samples: run.timeline.iter().map(sample).collect() }
}

fn details(asked: &Asked, seeds: &str) -> Vec<Detail> {
    let detail = |name: &str, value: String| Detail { name: name.into(), value, code: false };
    let command: Vec<String> = std::env::args().skip(1).collect();
    vec![
        detail("First seed", asked.report.seed.to_string()),
        detail("Runs a strategy", seeds.into()),
        detail("Warm-up", format!("{} tasks", asked.report.warm_up)),
        detail("Version", env!("CARGO_PKG_VERSION").into()),
        Detail {
            name: "Repeat with".into(),
            value: format!("raddle {}", command.join(" ")),
            code: true,
        },
    ]
}
