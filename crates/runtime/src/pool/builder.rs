use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};
use std::time::Duration;

use raddle_core::{
    Clock, Counts, MailboxOrder, Roster, RosterBuilder, Tracking, Worker, WorkerSpec,
};
use raddle_strategies::{BalancerConfig, ConfigError, Ejection, JoinIdle, Prepared, Strategy};
use raddle_sync::lock::ColdLock;

use super::handle::Pool;
use super::inner::{PoolInner, Staff};
use super::weak::OwnPool;
use crate::actor::{Actor, Handler, IntoActor, IntoReply, Reply};
use crate::async_handler::{AsyncHandler, ReadWrite, SharedHandler};
use crate::codel::CoDel;
#[cfg(feature = "affinity")]
use crate::cores;
use crate::crew::{Hosts, check_names};
use crate::desk::Desk;
use crate::enter::{self, Enter};
use crate::envelope::Envelope;
use crate::error::{Refusal, SpawnError};
use crate::inlet::Inlet;
use crate::keyed_state::KeyedState;
use crate::keys::ShortId;
use crate::log;
use crate::mailbox::{Capacity, Overflow, WaitStrategy};
use crate::panics::{self, Contained};
use crate::reply::NoReply;
use crate::restart::Restarts;
use crate::router::{Callbacks, OnRefused, OnShed, Plan, Router};
use crate::settings::{OnRetired, Settings, ShedReason, Watchdog, check_strategy};
#[cfg(feature = "test")]
use crate::test::virtual_clock;
#[cfg(not(feature = "test"))]
use crate::untested::virtual_clock;
use crate::worker::{
    self, ActorHost, AsyncHost, ConcurrentHost, Factory, Overseer, ReadsAndWrites, RunningAskers,
    Shared, Start, Station,
};

/// Builds a [`Pool`].
///
/// Setters take any value; [`spawn`](Self::spawn) returns an error that names the value and what is
/// allowed.
#[must_use = "a pool is created by `spawn`"]
pub struct PoolBuilder<M, R> {
    name: String,
    roster: RosterBuilder,
    strategy: Result<Arc<dyn Strategy>, ConfigError>,
    /// The machine's if there is none.
    clock: Option<Clock>,
    /// What `resize` adds.
    template: Option<WorkerSpec>,
    settings: Settings,
    #[cfg(feature = "affinity")]
    pinning: Pinning,
    on_rejected: Option<Box<OnRefused<M>>>,
    on_shed: Option<Box<OnShed<M>>>,
    context: Option<Arc<dyn Enter>>,
    reply: std::marker::PhantomData<fn() -> R>,
}

