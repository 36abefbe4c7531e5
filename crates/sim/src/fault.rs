use std::time::Duration;

/// A fault of one worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// The worker's position.
    pub worker: usize,
    /// When the fault begins, since the start of the run.
    pub at: Duration,
    /// How long it lasts; `None` for the rest of the run.
    pub duration: Option<Duration>,
    /// What happens.
    pub kind: FaultKind,
}

/// What a [`Fault`] does to its worker.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The worker makes no progress: its running task and its queue stand still. An idle worker
    /// still starts the next task dispatched to it, and hangs in that one.
    Hang,
    /// Every task that the worker starts fails after this time.
    FailFast {
        /// Time until a task fails.
        after: Duration,
    },
    /// Tasks started during the fault take `factor` times as long.
    SlowDown {
        /// Above 1 for slower, below 1 for faster.
        factor: f64,
    },
    /// The worker's actor restarts: its running task panics, and queued tasks wait until the fault
    /// is over.
    Restart,
}
