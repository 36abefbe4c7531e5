use std::time::Duration;

use raddle_core::nanos;

/// What a worker's thread remembers from one checkpoint to the next.
pub(super) struct Checkpoints {
    /// How long a task waits before it runs at a checkpoint, in nanoseconds.
    pub(super) quantum: u64,
    /// By the clock: no task is due before this, or the running one has not had its share of the time.
    pub(super) next: u64,
    /// The message of a task that panicked at a checkpoint of the running one.
    pub(super) panicked: Option<String>,
}

impl Checkpoints {
    pub(super) fn new(quantum: Duration) -> Self {
        Self { quantum: nanos(quantum), next: 0, panicked: None }
    }
}
