use serde::Serialize;

use crate::Capability;

/// How an admitted task ended. Each admitted task has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The handler returned `Ok`.
    Completed,
    /// The handler returned `Err`.
    Failed,
    /// The handler, or the making of its actor, panicked.
    Panicked,
    /// The deadline had passed when the task's turn came; it was not run.
    Expired,
    /// The task was withdrawn before it was run.
    Cancelled,
}

impl Outcome {
    /// Whether the handler was run to this end, so that its time says something of the worker.
    pub fn ran(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Panicked)
    }
}

/// A task's end, as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// How it ended.
    pub outcome: Outcome,
    /// Nanoseconds in the mailbox; 0 where there is none.
    pub wait: u64,
    /// Nanoseconds in the handler; ignored where it was not run.
    pub service: u64,
    /// The capability that the task named.
    pub capability: Option<Capability>,
    /// The [size](crate::TaskProfile::expected_duration) that the task was admitted with.
    pub expected_duration: u64,
    /// The clock at the end; 0 when unknown: then the decaying latencies do not learn of it.
    pub at: u64,
}

impl Completion {
    /// An end of which nothing else is known.
    pub const fn new(outcome: Outcome) -> Self {
        Self { outcome, wait: 0, service: 0, capability: None, expected_duration: 0, at: 0 }
    }
}
