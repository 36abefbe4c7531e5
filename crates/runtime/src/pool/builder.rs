use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Clock, Roster, RosterBuilder, Tracking, Worker, WorkerSpec, nanos};
use raddle_strategies::{BalancerConfig, ConfigError, Ejection, JoinIdle, Prepared, Strategy};

use super::membership::{Membership, check_names};
use super::reviews::Reviews;
use super::routing::Routing;
use super::settings::{OnRetired, Settings, ShedReason, Watchdog};
use super::shared::Shared;
use super::{Pool, PoolInner, housekeeper};
use crate::codel::CoDel;
use crate::mailbox::{self, Overflow, WaitStrategy};
use crate::restart::Restarts;
use crate::{Actor, SendError, SpawnError};

/// Describes a [`Pool`] and spawns it.
#[must_use = "a pool is made by `spawn`"]
pub struct PoolBuilder<A: Actor> {
    name: String,
    workers: usize,
    roster: RosterBuilder,
    strategy: Result<Arc<dyn Strategy>, ConfigError>,
    template: Option<WorkerSpec>,
    settings: Settings<A>,
    pinned: Pinning,
}

/// Which cores workers are to run on.
enum Pinning {
    /// As the operating system likes.
    Free,
    /// On any that the process may use, in turn.
    All,
    /// On these, in turn.
    Cores(Vec<usize>),
}

impl<A: Actor> PoolBuilder<A> {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            workers: 0,
            roster: Roster::builder(),
            strategy: Ok(Arc::new(JoinIdle::new())),
            template: None,
            settings: Settings::default(),
            pinned: Pinning::Free,
        }
    }

    /// Adds a worker.
    pub fn worker(mut self, spec: WorkerSpec) -> Self {
        self.template.get_or_insert_with(|| spec.clone());
        self.roster = self.roster.worker(spec);
        self.workers += 1;
        self
    }

    /// Adds `count` workers, named `<name>-0`, `<name>-1` and so on.
    pub fn workers(mut self, count: usize, spec: WorkerSpec) -> Self {
        self.template.get_or_insert_with(|| spec.clone());
        self.roster = self.roster.workers(count, spec);
        self.workers += count;
        self
    }

    /// Sets the strategy; [`JoinIdle`] by default.
    pub fn strategy(mut self, strategy: impl Strategy + 'static) -> Self {
        self.strategy = Ok(Arc::new(strategy));
        self
    }

    /// Sets the strategy, the tracking and, where it is on, the ejection from a configuration. What is
    /// wrong with it is [`spawn`](Self::spawn)'s error.
    pub fn balancer(mut self, config: BalancerConfig) -> Self {
        self.strategy = config.build().map(|balancer| Arc::from(balancer.into_strategy()));
        self.settings.ejection = config.ejection().or(self.settings.ejection);
        self.tracking(config.tracking())
    }

    /// Sets what is learnt from each task.
    pub fn tracking(mut self, tracking: Tracking) -> Self {
        self.roster = self.roster.tracking(tracking);
        self
    }

    /// Sets each worker's mailbox: how many tasks each of its lanes (high, normal, low priority,
    /// and tasks with keys: those 32,767 at the most) holds, at least 1, and what happens when it is
    /// full. 1024 and [`Overflow::Block`] by default. A lane is allocated as a whole, at its first
    /// task, the normal one beforehand: the capacity times the size of a message and about a
    /// hundred bytes.
    pub fn mailbox(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.settings.capacity = capacity;
        self.settings.overflow = overflow;
        self
    }

    /// Sheds tasks that have waited too long in an overloaded mailbox; off by default.
    pub fn codel(mut self, codel: CoDel) -> Self {
        self.settings.codel = Some(codel);
        self
    }

    /// Is called, on the caller's thread, with each refused task before its message goes back to
    /// the caller. For tasks that a [timer](crate::TaskBuilder::tell_after) gives it is the only word.
    pub fn on_rejected(
        mut self,
        told: impl Fn(&SendError<A::Msg>) + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_rejected = Some(Box::new(told));
        self
    }

    /// Is given the message of each shed task, on the thread that sheds it: a caller's under
    /// [`Overflow::DropOldest`] and [`Overflow::DropNewest`], the worker's under [`CoDel`].
    pub fn on_shed(mut self, given: impl Fn(A::Msg, ShedReason) + Send + Sync + 'static) -> Self {
        self.settings.on_shed = Some(Box::new(given));
        self
    }

    /// Sets how workers without tasks wait; see [`WaitStrategy`].
    pub fn wait(mut self, wait: WaitStrategy) -> Self {
        self.settings.wait = wait;
        self
    }

    /// Pins each worker's thread to a core of its own, as far as there are enough: in turn on those
    /// that the process may use.
    pub fn pin_workers(mut self) -> Self {
        self.pinned = Pinning::All;
        self
    }

    /// Pins the workers' threads to these cores, in turn. [`spawn`](Self::spawn) fails when there
    /// is no such core.
    pub fn pin_workers_to(mut self, cores: impl IntoIterator<Item = usize>) -> Self {
        self.pinned = Pinning::Cores(cores.into_iter().collect());
        self
    }

    /// Sets after what, how often and when actors are made anew; always and without a limit by
    /// default.
    pub fn restarts(mut self, restarts: Restarts) -> Self {
        self.settings.restarts = restarts;
        self
    }

    /// Sets what becomes of the pool when a worker was retired by its restarts.
    pub fn on_retired(mut self, on_retired: OnRetired) -> Self {
        self.settings.on_retired = on_retired;
        self
    }

    /// Sets when a handler counts as hung; never by default.
    pub fn watchdog(mut self, watchdog: Watchdog) -> Self {
        self.settings.watchdog = Some(watchdog);
        self
    }

    /// Sets workers aside for a while that fail, or are slow, more than the others; off by default,
    /// as a failure may be the task's and not the worker's. [Events](Pool::subscribe) tell of it. A
    /// worker that is set aside keeps what is in its mailbox and its keys, and takes nothing from
    /// others; a quarantine or a retirement goes before.
    ///
    /// What is wrong with it is [`spawn`](Self::spawn)'s error.
    pub fn ejection(mut self, ejection: Ejection) -> Self {
        self.settings.ejection = Some(ejection);
        self
    }

    /// Sets whether an idle worker takes tasks from the mailboxes of others with the same
    /// capabilities: free ones, which have no key and are no control messages. By default as the
    /// strategy [lets](Strategy::lets_steal).
    pub fn stealing(mut self, stealing: bool) -> Self {
        self.settings.stealing = Some(stealing);
        self
    }

    /// Sets how many copies of [hedged](crate::TaskBuilder::ask_hedged) tasks may be given, as a share of
    /// the tasks that asked for it; 0.05 by default.
    pub fn hedge_budget(mut self, share: f64) -> Self {
        self.settings.hedge_budget = share;
        self
    }

    /// Sets the clock; the machine's by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.roster = self.roster.clock(clock);
        self
    }

    /// Spawns a thread a worker, named `raddle-<pool>-<worker>`, makes each worker's actor on it by
    /// `make`, and returns when all are ready. `make` is called again when an actor is made anew or
    /// a worker added.
    ///
    /// # Errors
    /// When the description is wrong, a thread could not be had or an actor could not be made;
    /// then no thread is left.
    pub fn spawn(
        mut self,
        make: impl Fn(&Worker) -> A + Send + Sync + 'static,
    ) -> Result<Pool<A>, SpawnError> {
        let Some(template) = self.template else {
            return Err(SpawnError::NoWorkers { pool: self.name });
        };
        self.settings.validate()?;
        self.settings.cores = self.pinned.cores()?;
        let strategy = self.strategy?;
        strategy.validate()?;
        let roster = Arc::new(self.roster.build()?);
        if roster.members().is_empty() {
            return Err(SpawnError::NoWorkers { pool: self.name });
        }
        if self.name.contains('\0') {
            return Err(SpawnError::Name { name: self.name });
        }
        check_names(roster.members())?;
        warn_of_busy_waiting(&self.name, self.settings.wait, roster.members().len());
        let capacity = self.settings.capacity;
        let mailboxes: Arc<[_]> = roster
            .members()
            .iter()
            .map(|member| mailbox::bounded(Arc::clone(&member.worker), capacity))
            .collect();
        let reviews = self.settings.ejection.map(|ejection| Reviews::new(ejection, &roster));
        let reviews = reviews.transpose()?;
        let strategy = Prepared::new(strategy, &roster);
        let stealing = self.settings.stealing.unwrap_or_else(|| strategy.lets_steal());
        let mailboxes_of_all = Arc::clone(&mailboxes);
        let routing = Routing { roster, mailboxes, strategy, shadow: None, stealing };
        let shared = Shared::new(
            &self.name,
            self.settings,
            Box::new(make),
            routing,
            Membership::new(template, reviews),
        );
        // From here on, dropping it closes the mailboxes and waits for what was spawned.
        let pool = PoolInner { shared: Arc::new(shared) };
        let tenures = pool.shared.start(&mailboxes_of_all)?;
        pool.shared.membership().tenures = tenures;
        let shared = Arc::clone(&pool.shared);
        pool.shared
            .threads
            .spawn_housekeeper(format!("raddle-{}", self.name), move || housekeeper::run(&shared))
            .map_err(|source| SpawnError::Thread { worker: "housekeeper".into(), source })?;
        Ok(Pool::new(pool))
    }
}

