//! Example pages, with invented figures that follow queueing formulas.

use std::time::Duration;

use raddle::sim::{CurvePoint, QueueSample};
use raddle_charts::Unit;

use super::strategy;
use crate::report::Latency;
use crate::report::html::{Detail, Estimate, Page, Strategy};

/// The names of all strategies.
pub const STRATEGIES: [&str; 14] = [
    "least_work",
    "join_idle",
    "expected_delay",
    "least_loaded",
    "power_of_two",
    "peak_ewma",
    "hot_cold",
    "weighted_round_robin",
    "capability_best",
    "bounded_hash",
    "warm_first",
    "latency_based",
    "round_robin",
    "random",
];

/// A complete page.
pub fn page(strategies: usize, workers: usize) -> Page {
    Page {
        title: "Eight workers under bursts: join_idle beats random".into(),
        subtitle: vec![
            format!("1,000,000 tasks for {workers} workers of speeds 1 and 0.5, load 80 %"),
            "Bursts of 3 s every 20 s; sizes lognormal, mean 5 ms, squared coefficient 4".into(),
        ],
        advice: vec![
            "Use least_work if durations are known: its p99 is 19.2 ms (18.8 to 19.6 ms).".into(),
            "Otherwise use join_idle, which is 12 % behind.".into(),
        ],
        objective: "p99 latency".into(),
        unit: Unit::Seconds,
        confidence: 0.95,
        capacity: (0..workers).map(|worker| speed(worker) / speeds(workers)).collect(),
        strategies: (0..strategies).map(|rank| example(rank, workers)).collect(),
        details: details(),
    }
}

fn slowness(rank: usize) -> f64 {
    1.0 + (rank as f64 * 0.42).powf(1.7)
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

/// Latency in milliseconds at a number of nines.
fn latency(rank: usize, nines: f64) -> f64 {
    1.2 + 2.4 * nines + slowness(rank) * 1.1 * nines.powf(1.6 + rank as f64 * 0.05)
}

fn example(rank: usize, workers: usize) -> Strategy {
    let at = |nines| latency(rank, nines) * 1e3;
    let latencies = Latency {
        mean: at(0.45),
        p50: at(0.301),
        p90: at(1.0),
        p99: at(2.0),
        p999: at(3.0),
        max: at(5.4),
    };
    let mut strategy = strategy(STRATEGIES[rank], latencies);
    strategy.figures.throughput_per_s = 1_284.4 - rank as f64 * 3.0;
    strategy.figures.utilisation = 0.801 - rank as f64 * 0.002;
    strategy.figures.share = share(rank, workers);
    let p99 = latency(rank, 2.0) / 1e3;
    strategy.objective = Some(Estimate { value: p99, interval: Some((p99 * 0.96, p99 * 1.05)) });
    if strategy.name() == "random" {
        strategy.notes = vec!["0.31 % rejected".into()];
    }
    let nines = (0..=540).map(|tick| f64::from(tick) / 100.0);
    let point = |nines: f64| (1.0 - 10f64.powf(-nines), millis(latency(rank, nines)));
    strategy.percentiles = nines.map(point).collect();
    strategy.loads =
        [0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95].map(|load| at_load(rank, load)).to_vec();
    strategy.timeline = (0..620).map(|moment| queues(rank, workers, moment)).collect();
    strategy
}

fn at_load(rank: usize, load: f64) -> CurvePoint {
    let mean = 1.0 + slowness(rank) * load / (2.0 * (1.0 - load));
    CurvePoint { load, mean: millis(5.0 * mean), p99: millis(5.0 * 4.6 * mean) }
}

fn speed(worker: usize) -> f64 {
    if worker.is_multiple_of(2) { 1.0 } else { 0.5 }
}

fn speeds(workers: usize) -> f64 {
    (0..workers).map(speed).sum()
}

fn share(rank: usize, workers: usize) -> Vec<(String, f64)> {
    let wish = |worker: usize| {
        speed(worker).powf(1.0 - rank as f64 / 13.0) * (1.0 + 0.1 * (worker as f64).sin())
    };
    let sum: f64 = (0..workers).map(wish).sum();
    (0..workers).map(|worker| (format!("general-{worker}"), wish(worker) / sum)).collect()
}

fn queues(rank: usize, workers: usize, moment: u32) -> QueueSample {
    let seconds = f64::from(moment) / 10.0;
    let burst = if seconds % 20.0 < 3.0 { seconds % 20.0 } else { 0.0 };
    let length = |worker: usize| {
        let noise = (seconds * (1.3 + worker as f64 * 0.7)).sin().abs();
        let slow = if worker % 2 == 1 { slowness(rank) } else { 1.0 };
        (noise * 2.0 + burst * slow) as u32
    };
    QueueSample {
        at: Duration::from_secs_f64(seconds),
        in_flight: (0..workers).map(length).collect(),
    }
}

fn details() -> Vec<Detail> {
    let detail =
        |name: &str, value: &str, code| Detail { name: name.into(), value: value.into(), code };
    vec![
        detail(
            "Repeat with",
            "raddle simulate --workers 4x1.0,4x0.5 --load 0.8 --tasks 1000000 --seed 1..10 --html report.html",
            true,
        ),
        detail("Seeds", "1 to 10, one run each", false),
        detail("Version", "raddle 0.1.0", false),
    ]
}
