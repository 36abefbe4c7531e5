use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle_sync::{channel, thread};

use super::child::Supervised;
use super::family::Family;
use super::keeper::{Keeper, Start};
use super::{SuperviseError, SupervisionStrategy, Supervisor, Until};
use crate::actor::StartError;
use crate::restart::{Backoff, RestartHistory, RestartLimit, Restarts};
use crate::{Actor, Pool, panics};

/// Describes a [`Supervisor`] and starts it.
#[must_use = "a supervisor is made by `start`"]
pub struct SupervisorBuilder {
    strategy: SupervisionStrategy,
    restarts: Restarts,
    drain: Duration,
    names: Vec<String>,
    starts: Vec<Box<Start>>,
}

impl SupervisorBuilder {
    pub(super) fn new() -> Self {
        Self {
            strategy: SupervisionStrategy::default(),
            restarts: Restarts::default(),
            drain: Duration::from_secs(5),
            names: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// Sets which children are started anew when one has failed; that one alone by default.
    pub fn strategy(mut self, strategy: SupervisionStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets how many failures of all children together there may be; without a limit by default.
    /// The next one makes the supervisor give up.
    pub fn limit(mut self, limit: RestartLimit) -> Self {
        self.restarts = self.restarts.limit(limit);
        self
    }

    /// Sets how long to wait before pools are started anew; the default [`Backoff`] otherwise. A
    /// row ends when a pool fails that had run a task without a panic.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.restarts = self.restarts.backoff(backoff);
        self
    }

    /// Sets how long a restart, or giving up, waits for the tasks of the pools that it shuts down,
    /// for all of them together; 5 seconds by default. Tasks that were not started by then are
    /// cancelled, and their messages kept.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Adds a child, which is started after those added before. `start` is called by
    /// [`start`](Self::start), and again on the supervisor's thread for each restart. Its pool is
    /// to be built with [`OnRetired::Close`](crate::OnRetired::Close) and a limit of its workers'
    /// [`Restarts`]: another one hardly ever fails.
    pub fn child<A: Actor, E: Into<StartError>>(
        mut self,
        name: impl Into<String>,
        mut start: impl FnMut() -> Result<Pool<A>, E> + Send + 'static,
    ) -> Self {
        self.names.push(name.into());
        self.starts.push(Box::new(move || match start() {
            Ok(pool) => Ok(Arc::new(pool) as Arc<dyn Supervised>),
            Err(error) => Err(error.into().to_string()),
        }));
        self
    }

    /// Starts the children in the order in which they were added, on the caller's thread, and then
    /// the supervisor's own thread.
    ///
    /// # Errors
    /// When the description is wrong, a child's start fails or panics, or a thread could not be
    /// had; then the children that were started are shut down, the last one first.
    pub fn start(self) -> Result<Supervisor, SuperviseError> {
        let Self { strategy, restarts, drain, names, mut starts } = self;
        restarts.validate()?;
        if names.is_empty() {
            return Err(SuperviseError::NoChildren);
        }
        if let Some(at) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
            return Err(SuperviseError::NameTaken(names[at].clone()));
        }
        let family = Arc::new(Family::new(names.iter().cloned()));
        let undo = |error| {
            family.stop_all(Until::after(Some(drain)));
            Err(error)
        };
        for (index, (child, start)) in names.into_iter().zip(&mut starts).enumerate() {
            match panics::catch(start).and_then(|started| started) {
                Ok(pool) => family.install_first(index, pool),
                Err(message) => return undo(SuperviseError::Start { child, message }),
            }
        }
        let history = RestartHistory::new(restarts, fastrand::u64(..));
        let origin = Instant::now();
        let keeper = Keeper {
            family: Arc::clone(&family),
            starts,
            strategy,
            history,
            drain,
            origin,
            due: None,
        };
        let (alive, ended) = channel::bounded(1);
        let run = move || {
            keeper.run();
            drop(alive);
        };
        match thread::Builder::new().name("raddle-supervisor".into()).spawn(run) {
            Ok(thread) => Ok(Supervisor::new(family, thread, ended)),
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