impl<A: Actor> std::fmt::Debug for PoolBuilder<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Pinning {
    fn cores(self) -> Result<Vec<core_affinity::CoreId>, SpawnError> {
        let wanted = match self {
            Self::Free => return Ok(Vec::new()),
            Self::All => None,
            Self::Cores(cores) => Some(cores),
        };
        let all = core_affinity::get_core_ids().unwrap_or_default();
        let Some(wanted) = wanted else { return Ok(all) };
        let find = |id: usize| {
            let core = all.iter().find(|core| core.id == id).copied();
            core.ok_or_else(|| SpawnError::Core {
                core: id,
                allowed: all.iter().map(|core| core.id).collect(),
            })
        };
        wanted.into_iter().map(find).collect()
    }
}

/// Warns when workers that never sleep are more than the cores.
fn warn_of_busy_waiting(pool: &str, wait: WaitStrategy, workers: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if wait.keeps_core() && workers > cores {
        tracing::warn!(
            pool,
            workers,
            cores,
            "more workers that spin for ever than cores: they take turns with each other's tasks; use WaitStrategy::YieldThenPark"
        );
    }
}

impl<A: Actor> Settings<A> {
    fn validate(&self) -> Result<(), SpawnError> {
        if self.capacity == 0 {
            return Err(SpawnError::Mailbox);
        }
        if !(0.0..=1.0).contains(&self.hedge_budget) {
            return Err(SpawnError::HedgeBudget(self.hedge_budget));
        }
        Ok(self.restarts.validate()?)
    }
}

/// A period in nanoseconds, at least one.
pub(super) fn nonzero_nanos(period: Duration) -> NonZeroU64 {
    NonZeroU64::new(nanos(period)).unwrap_or(NonZeroU64::MIN)
}
