//! Many runs on a few threads.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::thread;

use raddle_strategies::{Strategy, StrategyName};
use raddle_sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::{Run, Scenario, SimError, simulate_each};

/// A strategy that is to be tried: it is made anew for each run, so that no run knows of another.
pub struct Contender {
    name: String,
    build: Box<dyn Fn() -> Box<dyn Strategy> + Send + Sync>,
}

impl Contender {
    /// One of your own, or one with other settings.
    ///
    /// ```
    /// use raddle_sim::Contender;
    /// use raddle_strategies::LatencyBased;
    ///
    /// let bare = Contender::new("unguarded", || Box::new(LatencyBased::unguarded()));
    /// assert_eq!(bare.name(), "unguarded");
    /// ```
    pub fn new(
        name: impl Into<String>,
        build: impl Fn() -> Box<dyn Strategy> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), build: Box::new(build) }
    }

    /// What it is called.
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

/// A run that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// What is asked.
    pub scenario: &'a Scenario,
    /// Of which strategy.
    pub contender: &'a Contender,
}

/// Told, by any thread, how many tasks are done in all runs together; it may end them.
pub type Progress<'a> = dyn Fn(u64) -> ControlFlow<()> + Sync + 'a;

/// Makes each run, on so many threads, and keeps of each what `keep` makes of it, in the order of
/// the jobs; `None` where `progress` ended it before.
///
/// A run is on one thread and does not depend on how many there are, or on the other runs.
///
/// # Errors
/// The first that a run gives.
pub fn simulate_all<T: Send + Sync>(
    jobs: &[Job<'_>],
    threads: NonZeroUsize,
    progress: &Progress<'_>,
    keep: impl Fn(Run) -> T + Sync,
) -> Result<Vec<Option<T>>, SimError> {
    let (next, all_done, stopped) =
        (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let places: Vec<OnceLock<Result<T, SimError>>> = jobs.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while !stopped.load(Relaxed) {
            let index = next.fetch_add(1, Relaxed);
            let Some(Job { scenario, contender }) = jobs.get(index) else {
                break;
            };
            let mut told = 0;
            let mut tell = |done: u64| {
                let news = done - told;
                told = done;
                let flow = progress(all_done.fetch_add(news, Relaxed) + news);
                if flow.is_break() {
                    stopped.store(true, Relaxed);
                }
                if stopped.load(Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            match simulate_each(scenario, &*contender.build, &mut tell) {
                Ok(mut run) => {
                    // It may end between two times of telling.
                    let _ = tell(scenario.tasks);
                    run.strategy.clone_from(&contender.name);
                    let _ = places[index].set(Ok(keep(run)));
                }
                Err(SimError::Stopped) => {}
                Err(error) => {
                    stopped.store(true, Relaxed);
                    let _ = places[index].set(Err(error));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.get().min(jobs.len()) {
            scope.spawn(work);
        }
    });
    places.into_iter().map(|place| place.into_inner().transpose()).collect()
}
