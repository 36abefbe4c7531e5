//! One strategy on the real runtime, from the first task to the last.

mod actor;
mod closed_loop;
mod ledger;
mod open_loop;
mod timed;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use raddle::core::{Capability, CapabilityError, Counts};
use raddle::prelude::*;
use raddle::runtime::TaskBuilder;
use raddle::sim::{WorkerPlan, Workers};
use serde::Serialize;
use thiserror::Error;

use crate::args::Service;
use crate::report::{Latency, StrategyReport};
use crate::stop::Stop;
use crate::workload::{Request, Workload};
use actor::{Job, Servant};
use ledger::Ledger;
use timed::{PickTime, Timed};

/// How often the progress is told.
const TELL_PROGRESS: Duration = Duration::from_millis(100);

/// The most mailbox places of all workers together: mailboxes take their memory beforehand.
const MAILBOX_PLACES: usize = 1 << 20;

/// What every strategy is to do.
#[derive(Debug)]
pub struct Plan {
    /// The tasks.
    pub workload: Workload,
    /// The workers.
    pub workers: Workers,
    /// When tasks come.
    pub mode: Mode,
    /// What a worker does for the time of a task.
    pub service: Service,
    /// A worker with so many tasks waiting rejects; `None` for room for all.
    pub mailbox: Option<usize>,
    /// Seed of random choices.
    pub seed: u64,
}

/// When tasks come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Mode {
    /// Each at its own time.
    Open,
    /// Each when another is done.
    Closed {
        /// How many are in flight.
        concurrency: usize,
    },
}

/// Why a strategy could not be measured.
#[derive(Debug, Error)]
pub enum RunError {
    /// Too many capability names.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The pool could not be made.
    #[error("cannot start the workers: {0}")]
    Spawn(#[from] SpawnError),
    /// The pool could not be closed.
    #[error("{strategy}: cannot close the pool: {source}")]
    Shutdown {
        /// Which strategy ran.
        strategy: StrategyName,
        /// What the pool said.
        source: ShutdownError,
    },
    /// Some task is neither done nor known to be refused.
    #[error("{strategy}: tasks went astray: {given} were given, ended are {ends:?} ({account:?})")]
    Astray {
        /// Which strategy ran.
        strategy: StrategyName,
        /// How many tasks were given.
        given: u64,
        /// How many of them ended in which way.
        ends: Ends,
        /// The same as the pool counted it.
        account: Account,
    },
}

/// What a driver gave to the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Given {
    tasks: u64,
    rejected: u64,
}

/// One strategy's way through the plan.
struct Course<'p> {
    plan: &'p Plan,
    ledger: Arc<Ledger>,
    stop: Stop,
    /// The workload's capabilities, by their number in it.
    capabilities: Vec<Capability>,
}

