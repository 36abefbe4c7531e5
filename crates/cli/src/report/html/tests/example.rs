//! Pages to test with. Their figures are made up, by the formulas of queues.

use std::time::Duration;

use crate::report::html::{
    Detail, Estimate, LoadCurve, LoadPoint, Page, PercentileCurve, QueueLengths, Ranking, Row,
    Shares, Timeline, Unit,
};

/// Strategies as there may be.
pub const STRATEGIES: [&str; 13] = [
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
    "latency_based",
    "round_robin",
    "random",
];

/// A whole page of so many strategies and workers.
pub fn page(strategies: usize, workers: usize) -> Page {
    let names = &STRATEGIES[..strategies];
    Page {
        title: "Eight workers under bursts: join_idle before random".into(),
        subtitle: vec![
            format!("1,000,000 tasks for {workers} workers of speeds 1 and 0.5, load 80 %"),
            "Bursts of 3 s every 20 s; sizes lognormal, mean 5 ms, squared coefficient 4".into(),
        ],
        advice: vec![
            "Use least_work where tasks tell their size: its p99 is 19.2 ms (18.8 to 19.6 ms)."
                .into(),
            "Without sizes join_idle comes nearest, 12 % behind.".into(),
        ],
        ranking: ranking(names),
        percentiles: names.iter().enumerate().map(percentiles).collect(),
        loads: names.iter().enumerate().map(loads).collect(),
        shares: shares(names, workers),
        timelines: (0..strategies).map(|place| timeline(place, workers)).collect(),
        details: details(),
    }
}

fn slowness(place: usize) -> f64 {
    1.0 + (place as f64 * 0.42).powf(1.7)
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

/// Latency in milliseconds at so many nines.
fn latency(place: usize, nines: f64) -> f64 {
    1.2 + 2.4 * nines + slowness(place) * 1.1 * nines.powf(1.6 + place as f64 * 0.05)
}

fn ranking(names: &[&str]) -> Ranking {
    let row = |(place, name): (usize, &&str)| {
        let at = |nines| Some(millis(latency(place, nines)));
        let p99 = latency(place, 2.0) / 1e3;
        Row {
            strategy: (*name).into(),
            objective: Some(Estimate { value: p99, interval: Some((p99 * 0.96, p99 * 1.05)) }),
            mean: at(0.45),
            p50: at(0.301),
            p90: at(1.0),
            p99: at(2.0),
            p999: at(3.0),
            max: at(5.4),
            throughput: Some(1_284.4 - place as f64 * 3.0),
            utilisation: Some(0.801 - place as f64 * 0.002),
            notes: if *name == "random" { vec!["0.31 % rejected".into()] } else { vec![] },
        }
    };
    Ranking {
        objective: "p99 latency".into(),
        unit: Unit::Seconds,
        confidence: 0.95,
        rows: names.iter().enumerate().map(row).collect(),
    }
}

fn percentiles((place, name): (usize, &&str)) -> PercentileCurve {
    let points = (0..=540).map(|tick| f64::from(tick) / 100.0);
    let points =
        points.map(|nines| (1.0 - 10f64.powf(-nines), millis(latency(place, nines)))).collect();
    PercentileCurve { strategy: (*name).into(), points }
}

fn loads((place, name): (usize, &&str)) -> LoadCurve {
    let point = |load: f64| {
        let mean = 1.0 + slowness(place) * load / (2.0 * (1.0 - load));
        LoadPoint { load, mean: millis(5.0 * mean), p99: millis(5.0 * 4.6 * mean) }
    };
    let points = [0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95].map(point).to_vec();
    LoadCurve { strategy: (*name).into(), points }
}

fn shares(names: &[&str], workers: usize) -> Shares {
    let speed = |worker: usize| if worker.is_multiple_of(2) { 1.0 } else { 0.5 };
    let speeds: f64 = (0..workers).map(speed).sum();
    let capacity: Vec<f64> = (0..workers).map(|worker| speed(worker) / speeds).collect();
    let given = |place: usize| -> Vec<f64> {
        let wish = |worker: usize| {
            speed(worker).powf(1.0 - place as f64 / 13.0) * (1.0 + 0.1 * (worker as f64).sin())
        };
        let sum: f64 = (0..workers).map(wish).sum();
        (0..workers).map(|worker| wish(worker) / sum).collect()
    };
    Shares {
        workers: (0..workers).map(|worker| format!("general-{worker}")).collect(),
        capacity,
        strategies: names
            .iter()
            .enumerate()
            .map(|(place, name)| ((*name).into(), given(place)))
            .collect(),
    }
}

fn timeline(place: usize, workers: usize) -> Timeline {
    let sample = |moment: u32| {
        let seconds = f64::from(moment) / 10.0;
        let burst = if seconds % 20.0 < 3.0 { seconds % 20.0 } else { 0.0 };
        let length = |worker: usize| {
            let noise = (seconds * (1.3 + worker as f64 * 0.7)).sin().abs();
            let slow = if worker % 2 == 1 { slowness(place) } else { 1.0 };
            (noise * 2.0 + burst * slow) as u32
        };
        QueueLengths {
            at: Duration::from_secs_f64(seconds),
            queues: (0..workers).map(length).collect(),
        }
    };
    Timeline { strategy: STRATEGIES[place].into(), samples: (0..620).map(sample).collect() }
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
