mod error;
mod file;
mod planned;
mod section;
mod tables;

use std::time::Duration;

use raddle_core::{Tracking, WorkerSpec};

use crate::error::{positive, share, timely};
use crate::{Fault, FaultKind, Load, SimError};

pub use error::{FileError, ParseError};

/// Workers, the load offered to them, and what happens on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The workers, by position.
    pub workers: Vec<SimWorker>,
    /// The tasks offered to them.
    pub load: Load,
    /// Number of tasks that arrive, at least 1.
    pub tasks: u64,
    /// Number of first tasks that are not measured, below `tasks`.
    pub warm_up: u64,
    /// Seed of everything random: arrivals, service times, the strategies' choices.
    pub seed: u64,
    /// The dispatchers, each of which selects workers for a part of the tasks.
    pub dispatchers: Dispatchers,
    /// Faults of workers.
    pub faults: Vec<Fault>,
    /// Whether idle workers steal queued tasks, if the strategy
    /// [lets them](raddle_strategies::Strategy::lets_steal).
    pub stealing: bool,
    /// A task that has not started this long after its arrival expires; `None` for never.
    pub timeout: Option<Duration>,
    /// Number of tasks that can wait for a worker, at least 1; further tasks for it are rejected.
    /// `None` for unbounded mailboxes.
    pub mailbox: Option<usize>,
    /// Share of the tasks whose handler fails, 0 to 1, after the usual service time on any worker.
    pub failure_rate: f64,
    /// Whether tasks announce their exact service time as
    /// [expected duration](raddle_core::TaskProfile::expected_duration).
    pub durations_known: bool,
    /// Time between two calls of [`prepare`](raddle_strategies::Strategy::prepare) of the strategy.
    pub refresh_interval: Duration,
    /// The statistics kept about the workers.
    pub tracking: Tracking,
    /// Time between two samples of the queue lengths; `None` for no samples.
    pub sample_interval: Option<Duration>,
}

/// A worker to simulate.
#[derive(Clone, Debug, PartialEq)]
pub struct SimWorker {
    /// Name, capabilities and weight.
    pub spec: WorkerSpec,
    /// Service times are divided by this.
    pub speed: f64,
}

/// The dispatchers of a [`Scenario`]. Every task arrives at a random one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatchers {
    /// Number of dispatchers, 1 to 65,536.
    pub count: usize,
    /// Time between two moments at which each dispatcher learns what the others and the workers
    /// did; zero for immediately.
    ///
    /// With several dispatchers and a time above zero, each has its own roster, which contains its
    /// own tasks immediately and everything else as of the last sync.
    pub sync_interval: Duration,
}

impl Scenario {
    /// Creates a scenario with a million tasks, a tenth of them warm-up, one dispatcher, no faults,
    /// no stealing and unbounded mailboxes.
    pub fn new(workers: Vec<SimWorker>, load: Load) -> Self {
        Self {
            workers,
            load,
            tasks: 1_000_000,
            warm_up: 100_000,
            seed: 1,
            dispatchers: Dispatchers::default(),
            faults: Vec::new(),
            stealing: false,
            timeout: None,
            mailbox: None,
            failure_rate: 0.0,
            durations_known: false,
            refresh_interval: Duration::from_secs(1),
            tracking: Tracking::default(),
            sample_interval: None,
        }
    }
}

/// The largest number of dispatchers, each of which may have a roster of all workers.
const MAX_DISPATCHERS: usize = 1 << 16;

impl Scenario {
    /// Returns the sum of the workers' speeds.
    pub fn capacity(&self) -> f64 {
        self.workers.iter().map(|worker| worker.speed).sum()
    }

    /// Checks that every value is within its bounds. Every simulation does this first.
    ///
    /// # Errors
    /// Returns the first value out of bounds, and the allowed values.
    pub fn validate(&self) -> Result<(), SimError> {
        let at_least_one =
            |what, count: u64| SimError::unless(count > 0, what, count, || "at least 1".into());
        at_least_one("number of workers", self.workers.len() as u64)?;
        at_least_one("number of tasks", self.tasks)?;
        let dispatchers = self.dispatchers.count;
        SimError::unless(
            (1..=MAX_DISPATCHERS).contains(&dispatchers),
            "number of dispatchers",
            dispatchers,
            || format!("1 to {MAX_DISPATCHERS}"),
        )?;
        at_least_one("mailbox", self.mailbox.map_or(1, |room| room as u64))?;
        SimError::unless(self.warm_up < self.tasks, "warm-up", self.warm_up, || {
            format!("below the number of tasks, which is {}", self.tasks)
        })?;
        for worker in &self.workers {
            positive("speed of a worker", worker.speed)?;
        }
        self.load.validate()?;
        share("failure rate", self.failure_rate)?;
        positive("refresh interval in seconds", self.refresh_interval.as_secs_f64())?;
        if let Some(interval) = self.sample_interval {
            positive("sample interval in seconds", interval.as_secs_f64())?;
        }
        for fault in &self.faults {
            let count = self.workers.len();
            SimError::unless(fault.worker < count, "worker of a fault", fault.worker, || {
                format!("0 to {}", count - 1)
            })?;
            timely("time of a fault", fault.at)?;
            if let FaultKind::SlowDown { factor } = fault.kind {
                positive("factor of a slow-down", factor)?;
            }
        }
        Ok(())
    }
}

impl SimWorker {
    /// Creates `count` general workers of speed 1.
    pub fn equal(count: usize) -> Vec<Self> {
        (0..count)
            .map(|index| Self { spec: WorkerSpec::general().numbered(index), speed: 1.0 })
            .collect()
    }
}

impl Default for Dispatchers {
    fn default() -> Self {
        Self { count: 1, sync_interval: Duration::ZERO }
    }
}
