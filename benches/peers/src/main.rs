//! Compares raddle with the crates that are used for the same purpose today.
//!
//! `compare` measures every contender of every scenario, each sample in its own process, and prints
//! tables and verdicts. `openloop` measures latencies under a load that does not wait.
//! `cargo xtask peers` and `cargo xtask openloop` run them in a release build.
#![forbid(unsafe_code)]

mod compare;
mod error;
mod figures;
mod harness;
mod only;
mod openloop;
mod peers;
mod process;
mod scenario;
mod versions;

use std::error::Error as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::PeersError;

#[derive(Parser)]
#[command(name = "raddle-peers", about = "Compares raddle with its peers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure every contender of every scenario in rounds, and print tables.
    Compare(compare::Arguments),
    /// Measure one contender of one scenario once, and print a line of JSON.
    Measure(scenario::Arguments),
    /// Measure latencies under a load that arrives on schedule, and print tables.
    Openloop(openloop::Arguments),
    /// Measure one contender under such a load, and print a line of JSON.
    OpenloopSample(openloop::SampleArguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.source() {
                None => eprintln!("raddle-peers: {error}"),
                Some(source) => eprintln!("raddle-peers: {error}: {source}"),
            }
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
