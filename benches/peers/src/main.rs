//! raddle beside what is used today instead of it.
//!
//! `compare` measures every contender of every scenario, each sample in a process of its own, and
//! prints tables and what was to be shown. `openloop` does so for latencies under a load that does
//! not wait. `cargo xtask peers` and `cargo xtask openloop` run them in a release build.

mod compare;
mod error;
mod figures;
mod harness;
mod openloop;
mod peers;
mod process;
mod scenario;
mod versions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::PeersError;

#[derive(Parser)]
#[command(name = "raddle-peers", about = "raddle beside its peers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures every contender of every scenario, in rounds, and prints tables.
    Compare(compare::Arguments),
    /// Measures one contender of one scenario once, and prints a line of JSON.
    Measure(scenario::Arguments),
    /// Measures latencies under a load that arrives on schedule, and prints tables.
    Openloop(openloop::Arguments),
    /// Measures one contender under such a load, and prints a line of JSON.
    OpenloopSample(openloop::SampleArguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raddle-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), PeersError> {
    match command {
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Measure(arguments) => scenario::run(&arguments),
        Command::Openloop(arguments) => openloop::run(&arguments),
        Command::OpenloopSample(arguments) => openloop::sample(&arguments),
    }
}
