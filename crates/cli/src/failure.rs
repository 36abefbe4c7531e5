//! How the program ends.

use std::io;

use raddle::CapabilityError;
use raddle::sim::SimError;
use thiserror::Error;

use crate::report::file::FileError;
use crate::run::RunError;
use crate::trace::TraceError;
use crate::workload::NotServed;

/// The end of a run that did not fail.
pub enum End {
    /// Everything was measured.
    Complete,
    /// Ctrl-C stopped it.
    Interrupted,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum Failure {
    /// The trace is invalid.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A report cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The scenario is invalid.
    #[error(transparent)]
    Scenario(#[from] raddle::sim::FileError),
    /// There is no load to scale.
    #[error(
        "--load {load} is not possible: the tasks arrive all at once or take no time, so there is \
         no load to scale (expected a trace or scenario with arrival and service times)"
    )]
    NoLoad {
        /// The value of the option.
        load: f64,
    },
    /// There are too many capability names.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The simulation failed.
    #[error("cannot simulate")]
    Simulation(#[from] SimError),
    /// Two options contradict each other.
    #[error("--concurrency is for the closed loop: omit it or use --mode closed")]
    OpenConcurrency,
    /// No worker serves some of the tasks.
    #[error(transparent)]
    NotServed(#[from] NotServed),
    /// The handler of Ctrl-C cannot be installed.
    #[error("cannot handle Ctrl-C")]
    CtrlC(#[from] ctrlc::Error),
    /// A strategy could not be measured.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Returns whether the run itself failed, and not its options or files.
    pub fn is_of_the_run(&self) -> bool {
        matches!(self, Self::Run(_) | Self::CtrlC(_) | Self::Simulation(SimError::Unaccounted(_)))
    }
}
