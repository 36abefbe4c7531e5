use std::fmt;
use std::sync::Arc;

use raddle_core::{Clock, Counts, Roster, RosterBuilder, Tracking, Worker, WorkerSpec};
use raddle_strategies::{BalancerConfig, ConfigError, Ejection, JoinIdle, Prepared, Strategy};

use super::handle::Pool;
use super::inner::{PoolInner, Staff};
use crate::actor::Handler;
use crate::codel::CoDel;
#[cfg(feature = "affinity")]
use crate::cores;
use crate::crew::{Hosts, check_names};
use crate::envelope::Envelope;
use crate::error::{Refusal, SpawnError};
use crate::inlet::Inlet;
use crate::keys::ShortId;
use crate::log;
use crate::mailbox::{Overflow, WaitStrategy};
use crate::panics;
use crate::reply::NoReply;
use crate::restart::Restarts;
use crate::router::{Callbacks, OnRefused, OnShed, Plan, Router};
use crate::settings::{OnRetired, Settings, ShedReason, Watchdog};
use crate::worker::{self, ActorHost, Factory, Overseer, Start, Station};

/// Builds a [`Pool`].
///
/// Setters take any value; [`spawn`](Self::spawn) returns an error that names the value and what is
/// allowed.
#[must_use = "a pool is created by `spawn`"]
pub struct PoolBuilder<M, R> {
    name: String,
    roster: RosterBuilder,
    strategy: Result<Arc<dyn Strategy>, ConfigError>,
    /// What `resize` adds.
    template: Option<WorkerSpec>,
    settings: Settings,
    #[cfg(feature = "affinity")]
    pinning: Pinning,
    on_rejected: Option<Box<OnRefused<M>>>,
    on_shed: Option<Box<OnShed<M>>>,
    reply: std::marker::PhantomData<fn() -> R>,
}

/// The cores that workers run on.
#[cfg(feature = "affinity")]
enum Pinning {
    /// Any, as the operating system likes.
    Free,
    /// All that the process may use, in turn.
    All,
    /// These, in turn.
    Cores(Vec<usize>),
}

impl<M: Send + 'static, R: Send + 'static> Pool<M, R> {
    /// Starts building a pool. The message and reply types are inferred from the actor passed to
    /// [`spawn`](PoolBuilder::spawn).
    pub fn builder(name: impl Into<String>) -> PoolBuilder<M, R> {
        PoolBuilder::new(name.into())
    }
}

impl<M: Send + 'static, R: Send + 'static> PoolBuilder<M, R> {
    fn new(name: String) -> Self {
        Self {
            name,
            roster: Roster::builder(),
            strategy: Ok(Arc::new(JoinIdle::new())),
            template: None,
            settings: Settings::default(),
            #[cfg(feature = "affinity")]
            pinning: Pinning::Free,
            on_rejected: None,
            on_shed: None,
            reply: std::marker::PhantomData,
        }
    }

    /// Adds a worker.
    pub fn worker(mut self, spec: WorkerSpec) -> Self {
        self.template.get_or_insert_with(|| spec.clone());
        self.roster = self.roster.worker(spec);
        self
    }

    /// Adds `count` workers, named `<name>-0`, `<name>-1` and so on.
    pub fn workers(mut self, count: usize, spec: WorkerSpec) -> Self {
        self.template.get_or_insert_with(|| spec.clone());
        self.roster = self.roster.workers(count, spec);
        self
    }

    /// Sets the strategy; [`JoinIdle`] by default.
    pub fn strategy(mut self, strategy: impl Strategy + 'static) -> Self {
        self.strategy = Ok(Arc::new(strategy));
        self
    }

    /// Sets the strategy, the tracking and, if it is on, the ejection from a configuration.
    pub fn balancer(mut self, config: BalancerConfig) -> Self {
        self.strategy = config.build().map(|balancer| Arc::from(balancer.into_strategy()));
        self.settings.ejection = config.ejection().or(self.settings.ejection);
        self.tracking(config.tracking())
    }

    /// Sets what is learned from each task.
    pub fn tracking(mut self, tracking: Tracking) -> Self {
        self.roster = self.roster.tracking(tracking);
        self
    }

    /// Sets each worker's mailbox: the capacity of each of its lanes (high, normal and low priority,
    /// and tasks with keys, of which there are at most 32,767), and what happens when a lane is full.
    /// 1024 and [`Overflow::Block`] by default.
    ///
    /// Each lane is allocated as a whole, at its first task, the normal lane at the start: the
    /// capacity times the size of a message plus 56 bytes, and up to 8 more for alignment.
    pub fn mailbox(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.settings.capacity = capacity;
        self.settings.policy.overflow = overflow;
        self
    }

