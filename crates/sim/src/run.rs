use std::time::Duration;

use crate::Latencies;

/// The result of a scenario under one strategy.
///
/// `tasks = completed + failed + panicked + expired + rejected + stuck`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// The strategy's name.
    pub strategy: String,
    /// The seed.
    pub seed: u64,
    /// Tasks that arrived.
    pub tasks: u64,
    /// Tasks whose handler succeeded.
    pub completed: u64,
    /// Tasks whose handler failed.
    pub failed: u64,
    /// Tasks whose handler panicked.
    pub panicked: u64,
    /// Tasks that were dropped because their timeout had passed before they started.
    pub expired: u64,
    /// Tasks that were refused: no capable worker, or a full mailbox.
    pub rejected: u64,
    /// Tasks on hung workers that had not ended when nothing else could happen.
    pub stuck: u64,
    /// Tasks that an idle worker stole from another.
    pub stolen: u64,
    /// Time from the start to the end of the last task.
    pub span: Duration,
    /// Times from arrival to end of the completed tasks, without the warm-up.
    pub sojourn: Latencies,
    /// Times from arrival to start of the same tasks.
    pub wait: Latencies,
    /// Times from arrival to end of the measured tasks, in order of arrival; `None` for a task that
    /// did not complete. Empty unless the scenario [records
    /// them](crate::Scenario::record_sojourns).
    pub sojourns: Vec<Option<Duration>>,
    /// The workers, by position.
    pub workers: Vec<WorkerRun>,
    /// Queue lengths over time; empty unless the scenario samples them.
    pub timeline: Vec<QueueSample>,
}

/// The result of one worker.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WorkerRun {
    /// The worker's name.
    pub name: String,
    /// Tasks dispatched to it, including those that others stole later.
    pub dispatched: u64,
    /// Tasks that it ran and completed.
    pub completed: u64,
    /// Tasks that it ran and did not complete.
    pub failed: u64,
    /// Share of the span in which it ran tasks.
    pub utilisation: f64,
    /// Tasks in its mailbox or handler, as a mean over the span.
    pub mean_in_flight: f64,
    /// The largest number of tasks it ever had in its mailbox or handler.
    pub max_in_flight: u64,
}

/// The queue lengths at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSample {
    /// Time since the start of the run.
    pub at: Duration,
    /// Tasks in mailbox or handler, by the worker's position.
    pub in_flight: Vec<u32>,
}

impl Run {
    pub(crate) fn new(strategy: &str, seed: u64) -> Self {
        Self {
            strategy: strategy.to_owned(),
            seed,
            tasks: 0,
            completed: 0,
            failed: 0,
            panicked: 0,
            expired: 0,
            rejected: 0,
            stuck: 0,
            stolen: 0,
            span: Duration::ZERO,
            sojourn: Latencies::new(),
            wait: Latencies::new(),
            sojourns: Vec::new(),
            workers: Vec::new(),
            timeline: Vec::new(),
        }
    }

    /// Returns the completed tasks per second of the span; 0 if the span is zero.
    pub fn throughput(&self) -> f64 {
        let span = self.span.as_secs_f64();
        if span > 0.0 { self.completed as f64 / span } else { 0.0 }
    }

    /// Returns the share of the tasks that were not completed.
    pub fn lost(&self) -> f64 {
        (self.tasks - self.completed) as f64 / self.tasks.max(1) as f64
    }

    /// Returns the mean of the workers' utilisations.
    pub fn utilisation(&self) -> f64 {
        let sum: f64 = self.workers.iter().map(|worker| worker.utilisation).sum();
        sum / self.workers.len().max(1) as f64
    }
}
