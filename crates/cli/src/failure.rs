//! How the program ends.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use raddle::CapabilityError;
use raddle::sim::SimError;
use thiserror::Error;

use crate::args::NoTokens;
use crate::print::ScreenError;
use crate::report::file::FileError;
use crate::report::layout::UnknownColumn;
use crate::run::RunError;
use crate::source::ReadError;
use crate::trace::TraceError;
use crate::workload::NotServed;

/// The end of a run that did not fail.
pub enum End {
    /// Everything was measured.
    Complete,
    /// Ctrl-C or SIGTERM stopped it.
    Interrupted,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum Failure {
    /// The trace or scenario cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The trace is invalid.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A report cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The scenario is invalid.
    #[error(transparent)]
    Scenario(#[from] raddle::sim::FileError),
    /// A scenario cannot be replayed.
    #[error(
        "{} is a scenario, and `raddle replay` takes a trace: expected `raddle simulate`, or \
         `raddle advise`, with the scenario",
        path.display()
    )]
    NotReplayed {
        /// The scenario.
        path: PathBuf,
    },
    /// A cost of tokens is given, and there are none.
    #[error(transparent)]
    NoTokens(#[from] NoTokens),
    /// There is no load to scale.
    #[error(
        "--load {load} is not possible: the tasks arrive all at once or take no time, so there is \
         no load to scale (expected a trace or scenario with arrival and service times)"
    )]
    NoLoad {
        /// The value of the option.
        load: f64,
    },
    /// The given speedup leaves tasks no length.
    #[error(
        "--speedup is {speedup}, allowed is up to {most:.3}: above that, tasks would take less \
         than a microsecond"
    )]
    Speedup {
        /// The value of the option.
        speedup: f64,
        /// The largest possible value.
        most: f64,
    },
    /// No speedup that leaves tasks a length makes the replay short.
    #[error(
        "a replay in {} s per strategy is not possible: tasks would take less than a microsecond \
         (expected --speedup with at most {most:.3}, --limit, or `raddle simulate`)",
        longest.as_secs()
    )]
    NoSpeedup {
        /// The intended time.
        longest: Duration,
        /// The largest possible speedup.
        most: f64,
    },
    /// There are too many capability names.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The simulation failed.
    #[error("cannot simulate")]
    Simulation(#[from] SimError),
    /// `--columns` is invalid.
    #[error(transparent)]
    Columns(#[from] UnknownColumn),
    /// Two options contradict each other.
    #[error("--concurrency is for the closed loop: omit it or use --mode closed")]
    OpenConcurrency,
    /// No worker serves some of the tasks.
    #[error(transparent)]
    NotServed(#[from] NotServed),
    /// Ctrl-C and SIGTERM cannot be handled.
    #[error("cannot handle Ctrl-C and SIGTERM")]
    Signals(#[source] io::Error),
    /// A strategy could not be measured.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What the user reads cannot be written.
    #[error(transparent)]
    Screen(#[from] ScreenError),
    /// The mailboxes would take too much memory.
    #[error(
        "--mailbox {mailbox} is too much for {workers} workers: expected at most {most}, so that \
         all mailboxes together have room for {} tasks",
        crate::run::MOST_MAILBOX_ROOM
    )]
    Mailbox {
        /// The value of the option.
        mailbox: usize,
        /// The number of workers.
        workers: usize,
        /// The largest possible value.
        most: usize,
    },
}

impl Failure {
    /// Returns whether the run itself failed, and not its options or files.
    pub fn is_of_the_run(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Signals(_) | Self::Simulation(SimError::Unaccounted(_)))
    }
}
