use std::time::Duration;

use hdrhistogram::Histogram;

use crate::measure::Times;

/// What became of a scenario under one strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The strategy's name.
    pub strategy: String,
    /// The seed.
    pub seed: u64,
    /// Tasks that came.
    pub tasks: u64,
    /// Tasks whose handler succeeded.
    pub completed: u64,
    /// Tasks whose handler failed.
    pub failed: u64,
    /// Tasks whose handler panicked.
    pub panicked: u64,
    /// Tasks that were not run, as their deadline had passed.
    pub expired: u64,
    /// Tasks that no worker took.
    pub rejected: u64,
    /// Tasks that had not ended when nothing was to happen any more: on a worker that hangs.
    pub stuck: u64,
    /// Tasks that an idle worker took from another.
    pub stolen: u64,
    /// From the start to the last end.
    pub span: Duration,
    /// Nanoseconds from arrival to end of the tasks that completed, those of the warm-up left out.
    pub sojourn: Histogram<u64>,
    /// Nanoseconds from arrival to start of the same.
    pub wait: Histogram<u64>,
    /// The exact mean of the sojourns, in nanoseconds; 0 without any.
    pub mean_sojourn: f64,
    /// The exact mean of the waits, in nanoseconds; 0 without any.
    pub mean_wait: f64,
    /// The workers, by position.
    pub workers: Vec<WorkerRun>,
    /// Queue lengths over time, where they were asked for.
    pub timeline: Vec<QueueSample>,
}

/// What became of one worker.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerRun {
    /// Its name.
    pub name: String,
    /// Tasks that it was given.
    pub given: u64,
    /// Of those that it ran, those that succeeded.
    pub completed: u64,
    /// Of those that it ran, those that did not.
    pub failed: u64,
    /// Share of the span in which it ran tasks.
    pub utilisation: f64,
    /// Tasks in its mailbox or handler, the mean over the span.
    pub mean_in_flight: f64,
    /// The most there ever were.
    pub max_in_flight: u64,
}

/// How long queues were at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSample {
    /// When, from the start.
    pub at: Duration,
    /// Tasks in mailbox or handler, by the workers' positions.
    pub in_flight: Vec<u32>,
}

impl Run {
    /// Nothing yet.
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
            sojourn: Times::new().into_histogram(),
            wait: Times::new().into_histogram(),
            mean_sojourn: 0.0,
            mean_wait: 0.0,
            workers: Vec::new(),
            timeline: Vec::new(),
        }
    }
}
