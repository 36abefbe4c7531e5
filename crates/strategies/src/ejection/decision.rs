use std::fmt;
use std::time::Duration;

use raddle_core::WorkerId;

/// A review's decision about one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The worker.
    pub worker: WorkerId,
    /// What was decided.
    pub verdict: Verdict,
}

/// What a review decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The worker is ejected: it gets no new tasks for a while.
    Ejected(EjectionReason),
    /// The ejection is over: the worker takes tasks again.
    Readmitted,
}

/// Why a worker is an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EjectionReason {
    /// Too many of its tasks failed.
    Failing {
        /// The tasks that failed or panicked since the last review.
        failures: u64,
        /// The tasks that were run since then.
        tasks: u64,
    },
    /// Its tasks took too long.
    Slow {
        /// The mean time of its tasks since the last review.
        mean: Duration,
        /// The median of the means of the workers that do not fail.
        median: Duration,
    },
}

impl fmt::Display for EjectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing { failures, tasks } => write!(f, "{failures} of {tasks} tasks failed"),
            Self::Slow { mean, median } => {
                write!(f, "mean task time {mean:?}, median of the workers {median:?}")
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ejected(reason) => write!(f, "ejected: {reason}"),
            Self::Readmitted => f.write_str("readmitted"),
        }
    }
}
