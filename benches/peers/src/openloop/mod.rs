//! Latencies under a load that arrives on schedule, whatever becomes of the tasks before.

mod board;
mod case;
mod contenders;
mod drive;
mod fault;
mod plot;
mod report;
mod run;
mod sleeper;

use std::path::PathBuf;

pub use run::{run, sample};

use case::Case;

/// Measures latencies under a load that arrives on schedule.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// For how long each contender is given tasks, for each case and load.
    #[arg(long, default_value_t = 4.5)]
    seconds: f64,
    /// What arrivals are drawn from; drawn itself, and printed, when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many contenders are measured at a time. The work is sleeping, which leaves the cores
    /// idle: two disturb each other little.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Only contenders with this in their name.
    #[arg(long)]
    only: Option<String>,
    /// Only this case.
    #[arg(long)]
    case: Option<Case>,
    /// Only this load, in percent of capacity.
    #[arg(long)]
    load: Option<u32>,
    /// Writes a picture for each case and load, and all percentiles as JSON, to this folder.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Measures one contender.
#[derive(Debug, clap::Args)]
pub struct SampleArguments {
    /// What is wrong with one of the workers.
    case: Case,
    /// For example `raddle`.
    contender: String,
    /// In percent of capacity.
    #[arg(long, default_value_t = 70)]
    load: u32,
    /// For how long tasks are given.
    #[arg(long, default_value_t = 4.5)]
    seconds: f64,
    /// What arrivals are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}
