//! The program `raddle`: compares strategies on the real runtime or on a virtual clock.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod app;
mod args;
mod failure;
mod print;
mod progress;
mod report;
mod run;
mod simulation;
mod stop;
mod trace;
mod workload;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use failure::{End, Failure};
use stop::INTERRUPTED;

/// The exit code after an error of the run itself.
const FAILED: u8 = 1;
/// The exit code after an error of the command line or of a file that it names; clap's own.
const INVALID: u8 = 2;

fn main() -> ExitCode {
    match app::run(args::Cli::parse()) {
        Ok(End::Complete) => ExitCode::SUCCESS,
        Ok(End::Interrupted) => INTERRUPTED.into(),
        Err(failure) => {
            eprintln!("error: {}", with_sources(&failure));
            if failure.is_of_the_run() { FAILED.into() } else { INVALID.into() }
        }
    }
}

/// The message of an error and those of its sources.
fn with_sources(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        let message = error.to_string();
        // Some libraries repeat the source in the message of an error.
        if !text.ends_with(&message) {
            text += &format!(": {message}");
        }
        source = error.source();
    }
    text
}
