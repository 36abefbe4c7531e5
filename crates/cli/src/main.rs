//! The program `raddle`: runs the strategies on the real runtime or on a virtual clock, and
//! compares what came of it.
#![warn(missing_docs)]

mod app;
mod args;
mod progress;
mod report;
mod run;
mod simulation;
mod stop;
mod trace;
mod workload;

use std::process::ExitCode;

use app::{End, Failure};
use clap::Parser;
use raddle::sim::SimError;

/// Something went wrong in the run itself.
const FAILED: u8 = 1;
/// What was asked for cannot be; as clap ends.
const WRONG: u8 = 2;
/// Ctrl-C, as shells report it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match app::run(args::Cli::parse()) {
        Ok(End::Whole) => ExitCode::SUCCESS,
        Ok(End::Interrupted) => INTERRUPTED.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            match failure {
                Failure::Run(_) | Failure::CtrlC(_) | Failure::Simulation(SimError::Astray(_)) => {
                    FAILED.into()
                }
                _ => WRONG.into(),
            }
        }
    }
}
