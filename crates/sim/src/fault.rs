use std::time::Duration;

/// Something that happens to a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// The worker's position.
    pub worker: usize,
    /// When it begins, from the start of the run.
    pub at: Duration,
    /// How long it lasts; for good if not given.
    pub lasting: Option<Duration>,
    /// What happens.
    pub kind: FaultKind,
}

/// What happens to a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// It makes no progress: what it runs stays where it is, what is queued waits. Without a task,
    /// it still begins the next that it is given, and hangs in that.
    Hang,
    /// Each task that it begins fails after this time.
    FailFast {
        /// How long a failure takes.
        after: Duration,
    },
    /// Tasks that begin within it take so many times as long.
    SlowDown {
        /// Above 1 for slower.
        factor: f64,
    },
    /// Its actor is made anew: the task that it runs panics, those queued wait until the fault is
    /// over.
    Restart,
}
