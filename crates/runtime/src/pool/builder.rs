use std::fmt;
use std::sync::Arc;

use raddle_core::{Clock, Counts, Roster, RosterBuilder, Tracking, Worker, WorkerSpec};
use raddle_strategies::{BalancerConfig, ConfigError, Ejection, JoinIdle, Prepared, Strategy};

use super::handle::Pool;
use super::hedging::Hedges;
use super::housekeeper::Housekeeper;
use super::inner::PoolInner;
use super::submit::{OnRejected, Submitter};
use crate::actor::Handler;
use crate::codel::CoDel;
#[cfg(feature = "affinity")]
use crate::cores;
use crate::crew::{Crew, Launch, check_names};
use crate::desk::Desk;
use crate::envelope::Envelope;
use crate::error::{Refusal, SpawnError};
use crate::inlet::Inlet;
use crate::log;
use crate::mailbox::{self, Overflow, WaitStrategy};
use crate::panics;
use crate::reply::NoReply;
use crate::restart::Restarts;
use crate::router::{Router, Routing};
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
    on_rejected: Option<Arc<OnRejected<M>>>,
    on_shed: Option<Box<OnShed<M>>>,
    reply: std::marker::PhantomData<fn() -> R>,
}

/// Receives the message of each shed task.
type OnShed<M> = dyn Fn(M, ShedReason) + Send + Sync;

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
        self.on_rejected = Some(Arc::new(callback));
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
        self.settings.validate()?;
        #[cfg(feature = "affinity")]
        match std::mem::replace(&mut self.pinning, Pinning::Free) {
            Pinning::Free => {}
            Pinning::All => self.settings.cores = cores::find(None)?,
            Pinning::Cores(wanted) => self.settings.cores = cores::find(Some(wanted))?,
        }
        let make: Arc<Factory<A>> = Arc::new(make);
        self.spawn_with(|router, settings| Box::new(Launcher { router, settings, make }))
    }

    /// What of [`spawn`](Self::spawn) is not generic in the actor.
    fn spawn_with(
        self,
        launcher: impl FnOnce(Arc<Router<Envelope<M, R>>>, Arc<Settings>) -> Box<dyn Launch>,
    ) -> Result<Pool<M, R>, SpawnError> {
        let Self { name, roster, strategy, template, settings, on_rejected, on_shed, .. } = self;
        let Some(template) = template else { return Err(SpawnError::NoWorkers { pool: name }) };
        let strategy = strategy?;
        strategy.validate()?;
        let roster = Arc::new(roster.build()?);
        if roster.members().is_empty() {
            return Err(SpawnError::NoWorkers { pool: name });
        }
        if name.contains('\0') {
            return Err(SpawnError::Name { name });
        }
        check_names(roster.members())?;
        warn_of_busy_waiting(&name, settings.wait, roster.members().len());
        let strategy = Prepared::new(strategy, &roster);
        let workers = roster.members().iter().map(|member| Arc::clone(&member.worker));
        let inlet = |worker| Inlet::Local(mailbox::bounded(worker, settings.capacity));
        let routing = Routing {
            inlets: workers.map(inlet).collect(),
            roster: Arc::clone(&roster),
            stealing: settings.stealing.unwrap_or_else(|| strategy.lets_steal()),
            strategy,
            shadow: None,
            departed: Counts::default(),
        };
        let router = Arc::new(Router::new(&settings, routing, shedding(on_shed)));
        let settings = Arc::new(settings);
        let launcher = launcher(Arc::clone(&router), Arc::clone(&settings));
        let desk = Arc::new(Desk::new());
        let hedges = Arc::new(Hedges::new(settings.hedge_budget));
        let control = Arc::clone(&router) as _;
        let notify = desk.notify().clone();
        let crew = Crew::new(&name, settings, Arc::clone(&control), launcher, notify, template)?;
        let crew = Arc::new(crew);
        // From here on, dropping the pool closes the mailboxes and waits for what was spawned.
        let pool = PoolInner {
            submitter: Submitter::new(router, on_rejected),
            crew: Arc::clone(&crew),
            desk: Arc::clone(&desk),
            hedges: Arc::clone(&hedges),
        };
        crew.start_first(&roster)?;
        let housekeeper = Housekeeper { desk, crew: Arc::clone(&crew), router: control, hedges };
        let thread = format!("raddle-{name}");
        crew.threads
            .spawn_housekeeper(thread.clone(), move || housekeeper.run())
            .map_err(|source| SpawnError::Thread { name: thread, source })?;
        Ok(Pool(Arc::new(pool)))
    }
}

/// What a router does with a task that is shed.
fn shedding<M: Send + 'static, R: Send + 'static>(
    on_shed: Option<Box<OnShed<M>>>,
) -> impl Fn(Envelope<M, R>, ShedReason) + Send + Sync + 'static {
    move |Envelope { msg, reply, .. }, reason| {
        panics::contain(|| drop(reply.and_then(|reply| reply.send(Err(NoReply::Shed)))));
        match &on_shed {
            Some(on_shed) => on_shed(msg, reason),
            None => drop(msg),
        }
    }
}

/// Prepares hosts for actors of one type.
struct Launcher<A, M, R> {
    router: Arc<Router<Envelope<M, R>>>,
    settings: Arc<Settings>,
    make: Arc<Factory<A>>,
}

impl<A, M, R> Launch for Launcher<A, M, R>
where
    A: Handler<M, Reply = R>,
    M: Send + 'static,
    R: Send + 'static,
{
    fn host(&self, start: Start, overseer: Arc<dyn Overseer>) -> Box<dyn FnOnce() + Send> {
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
