//! Every contender of every scenario in rounds, and what came of it.

mod json;
mod results;
mod run;
mod table;
mod verdicts;

use std::path::PathBuf;

pub use results::median;
pub use run::run;
pub use verdicts::{Bound, Verdict, print};

/// Measures every contender of every scenario.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How often each is measured; more gives steadier medians.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// For about how long a sample is measured.
    #[arg(long, default_value_t = 0.4)]
    seconds_per_sample: f64,
    /// Only scenarios and contenders, as `tell/1 raddle`, whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Two short rounds: figures that show that all works, and little more.
    #[arg(long)]
    quick: bool,
    /// Writes all samples and verdicts to this file too.
    #[arg(long)]
    json: Option<PathBuf>,
}
