mod error;
mod file;
mod planned;
mod section;
mod speedup;
mod tables;

use std::time::Duration;

use raddle_core::internal::Boosts;
use raddle_core::{Roster, Tracking, WorkerSpec};

use crate::error::{positive, share, timely};
use crate::{Fault, FaultKind, Load, Order, SimError};

pub use error::{FileError, ParseError};

/// Workers, the load offered to them, and what happens on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The workers, by position: 1 to [`Roster::MAX_WORKERS`].
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
    /// The order in which each worker runs the tasks that wait for it.
    pub order: Order,
    /// A task that has not started this long after its arrival expires; `None` for never.
    pub timeout: Option<Duration>,
    /// Number of tasks that can wait for a worker, at least 1; further tasks for it are rejected.
    /// `None` for unbounded mailboxes.
    pub mailbox: Option<usize>,
    /// What each worker keeps of the keys that it has run; `None` if keys cost nothing.
    pub cache: Option<Cache>,
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
    /// Divides every time of this scenario while it runs, except `refresh_interval`, and multiplies
    /// the times of the [`Run`](crate::Run): those are in the scenario's own time. So it only
    /// changes what has a time of its own, as in a replay on a real pool that is sped up: the
    /// refreshes, and the time constants of strategies. 1 for none.
    pub speedup: f64,
    /// Whether a run records the [sojourn of each task](crate::Run::sojourns), in 16 bytes.
    pub record_sojourns: bool,
}

/// A worker to simulate.
#[derive(Clone, Debug, PartialEq)]
pub struct SimWorker {
    /// Name, capabilities and weight.
    pub spec: WorkerSpec,
    /// Service times are divided by this.
    pub speed: f64,
}

/// A worker's cache of what its tasks need by key, with the least recently used key evicted. A
/// restart empties it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The number of keys that it holds, at least 1.
    pub keys: usize,
    /// The time, at speed 1, that a task takes longer if its key is not there. It is not part of the
    /// [offered load](Scenario::offered_load), nor of the duration that a task announces.
    pub cold_cost: Duration,
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
            order: Order::Fifo,
            timeout: None,
            mailbox: None,
            cache: None,
            failure_rate: 0.0,
            durations_known: false,
            refresh_interval: Duration::from_secs(1),
            tracking: Tracking::default(),
            sample_interval: None,
            speedup: 1.0,
            record_sojourns: false,
        }
    }
}

/// The largest number of dispatchers, each of which may have a roster of all workers.
const MAX_DISPATCHERS: usize = 1 << 16;

impl Scenario {
    /// Returns whether [`Order::Boost`] can tell some tasks from others: by their durations, or by
    /// their capabilities.
    pub fn tells_sizes(&self) -> bool {
        self.durations_known || self.facts().capabilities
    }

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
        let (workers, most) = (self.workers.len(), Roster::MAX_WORKERS);
        SimError::unless((1..=most).contains(&workers), "number of workers", workers, || {
            format!("1 to {most}")
        })?;
        at_least_one("number of tasks", self.tasks)?;
        let dispatchers = self.dispatchers.count;
        SimError::unless(
            (1..=MAX_DISPATCHERS).contains(&dispatchers),
            "number of dispatchers",
            dispatchers,
            || format!("1 to {MAX_DISPATCHERS}"),
        )?;
        self.fits_into_memory()?;
        at_least_one("mailbox", self.mailbox.map_or(1, |room| room as u64))?;
        at_least_one("number of keys in a cache", self.cache.map_or(1, |cache| cache.keys as u64))?;
        SimError::unless(self.warm_up < self.tasks, "warm-up", self.warm_up, || {
            format!("below the number of tasks, which is {}", self.tasks)
        })?;
        for worker in &self.workers {
            positive("speed of a worker", worker.speed)?;
        }
        self.load.validate()?;
        share("failure rate", self.failure_rate)?;
        self.validate_speedup()?;
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

    /// Checks that the statistics of the workers, and of each dispatcher's view of them, can be
    /// allocated: an allocation that fails aborts the process, but an attempt does not.
    fn fits_into_memory(&self) -> Result<(), SimError> {
        let Dispatchers { count, sync_interval } = self.dispatchers;
        let views = if count > 1 && !sync_interval.is_zero() { 1 + count } else { 1 };
        let workers = self.workers.len().saturating_mul(views);
        let boosts = if self.order == Order::Fifo { 0 } else { Boosts::BYTES };
        let bytes = workers.saturating_mul(self.tracking.bytes_per_worker());
        let bytes = bytes.saturating_add(self.workers.len() * boosts);
        let fits = Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
        SimError::unless(fits, "memory for the dispatchers' statistics", bytes, || {
            "what the machine has: use fewer workers or dispatchers, or a shorter window".into()
        })
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
