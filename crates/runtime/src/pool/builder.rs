use std::marker::PhantomData;
use std::sync::Arc;

use raddle_core::sync::channel;
use raddle_core::{Clock, Roster, RosterBuilder, Tracking, Worker, WorkerSpec};
use raddle_strategies::{BalancerConfig, ConfigError, LeastLoaded, Strategy};

use super::routing::Routing;
use super::shared::Shared;
use super::threads::{Alive, Threads};
use super::{Pool, PoolInner, housekeeper};
use crate::envelope::Envelope;
use crate::mailbox::{self, Inbox, Overflow};
use crate::worker_thread::{Factory, WorkerThread};
use crate::{Actor, SpawnError};

/// Describes a [`Pool`] and spawns it.
#[derive(Debug)]
#[must_use = "a pool is made by `spawn`"]
pub struct PoolBuilder<A> {
    name: String,
    workers: usize,
    roster: RosterBuilder,
    strategy: Result<Arc<dyn Strategy>, ConfigError>,
    capacity: usize,
    overflow: Overflow,
    actor: PhantomData<fn() -> A>,
}

impl<A: Actor> PoolBuilder<A> {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            workers: 0,
            roster: Roster::builder(),
            strategy: Ok(Arc::new(LeastLoaded::new())),
            capacity: 1024,
            overflow: Overflow::Block,
            actor: PhantomData,
        }
    }

    /// Adds a worker.
    pub fn worker(mut self, spec: WorkerSpec) -> Self {
        self.roster = self.roster.worker(spec);
        self.workers += 1;
        self
    }

    /// Adds `count` workers, named `<name>-0`, `<name>-1` and so on.
    pub fn workers(mut self, count: usize, spec: WorkerSpec) -> Self {
        self.roster = self.roster.workers(count, spec);
        self.workers += count;
        self
    }

    /// Sets the strategy; [`LeastLoaded`] by default.
    pub fn strategy(mut self, strategy: impl Strategy + 'static) -> Self {
        self.strategy = Ok(Arc::new(strategy));
        self
    }

    /// Sets the strategy and the tracking from a configuration. What is wrong with it is
    /// [`spawn`](Self::spawn)'s error.
    pub fn balancer(mut self, config: BalancerConfig) -> Self {
        self.strategy = config.build().map(|balancer| Arc::from(balancer.into_strategy()));
        self.tracking(config.tracking())
    }

    /// Sets what is learnt from each task.
    pub fn tracking(mut self, tracking: Tracking) -> Self {
        self.roster = self.roster.tracking(tracking);
        self
    }

    /// Sets each worker's mailbox: how many tasks it holds, at least 1, and what happens when it
    /// is full. 1024 and [`Overflow::Block`] by default.
    pub fn mailbox(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.capacity = capacity;
        self.overflow = overflow;
        self
    }

    /// Sets the clock; the machine's by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.roster = self.roster.clock(clock);
        self
    }

    /// Spawns a thread a worker, named `raddle-<pool>-<worker>`, makes each worker's actor on it by
    /// `make`, and returns when all are ready. `make` is called again after a panic.
    ///
    /// # Errors
    /// When the description is wrong, a thread could not be had or an actor could not be made;
    /// then no thread is left.
    pub fn spawn(
        self,
        make: impl Fn(&Worker) -> A + Send + Sync + 'static,
    ) -> Result<Pool<A>, SpawnError> {
        if self.workers == 0 {
            return Err(SpawnError::NoWorkers { pool: self.name });
        }
        if self.capacity == 0 {
            return Err(SpawnError::Mailbox);
        }
        let strategy = self.strategy?;
        let roster = Arc::new(self.roster.build()?);
        let names = roster.workers().iter().map(|member| member.worker.name());
        if let Some(name) = names.chain([&*self.name]).find(|name| name.contains('\0')) {
            return Err(SpawnError::Name { name: name.to_owned() });
        }
        let (mailboxes, inboxes): (Vec<_>, Vec<_>) = roster
            .workers()
            .iter()
            .map(|member| mailbox::bounded(Arc::clone(&member.worker), self.capacity))
            .unzip();
        strategy.refresh(&roster);
        let routing =
            Routing { roster: Arc::clone(&roster), mailboxes: mailboxes.into(), strategy };
        let shared = Arc::new(Shared::new(&self.name, self.overflow, routing));
        let (threads, alive) = Threads::new();
        let (stop, stopped) = channel::bounded(1);
        // From here on, dropping it closes the mailboxes and joins what was spawned.
        let pool = PoolInner { shared, threads, stop };
        pool.spawn_workers(&roster, inboxes, Arc::new(make), alive)?;
        let shared = Arc::clone(&pool.shared);
        let housekeeper = move || housekeeper::run(&shared, &stopped);
        pool.threads
            .spawn(format!("raddle-{}", self.name), housekeeper)
            .map_err(|source| SpawnError::Thread { worker: "housekeeper".into(), source })?;
        Ok(Pool::new(pool))
    }
}

impl<A: Actor> PoolInner<A> {
    /// Spawns a thread for each worker and waits until all actors are made.
    fn spawn_workers(
        &self,
        roster: &Roster,
        inboxes: Vec<Inbox<Envelope<A>>>,
        make: Arc<Factory<A>>,
        alive: Alive,
    ) -> Result<(), SpawnError> {
        let (report, reports) = channel::unbounded();
        for (member, inbox) in roster.workers().iter().zip(inboxes) {
            let worker = Arc::clone(&member.worker);
            let Some(recorder) = worker.recorder() else {
                unreachable!("the roster was made here, so its recorders are free")
            };
            let name = format!("raddle-{}-{}", self.shared.name, worker.name());
            let (make, cancelling) = (Arc::clone(&make), Arc::clone(&self.threads.cancelling));
            let (report, alive) = (report.clone(), alive.clone());
            let body = move || {
                let name = worker.name().to_owned();
                match WorkerThread::start(worker, inbox, recorder, make, cancelling) {
                    Ok(thread) => {
                        let _ = report.send(Ok(()));
                        drop(report);
                        thread.run();
                    }
                    Err(message) => {
                        let _ = report.send(Err(SpawnError::Actor { worker: name, message }));
                    }
                }
                drop(alive);
            };
            self.threads.spawn(name, body).map_err(|source| SpawnError::Thread {
                worker: member.worker.name().to_owned(),
                source,
            })?;
        }
        drop(report);
        roster.workers().iter().try_for_each(|_| reports.recv().unwrap_or(Ok(())))
    }
}