/// Runs `strategy` through the plan. `progress` is told now and then how many tasks are completed.
pub fn run(
    strategy: StrategyName,
    plan: &Plan,
    stop: &Stop,
    mut progress: impl FnMut(usize),
) -> Result<StrategyReport, RunError> {
    let names = plan.workload.capabilities.iter();
    let capabilities = names.map(Capability::intern).collect::<Result<_, _>>()?;
    let workers = plan.workers.plans();
    let pick_time = Arc::new(PickTime::default());
    let ledger = Arc::new(Ledger::new(plan.workload.requests.len(), workers.len()));
    let pool = pool(Timed::new(strategy.build(), Arc::clone(&pick_time)), plan, &ledger, stop)?;
    let course = Course { plan, ledger: Arc::clone(&ledger), stop: stop.clone(), capabilities };

    let (given, account) = thread::scope(|scope| {
        let (end, ended) = bounded::<()>(1);
        let driver = scope.spawn(move || {
            let _end = end;
            let given = match plan.mode {
                Mode::Open => open_loop::drive(&course, &pool),
                Mode::Closed { concurrency } => closed_loop::drive(&course, &pool, concurrency),
            };
            (given, pool.shutdown(Drain::all()))
        });
        while ended.recv_timeout(TELL_PROGRESS) == Err(RecvTimeoutError::Timeout) {
            progress(ledger.completed() as usize);
        }
        join(driver)
    });
    let account = account.map_err(|source| RunError::Shutdown { strategy, source })?;
    let ends = Ends::of(&account, &ledger, given);
    if !account.is_balanced() || !ends.account_for(given, &ledger) {
        return Err(RunError::Astray { strategy, given: given.tasks, ends, account });
    }
    progress(ledger.completed() as usize);
    let makespan = ledger.makespan().as_secs_f64();
    Ok(StrategyReport {
        strategy: strategy.to_string(),
        tasks: given.tasks,
        completed: ends.completed,
        failed: ends.failed,
        rejected: ends.rejected,
        cancelled: ends.cancelled,
        throughput_per_s: if makespan > 0.0 { ends.completed as f64 / makespan } else { 0.0 },
        utilisation: ledger.utilisation(),
        latency_us: Latency::of(&ledger.latencies()),
        share: workers.into_iter().map(|worker| worker.name).zip(ledger.shares()).collect(),
        select_ns_mean: pick_time.mean_ns(),
    })
}

/// How the given tasks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    completed: u64,
    failed: u64,
    rejected: u64,
    cancelled: u64,
}

impl Ends {
    /// Brings together what the pool and the drivers counted. A task that was stopped failed for
    /// the pool; it was cancelled for whoever pressed Ctrl-C.
    fn of(account: &Account, ledger: &Ledger, given: Given) -> Self {
        let stopped = ledger.stopped();
        let Counts { completed, failed, panicked, expired, cancelled, .. } = account.counts;
        Self {
            completed,
            failed: (failed + panicked + expired).saturating_sub(stopped),
            rejected: given.rejected,
            cancelled: cancelled + stopped,
        }
    }

    /// Whether every given task has one end, and what the pool says was completed is what the
    /// workers wrote down.
    fn account_for(&self, given: Given, ledger: &Ledger) -> bool {
        let Self { completed, failed, rejected, cancelled } = self;
        completed + failed + rejected + cancelled == given.tasks
            && *completed == ledger.completed()
            && *completed == ledger.latencies().len() as u64
    }
}

impl Course<'_> {
    /// The task of this number, due at `due`, ready to be given to `pool`.
    fn task<'a>(
        &self,
        pool: &'a Pool<Servant>,
        task: usize,
        due: Instant,
    ) -> TaskBuilder<'a, Servant> {
        let Request { service, capability, .. } = self.plan.workload.requests[task];
        let job = pool.task(Job { task, due, service });
        match capability {
            Some(number) => job.capability(self.capabilities[usize::from(number)]),
            None => job,
        }
    }
}

/// The workers of the plan behind `strategy`.
fn pool(
    strategy: Timed,
    plan: &Plan,
    ledger: &Arc<Ledger>,
    stop: &Stop,
) -> Result<Pool<Servant>, SpawnError> {
    let plans = plan.workers.plans();
    let room = plan.workload.requests.len().min(MAILBOX_PLACES / plans.len());
    let mut builder = Pool::<Servant>::builder("compare").strategy(strategy);
    builder = match plan.mailbox {
        Some(places) => builder.mailbox(places, Overflow::Reject),
        None => builder.mailbox(room, Overflow::Block),
    };
    for plan in &plans {
        builder = builder.worker(plan.spec());
    }
    let servants: HashMap<_, _> = plans
        .into_iter()
        .enumerate()
        .map(|(number, WorkerPlan { name, speed, .. })| (name, (number, speed)))
        .collect();
    let (ledger, stop, service) = (Arc::clone(ledger), stop.clone(), plan.service);
    builder.spawn(move |worker| {
        let (number, speed) = servants[worker.name()];
        Servant { number, speed, service, ledger: Arc::clone(&ledger), stop: stop.clone() }
    })
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