    /// Sets whether a task whose worker's mailbox is full first goes to another candidate with room,
    /// the strategy's next choice if possible; the overflow policy decides when none has room. Off by
    /// default. A task with a key stays with its worker.
    pub fn reroute(mut self, reroute: bool) -> Self {
        self.settings.policy.reroute = reroute;
        self
    }

    /// Sheds tasks that have waited too long in an overloaded mailbox; off by default.
    pub fn codel(mut self, codel: CoDel) -> Self {
        self.settings.codel = Some(codel);
        self
    }

    /// Calls `callback`, on the caller's thread, with the message of each refused task before it
    /// returns to the caller. A refused task of a [timer](crate::TaskBuilder::tell_after) has no
    /// other way to be noticed.
    pub fn on_rejected(mut self, callback: impl Fn(&M, &Refusal) + Send + Sync + 'static) -> Self {
        self.on_rejected = Some(Box::new(callback));
        self
    }

    /// Calls `callback` with the message of each shed task, on the thread that sheds it: a caller's
    /// under [`Overflow::DropOldest`] and [`Overflow::DropNewest`], the worker's under [`CoDel`].
    pub fn on_shed(mut self, callback: impl Fn(M, ShedReason) + Send + Sync + 'static) -> Self {
        self.on_shed = Some(Box::new(callback));
        self
    }

    /// Sets how workers without tasks wait.
    pub fn wait(mut self, wait: WaitStrategy) -> Self {
        self.settings.wait = wait;
        self
    }

    /// Pins the workers' threads to the cores that the process may use, in turn.
    #[cfg(feature = "affinity")]
    pub fn pin_workers(mut self) -> Self {
        self.pinning = Pinning::All;
        self
    }

    /// Pins the workers' threads to these cores, in turn.
    #[cfg(feature = "affinity")]
    pub fn pin_workers_to(mut self, cores: impl IntoIterator<Item = usize>) -> Self {
        self.pinning = Pinning::Cores(cores.into_iter().collect());
        self
    }

    /// Sets when, how often and how fast actors are restarted; always, and without a limit, by
    /// default.
    pub fn restarts(mut self, restarts: Restarts) -> Self {
        self.settings.restarts = restarts;
        self
    }

    /// Sets what the pool does when its restarts have retired a worker.
    pub fn on_retired(mut self, on_retired: OnRetired) -> Self {
        self.settings.on_retired = on_retired;
        self
    }

    /// Sets when a handler counts as hung; never by default.
    pub fn watchdog(mut self, watchdog: Watchdog) -> Self {
        self.settings.watchdog = Some(watchdog);
        self
    }

    /// Ejects workers that fail, or are slow, more than the others, and readmits them after a while.
    /// Off by default, since a failure may be the task's fault and not the worker's. Both are
    /// [events](Pool::subscribe). An ejected worker keeps the tasks in its mailbox and its keys, and
    /// steals nothing; a quarantine or a retirement takes precedence.
    pub fn ejection(mut self, ejection: Ejection) -> Self {
        self.settings.ejection = Some(ejection);
        self
    }

    /// Sets whether an idle worker takes tasks from the mailboxes of workers with the same
    /// capabilities, except tasks with keys and control messages. By default, the strategy
    /// [decides](Strategy::lets_steal).
    pub fn stealing(mut self, stealing: bool) -> Self {
        self.settings.stealing = Some(stealing);
        self
    }

    /// Sets how many copies of [hedged](crate::TaskBuilder::ask_hedged) tasks may be sent, as a share
    /// of the tasks that ask for it; 0.05 by default.
    pub fn hedge_budget(mut self, share: f64) -> Self {
        self.settings.hedge_budget = share;
        self
    }

