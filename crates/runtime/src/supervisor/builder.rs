use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use raddle_sync::lock::ColdLock;
use raddle_sync::{channel, thread, time};

use super::Supervisor;
use super::error::SuperviseError;
use super::family::Family;
use super::keeper::{Keeper, Start};
use super::strategy::SupervisionStrategy;
use super::until::Until;
use crate::actor::StartError;
use crate::pool::Pool;
use crate::restart::{Backoff, RestartHistory, RestartLimit, Restarts};

/// Builds a [`Supervisor`].
#[must_use = "a supervisor is created by `start`"]
pub struct SupervisorBuilder {
    strategy: SupervisionStrategy,
    restarts: Restarts,
    drain: Duration,
    names: Vec<String>,
    starts: Vec<Box<Start>>,
}

impl Supervisor {
    /// Starts building a supervisor.
    pub fn builder() -> SupervisorBuilder {
        SupervisorBuilder {
            strategy: SupervisionStrategy::default(),
            restarts: Restarts::default(),
            drain: Duration::from_secs(5),
            names: Vec::new(),
            starts: Vec::new(),
        }
    }
}

impl SupervisorBuilder {
    /// Sets which children are restarted when one has failed; that one alone by default.
    pub fn strategy(mut self, strategy: SupervisionStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Limits the failures of all children together; without a limit by default. At the next failure
    /// the supervisor gives up.
    pub fn limit(mut self, limit: RestartLimit) -> Self {
        self.restarts = self.restarts.limit(limit);
        self
    }

    /// Sets how long to wait before pools are restarted. A row of failures ends when a pool fails
    /// that had run a task without a panic.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.restarts = self.restarts.backoff(backoff);
        self
    }

    /// Sets how long a restart, or giving up, waits for the tasks of all the pools that it shuts down;
    /// 5 seconds by default. Tasks that have not started by then are cancelled, and their messages
    /// kept.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Adds a child, which starts after those added before. `start` is called by
    /// [`start`](Self::start), and on the supervisor's thread for each restart. Build its pool with
    /// [`OnRetired::Close`](crate::OnRetired::Close) and a limit of its workers' [`Restarts`]:
    /// otherwise it hardly ever fails.
    pub fn child<M, R, E>(
        mut self,
        name: impl Into<String>,
        mut start: impl FnMut() -> Result<Pool<M, R>, E> + Send + 'static,
    ) -> Self
    where
        M: Send + 'static,
        R: Send + 'static,
        E: Into<StartError>,
    {
        self.names.push(name.into());
        self.starts.push(Box::new(move || Ok(Arc::new(start().map_err(E::into)?))));
        self
    }

    /// Starts the children in the order in which they were added, on the caller's thread, and then
    /// the supervisor's own thread.
    ///
    /// # Errors
    /// If a setting is out of bounds, a child's start fails or panics, or the thread could not be
    /// created. The children that had started are then shut down, the last one first.
    pub fn start(self) -> Result<Supervisor, SuperviseError> {
        let Self { strategy, restarts, drain, names, starts } = self;
        restarts.validate()?;
        if names.is_empty() {
            return Err(SuperviseError::NoChildren);
        }
        let mut seen = HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(SuperviseError::NameTaken(name.clone()));
        }
        let family = Arc::new(Family::new(names.clone()));
        let undo = |error| {
            family.stop_all(Until::after(Some(drain)));
            Err(error)
        };
        let mut keeper = Keeper {
            family: Arc::clone(&family),
            starts,
            strategy,
            history: RestartHistory::new(restarts, fastrand::u64(..)),
            drain,
            origin: time::now(),
            due: None,
        };
        for (index, child) in names.into_iter().enumerate() {
            if let Err(source) = keeper.start(index) {
                return undo(SuperviseError::Start { child, source });
            }
        }
        let (alive, ended) = channel::bounded(1);
        let run = move || {
            keeper.run();
            drop(alive);
        };
        match thread::Builder::new().name("raddle-supervisor".into()).spawn(run) {
            Ok(thread) => Ok(Supervisor {
                keeper: thread.thread().id(),
                thread: ColdLock::new(Some(thread)),
                family,
                ended,
            }),
            Err(source) => undo(SuperviseError::Thread(source)),
        }
    }
}

impl fmt::Debug for SupervisorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorBuilder")
            .field("strategy", &self.strategy)
            .field("children", &self.names)
            .finish_non_exhaustive()
    }
}
