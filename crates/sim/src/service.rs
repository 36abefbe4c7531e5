use std::sync::Arc;
use std::time::Duration;

/// How long a worker of speed 1 is busy with a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// Exponentially distributed.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// Always the same.
    Constant(Duration),
    /// One of two lengths.
    Bimodal {
        /// Most tasks.
        short: Duration,
        /// The others.
        long: Duration,
        /// The share of the others, 0 to 1.
        long_share: f64,
    },
    /// Heavy tailed: Pareto, bounded above.
    Pareto {
        /// The mean.
        mean: Duration,
        /// The exponent of the tail, above 1; the lower, the heavier.
        shape: f64,
        /// No task is longer.
        longest: Duration,
    },
    /// These, in order of arrival; from the first again when there are no more.
    Trace(Arc<[Duration]>),
}
