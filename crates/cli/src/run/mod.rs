//! Runs one strategy on the real runtime, from the first task to the last.

mod actor;
mod closed_loop;
mod course;
mod ledger;
mod mode;
mod open_loop;
mod timed;

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use raddle::sim::{WorkerPlan, Workers};
use raddle::{
    Account, Capability, CapabilityError, Counts, Drain, MailboxOrder, Overflow, Pool,
    ShutdownError, SpawnError,
};
use thiserror::Error;

use crate::args::Service;
use crate::choice::Choice;
use crate::report::{Latency, StrategyReport};
use crate::stop::Stop;
use crate::workload::Workload;
use actor::{Job, Servant, Served};
use course::{Course, Submitted, join};
use ledger::Ledger;
pub use mode::Mode;
use timed::{PickTime, Timed};

/// The interval of progress reports.
const REPORT_PROGRESS: Duration = Duration::from_millis(100);

/// The maximum room of all mailboxes together, whose memory is allocated up front.
const MAILBOX_ROOM: usize = 1 << 20;

/// The maximum room that a user can choose: 1.5 GiB of memory.
pub const MOST_MAILBOX_ROOM: usize = 1 << 24;

/// The run of every strategy.
#[derive(Debug)]
pub struct Plan {
    /// The tasks, sped up.
    pub workload: Workload,
    /// What their times were divided by.
    pub speedup: f64,
    /// The workers.
    pub workers: Workers,
    /// When tasks are submitted.
    pub mode: Mode,
    /// Whether workers sleep or spin.
    pub service: Service,
    /// The capacity of a mailbox, which rejects further tasks; `None` for room for all tasks.
    pub mailbox: Option<usize>,
    /// The seed of random choices.
    pub seed: u64,
}

/// Why a strategy could not be measured.
#[derive(Debug, Error)]
pub enum RunError {
    /// Too many capability names.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The pool could not be built.
    #[error("cannot start the workers")]
    Spawn(#[from] SpawnError),
    /// The pool could not be shut down.
    #[error("{strategy}: cannot shut down the pool")]
    Shutdown {
        /// The strategy.
        strategy: Choice,
        /// The error of the pool.
        source: ShutdownError,
    },
    /// Some tasks have no outcome.
    #[error("{strategy}: lost tasks: {submitted} submitted, outcomes {ends:?} ({account:?})")]
    Lost {
        /// The strategy.
        strategy: Choice,
        /// The number of tasks submitted.
        submitted: u64,
        /// The number of tasks per outcome.
        ends: Ends,
        /// The account of the pool.
        account: Account,
    },
}

/// Runs `strategy`. `progress` is called regularly with the number of completed tasks.
pub fn run(
    strategy: Choice,
    plan: &Plan,
    stop: &Stop,
    mut progress: impl FnMut(usize),
) -> Result<StrategyReport, RunError> {
    let names = plan.workload.capabilities.iter();
    let capabilities = names.map(Capability::intern).collect::<Result<_, _>>()?;
    let workers = plan.workers.plans();
    let pick_time = Arc::new(PickTime::default());
    let ledger = Arc::new(Ledger::new(plan.workload.requests.len(), workers.len()));
    let timed = Timed::new(strategy.strategy.build(), Arc::clone(&pick_time));
    let pool = pool(timed, strategy.order, plan, &ledger, stop)?;
    let course = Course {
        workload: &plan.workload,
        seed: plan.seed,
        ledger: Arc::clone(&ledger),
        stop: stop.clone(),
        capabilities,
    };

    let (submitted, account) = thread::scope(|scope| {
        let (end, ended) = bounded::<()>(1);
        let driver = scope.spawn(move || {
            let _end = end;
            let submitted = match plan.mode {
                Mode::Open => open_loop::drive(&course, &pool),
                Mode::Closed { concurrency } => closed_loop::drive(&course, &pool, concurrency),
            };
            (submitted, pool.shutdown(Drain::all()))
        });
        while ended.recv_timeout(REPORT_PROGRESS) == Err(RecvTimeoutError::Timeout) {
            progress(ledger.completed() as usize);
        }
        join(driver)
    });
    let account = account.map_err(|source| RunError::Shutdown { strategy, source })?;
    let ends = Ends::of(&account, &ledger, &submitted);
    if !account.is_balanced() || !ends.account_for(&submitted, &ledger) {
        return Err(RunError::Lost { strategy, submitted: submitted.tasks, ends, account });
    }
    progress(ledger.completed() as usize);
    // The run is sped up, and its report is not.
    let own_time = |nanos: &[u64]| Latency::of(nanos).times(plan.speedup);
    let makespan = ledger.makespan().as_secs_f64() * plan.speedup;
    Ok(StrategyReport {
        strategy: strategy.to_string(),
        tasks: submitted.tasks,
        completed: ends.completed,
        failed: ends.failed,
        rejected: ends.rejected,
        cancelled: ends.cancelled,
        throughput_per_s: if makespan > 0.0 { ends.completed as f64 / makespan } else { 0.0 },
        utilisation: ledger.utilisation(),
        latency_us: own_time(&ledger.latencies()),
        lag_us: own_time(&submitted.lags),
        overrun_us: own_time(&ledger.overruns()),
        overrun_share: ledger.overrun_share(),
        share: workers.into_iter().map(|worker| worker.name).zip(ledger.shares()).collect(),
        select_ns_mean: pick_time.mean_ns(),
    })
}

/// The outcomes of the submitted tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    completed: u64,
    failed: u64,
    rejected: u64,
    cancelled: u64,
}

impl Ends {
    /// Combines the counts of the pool and the driver. A task that Ctrl-C stopped has failed for
    /// the pool, and was cancelled for the user.
    fn of(account: &Account, ledger: &Ledger, submitted: &Submitted) -> Self {
        let stopped = ledger.stopped();
        let Counts { completed, failed, panicked, expired, cancelled, .. } = account.counts;
        Self {
            completed,
            failed: (failed + panicked + expired).saturating_sub(stopped),
            rejected: submitted.rejected,
            cancelled: cancelled + stopped,
        }
    }

    /// Returns whether every submitted task has one outcome, and the pool's count of completed
    /// tasks is that of the workers.
    fn account_for(&self, submitted: &Submitted, ledger: &Ledger) -> bool {
        let Self { completed, failed, rejected, cancelled } = self;
        completed + failed + rejected + cancelled == submitted.tasks
            && *completed == ledger.completed()
            && *completed == ledger.latencies().len() as u64
    }
}

/// Builds the pool of the plan with this strategy and order of the mailboxes.
fn pool(
    strategy: Timed,
    order: MailboxOrder,
    plan: &Plan,
    ledger: &Arc<Ledger>,
    stop: &Stop,
) -> Result<Pool<Job, Served>, SpawnError> {
    let plans = plan.workers.plans();
    let room = plan.workload.requests.len().min(MAILBOX_ROOM / plans.len());
    let mut builder = Pool::builder("compare").strategy(strategy).mailbox_order(order);
    builder = match plan.mailbox {
        Some(capacity) => builder.mailbox(capacity, Overflow::Reject),
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