    /// Sets the clock; the machine's by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.roster = self.roster.clock(clock);
        self
    }

    /// Spawns one thread per worker, named `raddle-<pool>-<worker>`, creates each worker's actor on
    /// it with `make`, and returns when all have started. `make` is called again when an actor is
    /// restarted or a worker added.
    ///
    /// # Errors
    /// If a setting is out of bounds, a thread could not be created, or an actor could not start. No
    /// thread is left then.
    #[cfg_attr(not(feature = "affinity"), allow(unused_mut))]
    pub fn spawn<A>(
        mut self,
        make: impl Fn(&Worker) -> A + Send + Sync + 'static,
    ) -> Result<Pool<M, R>, SpawnError>
    where
        A: Handler<M, Reply = R>,
    {
        #[cfg(feature = "affinity")]
        match std::mem::replace(&mut self.pinning, Pinning::Free) {
            Pinning::Free => {}
            Pinning::All => self.settings.cores = cores::find(None)?,
            Pinning::Cores(wanted) => self.settings.cores = cores::find(Some(wanted))?,
        }
        let Self { name, roster, strategy, template, settings, on_rejected, on_shed, .. } = self;
        let plan = plan(&name, roster, strategy, &settings)?;
        let Some(template) = template else { return Err(SpawnError::NoWorkers { pool: name }) };
        let callbacks = callbacks(on_rejected, on_shed);
        let router = Arc::new(Router::new(&settings, plan, callbacks));
        let (control, settings) = (Arc::clone(&router.control), Arc::new(settings));
        let hosts = ActorHosts {
            router: Arc::clone(&router),
            settings: Arc::clone(&settings),
            make: Arc::new(make) as Arc<Factory<A>>,
        };
        let staff = Staff::start(&name, settings, control, Box::new(hosts), template)?;
        Ok(Pool(Arc::new(PoolInner { router, staff })))
    }
}

/// Checks what a pool was described as, and returns its first routing.
fn plan(
    name: &str,
    roster: RosterBuilder,
    strategy: Result<Arc<dyn Strategy>, ConfigError>,
    settings: &Settings,
) -> Result<Plan, SpawnError> {
    settings.validate()?;
    let strategy = strategy?;
    strategy.validate()?;
    let roster = Arc::new(roster.build()?);
    if roster.members().is_empty() {
        return Err(SpawnError::NoWorkers { pool: name.to_owned() });
    }
    if name.contains('\0') {
        return Err(SpawnError::Name { name: name.to_owned() });
    }
    check_names(roster.members())?;
    warn_of_busy_waiting(name, settings.wait, roster.members().len());
    let strategy = Prepared::new(strategy, &roster);
    let stealing = settings.stealing.unwrap_or_else(|| strategy.lets_steal());
    Ok(Plan { roster, strategy, shadow: None, stealing, departed: Counts::default() })
}

/// What a router does with tasks that are refused or shed.
fn callbacks<M: Send + 'static, R: Send + 'static>(
    on_rejected: Option<Box<OnRefused<M>>>,
    on_shed: Option<Box<OnShed<M>>>,
) -> Callbacks<Envelope<M, R>> {
    let on_refused = move |Envelope { msg, .. }: &_, refusal: &_| {
        if let Some(on_rejected) = &on_rejected {
            on_rejected(msg, refusal);
        }
    };
    let on_shed = move |Envelope { msg, reply, .. }: Envelope<M, R>, reason| {
        panics::contain(|| drop(reply.and_then(|reply| reply.send(Err(NoReply::Shed)))));
        match &on_shed {
            Some(on_shed) => on_shed(msg, reason),
            None => drop(msg),
        }
    };
    Callbacks { on_refused: Box::new(on_refused), on_shed: Box::new(on_shed) }
}

/// Hosts of actors of one type.
struct ActorHosts<A, M, R> {
    router: Arc<Router<Envelope<M, R>>>,
    settings: Arc<Settings>,
    make: Arc<Factory<A>>,
}

impl<A, M, R> Hosts for ActorHosts<A, M, R>
where
    A: Handler<M, Reply = R>,
    M: Send + 'static,
    R: Send + 'static,
{
    fn create(&self, start: Start, overseer: Arc<dyn Overseer>) -> Box<dyn FnOnce() + Send> {
        let Some(Inlet::Local(mailbox)) = self.router.inlet(&start.worker) else {
            unreachable!("a worker's inlet is open before its thread starts")
        };
        let (router, settings) = (Arc::clone(&self.router), Arc::clone(&self.settings));
        let make = Arc::clone(&self.make);
        Box::new(move || {
            let station = Station::new(start, router, &mailbox, settings, overseer);
            worker::run(ActorHost::<A, M>::new(make), station);
        })
    }

    fn move_free_tasks(&self, worker: ShortId) {
        self.router.move_free_tasks(worker);
    }
}

impl<M, R> fmt::Debug for PoolBuilder<M, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Warns if there are more workers that never park than cores.
fn warn_of_busy_waiting(pool: &str, wait: WaitStrategy, workers: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if wait.keeps_core() && workers > cores {
        log::warn!(
            pool,
            workers,
            cores,
            "more workers that never park than cores: they keep each other from their tasks; \
             use WaitStrategy::YieldThenPark"
        );
    }
}
