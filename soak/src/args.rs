use clap::Parser;

use crate::sabotage::Sabotage;

/// What the run is to be.
#[derive(Parser)]
#[command(name = "raddle-soak", about = "Runs pools under every fault and checks every task")]
pub struct Arguments {
    /// For how long, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// What plans and faults are drawn from; drawn itself when not given. How threads interleave
    /// is not.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Breaks something on purpose, so that the check for it is seen to fail.
    #[arg(long, value_enum, hide = true)]
    pub sabotage: Option<Sabotage>,
    /// Seconds after which the run counts as stuck.
    #[arg(long, hide = true)]
    pub patience: Option<u64>,
}
