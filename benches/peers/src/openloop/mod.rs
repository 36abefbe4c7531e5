//! Latencies under a load that arrives on schedule and does not wait for earlier tasks.

mod board;
mod case;
mod contenders;
mod drive;
mod fault;
mod plot;
mod report;
mod run;
mod sleeper;
mod stage;

use std::path::PathBuf;

pub use run::{run, sample};

use case::{Case, LOADS};

/// The options of `openloop`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The duration of the load on each contender, for each case and load.
    #[arg(long, default_value_t = 4.5)]
    seconds: f64,
    /// The seed of the arrivals [default: random, and printed].
    #[arg(long)]
    seed: Option<u64>,
    /// The number of contenders measured at a time. Tasks sleep, which leaves the cores idle, so
    /// two contenders hardly disturb each other.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Measure only contenders that have one of these in their name, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Measure only this case.
    #[arg(long)]
    case: Option<Case>,
    /// Measure only this load, in percent of capacity: 30, 50, 70 or 90.
    #[arg(long, value_parser = load)]
    load: Option<u32>,
    /// Write a picture for each case and load, and all percentiles as JSON, to this folder.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// The options of `openloop-sample`.
#[derive(Debug, clap::Args)]
pub struct SampleArguments {
    /// The fault of one worker.
    case: Case,
    /// For example `raddle`.
    contender: String,
    /// The load in percent of capacity.
    #[arg(long, default_value_t = 70)]
    load: u32,
    /// The duration of the load.
    #[arg(long, default_value_t = 4.5)]
    seconds: f64,
    /// The seed of the arrivals.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn load(text: &str) -> Result<u32, String> {
    let load = text.parse().ok().filter(|load| LOADS.contains(load));
    load.ok_or_else(|| format!("expected one of {LOADS:?}"))
}
