use std::sync::Arc;
use std::time::Duration;

/// When tasks come.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Independent of each other, so many a second in the mean.
    Poisson {
        /// Tasks a second.
        rate: f64,
    },
    /// At even distances.
    Steady {
        /// Tasks a second.
        rate: f64,
    },
    /// A Poisson process that switches between two rates after exponential times (a Markov
    /// modulated one).
    Bursty {
        /// Tasks a second, in the mean over both.
        rate: f64,
        /// The rate within a burst, as a multiple of the mean; at least 1.
        burst: f64,
        /// Mean length of a burst.
        burst_length: Duration,
        /// Mean time from the end of a burst to the next.
        quiet_length: Duration,
    },
    /// At these times, from the start of the run; in order.
    Trace(Arc<[Duration]>),
}
