//! Measures every contender of every scenario in rounds.

mod json;
mod results;
mod run;
mod table;
mod verdicts;

use std::path::PathBuf;

pub use run::run;
pub use verdicts::{Bound, Verdict, print};

/// The options of `compare`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The number of samples of each contender; more give steadier medians.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// The approximate duration of a sample.
    #[arg(long, default_value_t = 0.4)]
    seconds_per_sample: f64,
    /// Measure only what has one of these in its name, separated by commas: `tell,pool`. A name
    /// is that of the scenario and the contender, as in `tell/1 raddle`.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Take two short rounds, to check that everything works; the figures are rough.
    #[arg(long)]
    quick: bool,
    /// Also write all samples and verdicts to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}
