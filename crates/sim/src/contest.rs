use std::fmt;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::thread;

use raddle_strategies::{Strategy, StrategyName};
use raddle_sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::{Order, Run, Scenario, SimError, simulate_each};

/// A strategy to compare. Each run builds its own instance, so that no run influences another.
pub struct Contender {
    name: String,
    order: Option<Order>,
    build: Box<dyn Fn() -> Box<dyn Strategy> + Send + Sync>,
}

impl Contender {
    /// Creates a contender from any strategy.
    ///
    /// ```
    /// use raddle_sim::Contender;
    /// use raddle_strategies::LeastLoaded;
    ///
    /// let contender = Contender::new("shortest_queue", || Box::new(LeastLoaded::new()));
    /// assert_eq!(contender.name(), "shortest_queue");
    /// ```
    pub fn new(
        name: impl Into<String>,
        build: impl Fn() -> Box<dyn Strategy> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), order: None, build: Box::new(build) }
    }

    /// Runs the tasks that wait for a worker in this order, whatever the scenario's. The contender's
    /// name says so, as in `least_loaded+boost`, unless the order is [`Order::Fifo`].
    ///
    /// ```
    /// use raddle_sim::{Contender, Order};
    /// use raddle_strategies::StrategyName;
    ///
    /// let contender = Contender::from(StrategyName::Random).ordered(Order::Boost);
    /// assert_eq!(contender.name(), "random+boost");
    /// ```
    #[must_use]
    pub fn ordered(mut self, order: Order) -> Self {
        if order != Order::Fifo {
            self.name = format!("{}+{}", self.name, order.as_str());
        }
        self.order = Some(order);
        self
    }

    /// Returns the contender's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl From<StrategyName> for Contender {
    fn from(name: StrategyName) -> Self {
        Self::new(name.as_str(), move || name.build())
    }
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Contender").field(&self.name).finish()
    }
}

/// One run to make: a scenario under a strategy.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The strategy.
    pub contender: &'a Contender,
}

/// A callback that receives the number of tasks simulated so far in all runs together, from any
/// thread. Breaking stops every run.
pub type Progress<'a> = dyn Fn(u64) -> ControlFlow<()> + Sync + 'a;

/// Runs every job on a pool of `threads` threads and returns what `keep` extracts from each run, in
/// the order of the jobs; `None` for a job that `progress` stopped.
///
/// A run uses one thread. Its result does not depend on the number of threads or on other runs.
///
/// # Errors
/// Returns the error of a run that failed; the others are stopped.
pub fn simulate_all<T: Send + Sync>(
    jobs: &[Job<'_>],
    threads: NonZeroUsize,
    progress: &Progress<'_>,
    keep: impl Fn(Run) -> T + Sync,
) -> Result<Vec<Option<T>>, SimError> {
    let (next, all_done, stopped) =
        (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let results: Vec<OnceLock<Result<T, SimError>>> =
        jobs.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while !stopped.load(Relaxed) {
            let index = next.fetch_add(1, Relaxed);
            let Some(Job { scenario, contender }) = jobs.get(index) else {
                break;
            };
            let mut reported = 0;
            let mut report = |done: u64| {
                let new = done - reported;
                reported = done;
                let flow = progress(all_done.fetch_add(new, Relaxed) + new);
                if flow.is_break() {
                    stopped.store(true, Relaxed);
                }
                if stopped.load(Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let ordered = contender.order.map(|order| Scenario { order, ..(*scenario).clone() });
            let scenario = ordered.as_ref().unwrap_or(scenario);
            match simulate_each(scenario, &*contender.build, &mut report) {
                Ok(mut run) => {
                    // The run may end between two reports.
                    let _ = report(scenario.tasks);
                    run.strategy.clone_from(&contender.name);
                    let _ = results[index].set(Ok(keep(run)));
                }
                Err(SimError::Stopped) => {}
                Err(error) => {
                    stopped.store(true, Relaxed);
                    let _ = results[index].set(Err(error));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.get().min(jobs.len()) {
            scope.spawn(work);
        }
    });
    results.into_iter().map(|result| result.into_inner().transpose()).collect()
}
