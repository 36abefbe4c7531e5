//! When tasks are submitted.

use serde::Serialize;

/// When tasks are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Mode {
    /// Each at its own time.
    Open,
    /// Each when another has ended.
    Closed {
        /// The number of tasks in flight.
        concurrency: usize,
    },
}