/// How many handlers a worker may run side by side.
const CONCURRENCY: RangeInclusive<usize> = 1..=65_536;

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
    /// The largest capacity of a bounded [mailbox](Self::mailbox): 16,777,216 tasks per lane.
    pub const MAX_MAILBOX: usize = Capacity::MAX;

    fn new(name: String) -> Self {
        Self {
            name,
            roster: Roster::builder(),
            strategy: Ok(Arc::new(JoinIdle::new())),
            clock: None,
            template: None,
            settings: Settings::default(),
            #[cfg(feature = "affinity")]
            pinning: Pinning::Free,
            on_rejected: None,
            on_shed: None,
            context: None,
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
    /// and tasks with keys, of which there are at most 16,383), and what happens when a lane is full.
    /// 1024 and [`Overflow::Block`] by default; 1 to [`MAX_MAILBOX`](Self::MAX_MAILBOX) are allowed.
    ///
    /// Each lane is allocated as a whole, at its first task, the normal lane at the start: the
    /// capacity times the size of a message plus 56 bytes, and up to 8 more for alignment. `spawn`,
    /// `add_worker` and `resize` return an error if the first lanes cannot be allocated.
    pub fn mailbox(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.settings.capacity = Capacity::Bounded(capacity);
        self.settings.policy.overflow = overflow;
        self
    }

    /// Removes the bound of each worker's mailbox; replaces [`mailbox`](Self::mailbox), and is replaced
    /// by it.
    ///
    /// **Under overload, the mailboxes grow until memory runs out**, and each task waits behind all
    /// earlier ones. Prefer a bound, or set [`codel`](Self::codel) or deadlines as well. Sending a task
    /// allocates once in 31 times.
    ///
    /// The lane of tasks with keys stays bounded, at 16,383 tasks; its callers wait for room, as under
    /// [`Overflow::Block`]. No other task finds a full lane, so [`reroute`](Self::reroute) has no
    /// meaning and is refused.
    pub fn mailbox_unbounded(mut self) -> Self {
        self.settings.capacity = Capacity::Unbounded;
        self.settings.policy.overflow = Overflow::Block;
        self
    }

    /// Sets the order in which each worker runs the tasks of its mailbox; [`MailboxOrder::Fifo`] by
    /// default.
    ///
    /// With [`MailboxOrder::Boost`], short tasks overtake long ones of the normal lane and of the lane
    /// of tasks with keys. The size of a task is its [expected
    /// duration](crate::TaskBuilder::expected_duration) or, without one, the mean that was learned
    /// for its capability. Each of four size classes has a lane of its own, with the capacity of the
    /// [mailbox](Self::mailbox); so have the tasks of which nothing is known. Order within a lane and
    /// within a key is kept: a key's tasks have one class while it has any.
    ///
    /// Each worker learns its arrival rate and service times, and computes its boosts once a second.
    /// Costs about 300 ns per task on the worker's thread and 17 KB per worker, beside the lanes.
    pub fn mailbox_order(mut self, order: MailboxOrder) -> Self {
        self.settings.order = order;
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

    /// Sets the size of each thread's stack in bytes, 128 KiB to 1 GiB; that of the standard library by
    /// default, which is 2 MiB unless `RUST_MIN_STACK` says otherwise. Reserves address space; memory is
    /// used as far as a handler touches it.
    ///
    /// A message that is passed by value is on the stack a few times. Box messages of more than some
    /// kilobytes: that is also faster.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Sets what the names of the pool's threads begin with; the pool's name by default.
    ///
    /// A thread is named `<name>-<number of the worker>`, and the pool's own thread `<name>-keeper`.
    /// The name is shortened so that a thread's name has at most 15 bytes, since Linux shows no more.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.settings.thread_name = Some(name.into());
        self
    }

    /// Pins the workers' threads to the cores that the process may use, in turn.
    #[cfg(feature = "affinity")]
    pub fn pin_workers(mut self) -> Self {
        self.pinning = Pinning::All;
        self
    }

    /// Pins the workers' threads to these cores, in turn; to no core in particular if there are none.
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

    /// Sets after how long a wait an urgent or short task runs at the next
    /// [checkpoint](crate::Context::checkpoint) of the handler that keeps its worker busy: 1 ms by
    /// default; 10 us to 10 s are allowed. Has no effect where no handler has checkpoints.
    pub fn quantum(mut self, quantum: Duration) -> Self {
        self.settings.quantum = quantum;
        self
    }

    /// Ejects workers that fail, or are slow, more than the others, and readmits them after a while.
    /// Off by default, since a failure may be the task's fault and not the worker's. Both are
    /// [events](Pool::subscribe). An ejected worker keeps the tasks in its mailbox and its keys, and
    /// steals nothing; a quarantine, a restart or a retirement takes precedence.
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
        self.clock = Some(clock);
        self
    }

    /// Makes each worker's thread enter this context for as long as it runs, so that tokio's timers and
    /// sockets, say, work in handlers and hooks. Any runtime must live as long as the pool, and have
    /// threads of its own: the workers only poll what their handlers await. Replaces an earlier one.
    ///
    /// With the feature `tokio`, a `tokio::runtime::Handle` can be passed. Without:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use raddle_core::WorkerSpec;
    /// # use raddle_runtime::{Actor, AsyncContext, AsyncHandler, Pool};
    /// struct Sleeper;
    ///
    /// impl Actor for Sleeper {}
    ///
    /// impl AsyncHandler<Duration> for Sleeper {
    ///     type Reply = ();
    ///
    ///     async fn handle(&mut self, time: Duration, _: &mut AsyncContext<'_, Self>) {
    ///         tokio::time::sleep(time).await;
    ///     }
    /// }
    ///
    /// let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    /// let handle = runtime.handle().clone();
    /// let pool = Pool::builder("sleep")
    ///     .workers(2, WorkerSpec::general())
    ///     .enter(move |run: &mut dyn FnMut()| {
    ///         let _entered = handle.enter();
    ///         run();
    ///     })
    ///     .spawn_async(|_| Sleeper)?;
    /// pool.ask(Duration::from_millis(1)).wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enter(mut self, context: impl Enter) -> Self {
        // It may panic when it is dropped.
        self.context = Some(Arc::new(Contained::new(context)));
        self
    }

    /// Sets for how long an async handler may wait for one thing; for as long as the
    /// [watchdog](Self::watchdog)'s limit by default, or without a watchdog forever. At least 1 ms is
    /// allowed. The time begins again whenever the handler is woken, and does not count while it awaits
    /// something of raddle's: a reply, room, or the end of a pool or worker. A handler that exceeds the
    /// limit is [dropped](crate::AsyncHandler#when-a-handler-is-dropped).
    pub fn await_limit(mut self, limit: Duration) -> Self {
        self.settings.await_limit = Some(limit);
        self
    }

    /// Spawns one [named](Self::thread_name) thread per worker, creates each worker's actor on it with
    /// `make`, and returns when all have started. `make` returns the actor, or a `Result` with it. It is
    /// called again when an actor is restarted or a worker added.
    ///
    /// # Errors
    /// If a setting is out of bounds, a thread could not be created, or an actor could not start. No
    /// thread is left then.
    pub fn spawn<A>(
        mut self,
        make: impl Fn(&Worker) -> A + Send + Sync + 'static,
    ) -> Result<Pool<M, R>, SpawnError>
    where
        A: IntoActor<Actor: Handler<M, Reply: IntoReply<Reply = R>>>,
        R: Reply,
    {
        if self.settings.await_limit.is_some() {
            let because = "only async handlers await; `spawn_async` is allowed";
            return Err(SpawnError::Meaningless { option: "await_limit", because });
        }
        let (make, keyed_state) = (factory(make), self.keyed_state::<A::Actor>());
        self.spawn_hosts(move |station, pool| {
            let (make, keyed_state) = (Arc::clone(&make), keyed_state.clone());
            worker::run(ActorHost::new(make, keyed_state, &station, pool), station);
        })
    }

    /// Spawns a pool as [`spawn`](Self::spawn) does, whose actors have
    /// [async handlers](AsyncHandler): each worker runs one at a time.
    ///
    /// # Errors
    /// As of [`spawn`](Self::spawn).
    pub fn spawn_async<A>(
        mut self,
        make: impl Fn(&Worker) -> A + Send + Sync + 'static,
    ) -> Result<Pool<M, R>, SpawnError>
    where
        A: IntoActor<Actor: AsyncHandler<M, Reply = R>>,
        R: Reply,
    {
        let (make, keyed_state) = (factory(make), self.keyed_state::<A::Actor>());
        self.spawn_hosts(move |station, pool| {
            let (make, keyed_state) = (Arc::clone(&make), keyed_state.clone());
            worker::run(AsyncHost::new(make, keyed_state, &station, pool), station);
        })
    }

    /// Spawns a pool as [`spawn`](Self::spawn) does, whose actors have [shared handlers](SharedHandler):
    /// each worker runs up to `concurrency` of them side by side.
    ///
    /// # Errors
    /// As of [`spawn`](Self::spawn), if `concurrency` is not between 1 and 65,536, and if the actor has
    /// [keyed state](Actor::keyed_state).
    pub fn spawn_concurrent<A>(
        mut self,
        concurrency: usize,
        make: impl Fn(&Worker) -> A + Send + Sync + 'static,
    ) -> Result<Pool<M, R>, SpawnError>
    where
        A: IntoActor<Actor: SharedHandler<M, Reply = R>>,
        R: Reply,
    {
        self.check_side_by_side::<A::Actor>(concurrency)?;
        self.settings.slots = concurrency;
        let make = factory(make);
        self.spawn_hosts(move |station, pool| {
            let make = Arc::clone(&make);
            worker::run(ConcurrentHost::<_, _, _, Shared>::new(make, &station, pool), station);
        })
    }

    /// Spawns a pool as [`spawn`](Self::spawn) does, in which each worker runs up to `concurrency`
    /// [reads](ReadWrite) side by side, by [`SharedHandler`], and each write alone, by [`AsyncHandler`].
    ///
    /// A write waits until the reads have ended that run on its worker; nothing more starts there until
    /// then. If a write is [dropped](AsyncHandler#when-a-handler-is-dropped), its actor is restarted; if a
    /// read is, its actor goes on.
    ///
    /// # Errors
    /// As of [`spawn_concurrent`](Self::spawn_concurrent).
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use raddle_core::WorkerSpec;
    /// use raddle_runtime::{Actor, AsyncContext, AsyncHandler, Pool, ReadWrite, SharedHandler};
    ///
    /// #[derive(Default)]
    /// struct Cache(HashMap<u64, String>);
    ///
    /// enum Access {
    ///     Get(u64),
    ///     Set(u64, String),
    /// }
    ///
    /// impl ReadWrite for Access {
    ///     fn is_read(&self) -> bool {
    ///         matches!(self, Self::Get(_))
    ///     }
    /// }
    ///
    /// impl Actor for Cache {}
    ///
    /// impl SharedHandler<Access> for Cache {
    ///     type Reply = Option<String>;
    ///
    ///     async fn handle(&self, access: Access, _: &mut AsyncContext<'_, Self>) -> Option<String> {
    ///         let (Access::Get(key) | Access::Set(key, _)) = access;
    ///         self.0.get(&key).cloned()
    ///     }
    /// }
    ///
    /// impl AsyncHandler<Access> for Cache {
    ///     type Reply = Option<String>;
    ///
    ///     async fn handle(&mut self, access: Access, _: &mut AsyncContext<'_, Self>) -> Option<String> {
    ///         match access {
    ///             Access::Get(key) => self.0.get(&key).cloned(),
    ///             Access::Set(key, value) => self.0.insert(key, value),
    ///         }
    ///     }
    /// }
    ///
    /// let pool = Pool::builder("cache")
    ///     .workers(1, WorkerSpec::general())
    ///     .spawn_read_write(64, |_| Cache::default())?;
    /// pool.ask(Access::Set(7, "seven".into())).wait()?;
    /// assert_eq!(pool.ask(Access::Get(7)).wait()?.as_deref(), Some("seven"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_read_write<A>(
        mut self,
        concurrency: usize,
        make: impl Fn(&Worker) -> A + Send + Sync + 'static,
    ) -> Result<Pool<M, R>, SpawnError>
    where
        M: ReadWrite,
        A: IntoActor<Actor: SharedHandler<M, Reply = R> + AsyncHandler<M, Reply = R>>,
        R: Reply,
    {
        self.check_side_by_side::<A::Actor>(concurrency)?;
        self.settings.slots = concurrency + 1;
        let make = factory(make);
        self.spawn_hosts(move |station, pool| {
            let make = Arc::clone(&make);
            worker::run(
                ConcurrentHost::<_, _, _, ReadsAndWrites>::new(make, &station, pool),
                station,
            );
        })
    }

    /// Checks what is set for actors whose handlers run side by side.
    fn check_side_by_side<A: Actor>(&mut self, concurrency: usize) -> Result<(), SpawnError> {
        if self.keyed_state::<A>().is_some() {
            let because = "handlers side by side share the actor that would hand it over";
            return Err(SpawnError::Meaningless { option: "keyed_state", because });
        }
        match CONCURRENCY.contains(&concurrency) {
            true => Ok(()),
            false => Err(SpawnError::Concurrency(concurrency)),
        }
    }

    /// Returns the keyed state of the pool's actors, for which keys are handed over.
    fn keyed_state<A: Actor>(&mut self) -> Option<Arc<KeyedState<A>>> {
        let keyed_state = A::keyed_state().map(Arc::new);
        self.settings.hand_over_within =
            keyed_state.as_ref().map(|keyed_state| keyed_state.limit());
        keyed_state
    }

    /// Spawns a pool whose workers' threads are run by `run`.
    #[cfg_attr(not(feature = "affinity"), allow(unused_mut))]
    fn spawn_hosts(
        mut self,
        run: impl Fn(Station<M, R>, Arc<OwnPool<M, R>>) + Send + Sync + 'static,
    ) -> Result<Pool<M, R>, SpawnError> {
        #[cfg(feature = "affinity")]
        match std::mem::replace(&mut self.pinning, Pinning::Free) {
            Pinning::Free => {}
            Pinning::All => self.settings.cores = cores::find(None)?,
            Pinning::Cores(wanted) => self.settings.cores = cores::find(Some(wanted))?,
        }
        if let Some(clock) = virtual_clock() {
            if self.clock.replace(clock).is_some() {
                let because = "the pools of a test runtime follow its clock";
                return Err(SpawnError::Meaningless { option: "clock", because });
            }
            // A worker without tasks lets others run at once.
            self.settings.wait = WaitStrategy::Park;
        }
        if let Some(clock) = self.clock {
            self.roster = self.roster.clock(clock);
        }
        let Self {
            name, roster, strategy, template, settings, on_rejected, on_shed, context, ..
        } = self;
        let plan = plan(&name, roster, strategy, &settings)?;
        let Some(template) = template else { return Err(SpawnError::NoWorkers { pool: name }) };
        let callbacks = callbacks(on_rejected, on_shed);
        let router = Arc::new(Router::new(&settings, plan, callbacks)?);
        let (control, settings) = (Arc::clone(&router.control), Arc::new(settings));
        let (own_pool, desk) = (Arc::<OwnPool<M, R>>::default(), Arc::<Desk>::default());
        let hosts = PoolHosts {
            router: Arc::clone(&router),
            settings: Arc::clone(&settings),
            run: Arc::new(run),
            context,
            running: ColdLock::default(),
            own_pool: Arc::clone(&own_pool),
            desk: Arc::clone(&desk),
        };
        let last = Arc::clone(&router) as _;
        let staff = Staff::start(&name, settings, control, last, Box::new(hosts), desk, template)?;
        let pool = Pool(Arc::new(PoolInner { router, staff }));
        // Nothing else sets it.
        let _ = own_pool.set(pool.downgrade());
        Ok(pool)
    }
}

