use clap::Parser;

use crate::sabotage::Sabotage;

/// Command-line arguments.
#[derive(Parser)]
#[command(
    name = "raddle-soak",
    about = "Runs pools under injected faults and accounts for every task"
)]
pub struct Arguments {
    /// Duration of the run, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Seed of plans and faults; random by default. Thread interleaving does not depend on it.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Breaks something on purpose, to show that its check fails.
    #[arg(long, value_enum, hide = true)]
    pub sabotage: Option<Sabotage>,
    /// Seconds after which the run counts as stuck.
    #[arg(long, hide = true)]
    pub patience: Option<u64>,
}
