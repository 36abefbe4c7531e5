mod file;
mod section;

use std::time::Duration;

use raddle_core::{Tracking, WorkerSpec};

use crate::error::{positive, share, timely};
use crate::{Fault, FaultKind, Load, SimError};

pub use file::{FileError, FileFault};

/// Workers, what is asked of them, and what happens to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The workers, by position.
    pub workers: Vec<SimWorker>,
    /// What is asked of them.
    pub load: Load,
    /// How many tasks come.
    pub tasks: u64,
    /// So many of them, from the first, are not measured.
    pub warm_up: u64,
    /// Seed of whatever is random: arrivals, sizes, choices.
    pub seed: u64,
    /// Who gives the tasks.
    pub dispatchers: Dispatchers,
    /// What happens to workers.
    pub faults: Vec<Fault>,
    /// Whether idle workers take queued tasks of others, where the strategy
    /// [lets them](raddle_strategies::Strategy::lets_steal).
    pub stealing: bool,
    /// A task is not run that has not begun within this time: it expires.
    pub deadline: Option<Duration>,
    /// A task is rejected whose worker has so many waiting; without it there is room for all.
    pub mailbox: Option<usize>,
    /// The share of tasks whose handler fails, after its whole time, at any worker.
    pub failing: f64,
    /// Whether tasks tell their [size](raddle_core::TaskProfile::expected_duration).
    pub sizes_known: bool,
    /// How often the strategy [refreshes](raddle_strategies::Strategy::refresh).
    pub refresh_every: Duration,
    /// What is learnt of the workers.
    pub tracking: Tracking,
    /// How often queue lengths are noted; never if not given.
    pub sample_every: Option<Duration>,
}

/// A worker to simulate.
#[derive(Clone, Debug, PartialEq)]
pub struct SimWorker {
    /// Its name, capabilities and weight.
    pub spec: WorkerSpec,
    /// Service times are divided by it.
    pub speed: f64,
}

/// Who gives the tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatchers {
    /// How many there are; tasks come to one at random.
    pub count: usize,
    /// How often each hears what the others and the workers did; at once when zero.
    ///
    /// With more than one and a time above zero, each keeps a roster of its own, which knows the
    /// tasks that it has given at once, and all else as of the last news.
    pub news_every: Duration,
}

impl Scenario {
    /// These workers under this load: a million tasks, a tenth of them to warm up, one dispatcher
    /// that knows everything at once, no faults, no stealing, room for all.
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
            deadline: None,
            mailbox: None,
            failing: 0.0,
            sizes_known: false,
            refresh_every: Duration::from_secs(1),
            tracking: Tracking::default(),
            sample_every: None,
        }
    }
}

/// Each may have a view of all workers.
const MOST_DISPATCHERS: usize = 1 << 16;

impl Scenario {
    /// The sum of the workers' speeds.
    pub fn capacity(&self) -> f64 {
        self.workers.iter().map(|worker| worker.speed).sum()
    }

    /// Checks whether it can be.
    ///
    /// # Errors
    /// The first part that cannot, and what it may be.
    pub fn check(&self) -> Result<(), SimError> {
        let some =
            |what, count: u64| SimError::unless(count > 0, what, count, || "at least 1".into());
        some("number of workers", self.workers.len() as u64)?;
        some("number of tasks", self.tasks)?;
        let givers = self.dispatchers.count;
        SimError::unless(
            (1..=MOST_DISPATCHERS).contains(&givers),
            "number of dispatchers",
            givers,
            || format!("1 to {MOST_DISPATCHERS}"),
        )?;
        some("mailbox", self.mailbox.map_or(1, |room| room as u64))?;
        SimError::unless(self.warm_up < self.tasks, "warm-up", self.warm_up, || {
            format!("fewer than the tasks, which are {}", self.tasks)
        })?;
        for worker in &self.workers {
            positive("speed of a worker", worker.speed)?;
        }
        self.load.check()?;
        share("share of failing tasks", self.failing)?;
        positive("refresh interval in seconds", self.refresh_every.as_secs_f64())?;
        if let Some(every) = self.sample_every {
            positive("sample interval in seconds", every.as_secs_f64())?;
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
    /// So many general workers of speed 1.
    pub fn equal(count: usize) -> Vec<Self> {
        (0..count)
            .map(|index| Self { spec: WorkerSpec::general().numbered(index), speed: 1.0 })
            .collect()
    }
}

impl Default for Dispatchers {
    fn default() -> Self {
        Self { count: 1, news_every: Duration::ZERO }
    }
}