/// A factory of actors, which may panic when it is dropped.
fn factory<A: IntoActor>(
    make: impl Fn(&Worker) -> A + Send + Sync + 'static,
) -> Arc<Factory<A::Actor>> {
    let make = Contained::new(make);
    Arc::new(move |worker: &Worker| make(worker).into_actor())
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
    let roster = Arc::new(roster.build()?);
    check_strategy(&*strategy, roster.tracking(), settings.hand_over_within.is_some())?;
    if roster.members().is_empty() {
        return Err(SpawnError::NoWorkers { pool: name.to_owned() });
    }
    if name.contains('\0') {
        return Err(SpawnError::Name { name: name.to_owned() });
    }
    check_names(roster.members().iter().map(|member| member.worker.name()))?;
    warn_of_busy_waiting(name, settings.wait, roster.members().len());
    let strategy = Prepared::new(strategy, &roster);
    let stealing = settings.stealing.unwrap_or_else(|| strategy.lets_steal());
    Ok(Plan { roster, strategy, shadow: None, stealing, departed: Counts::default(), version: 0 })
}

/// What a router does with tasks that are refused or shed.
fn callbacks<M: Send + 'static, R: Send + 'static>(
    on_rejected: Option<Box<OnRefused<M>>>,
    on_shed: Option<Box<OnShed<M>>>,
) -> Callbacks<Envelope<M, R>> {
    // Each may panic when it is dropped, and two panics at once abort.
    let (on_rejected, on_shed) = (on_rejected.map(Contained::new), on_shed.map(Contained::new));
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

/// Hosts of one kind, with actors of one type.
struct PoolHosts<M, R> {
    router: Arc<Router<Envelope<M, R>>>,
    settings: Arc<Settings>,
    run: Arc<RunHost<M, R>>,
    /// What the threads enter.
    context: Option<Arc<dyn Enter>>,
    /// One for each thread, those that were given up included. Locked when a thread starts, and by
    /// shutdowns.
    running: ColdLock<Vec<Weak<RunningAskers<R>>>>,
    own_pool: Arc<OwnPool<M, R>>,
    desk: Arc<Desk>,
}

/// What a worker's thread runs, for a worker of this pool.
type RunHost<M, R> = dyn Fn(Station<M, R>, Arc<OwnPool<M, R>>) + Send + Sync;

impl<M: Send + 'static, R: Send + 'static> Hosts for PoolHosts<M, R> {
    fn create(&self, start: Start, overseer: Arc<dyn Overseer>) -> Box<dyn FnOnce() + Send> {
        let routing = self.router.routing().load();
        let inlet = routing.inlet_of(start.worker.id().short_id()).cloned();
        let Some(Inlet::Local(mailbox)) = inlet else {
            unreachable!("a worker's inlet is open before its thread starts")
        };
        let (router, settings) = (Arc::clone(&self.router), Arc::clone(&self.settings));
        let (own_pool, desk) = (Arc::clone(&self.own_pool), Arc::clone(&self.desk));
        let (run, context) = (Arc::clone(&self.run), self.context.clone());
        let running = Arc::new(RunningAskers::new(settings.slots));
        let mut all_running = self.running.lock();
        all_running.retain(|running| running.strong_count() > 0);
        all_running.push(Arc::downgrade(&running));
        drop(all_running);
        Box::new(move || {
            enter::run_inside(context.as_deref(), || {
                let station =
                    Station::new(start, router, &mailbox, running, desk, settings, overseer);
                run(station, own_pool);
            });
        })
    }

    fn move_free_tasks(&self, worker: ShortId) {
        self.router.move_free_tasks(worker);
    }

    fn owe(&self, worker: Option<ShortId>) -> bool {
        let routing = self.router.routing().load();
        let owes = |inlet: &Inlet<_>| inlet.mailbox().is_some_and(|mailbox| mailbox.owed() > 0);
        match worker {
            Some(worker) => routing.inlet_of(worker).is_some_and(owes),
            None => routing.inlets.iter().any(owes),
        }
    }

    fn cancel_tasks(&self) {
        // Not under the lock: waking an asker runs the user's code.
        let running = self.running.lock().clone();
        let abandon = || {
            let running = running.iter().filter_map(Weak::upgrade);
            running.for_each(|running| running.abandon());
        };
        // First, as handlers may return when they see that they are cancelled; and again, for tasks that
        // have started meanwhile.
        abandon();
        self.router.cancel_queued();
        abandon();
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
