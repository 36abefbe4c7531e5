//! The program `raddle`: compares strategies on the real runtime or on a virtual clock.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod app;
mod args;
mod choice;
mod failure;
mod print;
mod progress;
mod report;
mod run;
mod simulation;
mod source;
mod stop;
mod trace;
mod workload;

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;

use failure::{End, Failure};
use stop::INTERRUPTED;

/// The exit code after an error of the run itself.
const FAILED: u8 = 1;
/// The exit code after an error of the command line or of a file that it names; clap's own.
const INVALID: u8 = 2;

fn main() -> ExitCode {
    match app::run(parse()) {
        Ok(End::Complete) => ExitCode::SUCCESS,
        Ok(End::Interrupted) => INTERRUPTED.into(),
        Err(failure) => {
            print::error(&with_sources(&failure));
            if failure.is_of_the_run() { FAILED.into() } else { INVALID.into() }
        }
    }
}

/// Reads the command line; exits if it is invalid or asks for help.
fn parse() -> args::Cli {
    args::Cli::try_parse().unwrap_or_else(|error| {
        let error = on_visible_arguments().unwrap_or(error);
        let text = error.render().to_string();
        let printed = if print::visible_lines(&text) == text {
            error.print()
        } else {
            print::tell(&print::visible_lines(&text));
            Ok(())
        };
        if let Err(source) = printed
            && !error.use_stderr()
            && source.kind() != io::ErrorKind::BrokenPipe
        {
            print::error(&format!("cannot write to standard output: {source}"));
            std::process::exit(INVALID.into())
        }
        std::process::exit(error.exit_code())
    })
}

/// The error about the same arguments without control characters, as it quotes them among lines of
/// its own.
fn on_visible_arguments() -> Option<clap::Error> {
    let visible = |argument: OsString| match argument.to_str() {
        Some(text) => print::visible(text).into(),
        None => argument,
    };
    args::Cli::try_parse_from(std::env::args_os().map(visible)).err()
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
