//! The supervisor's thread: notices failed pools and restarts them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle_core::nanos;
use raddle_sync::time;

use super::child::Supervised;
use super::event::SupervisorEventKind;
use super::family::{Family, Over, Phase};
use super::{SupervisionStrategy, Until};
use crate::actor::StartError;
use crate::log;
use crate::panics;
use crate::restart::{Cause, RestartHistory, RetireReason};

/// Starts a child's pool.
pub(super) type Start = dyn FnMut() -> Result<Arc<dyn Supervised>, StartError> + Send;

/// The supervisor as its thread sees it.
pub(super) struct Keeper {
    pub(super) family: Arc<Family>,
    pub(super) starts: Vec<Box<Start>>,
    pub(super) strategy: SupervisionStrategy,
    pub(super) history: RestartHistory,
    /// How long a restart waits for the tasks of the pools that it replaces.
    pub(super) drain: Duration,
    /// When `now` was 0.
    pub(super) origin: Instant,
    /// When the children without a pool are due to start.
    pub(super) due: Option<u64>,
}

impl Keeper {
    /// Runs until the supervisor is shut down or gives up.
    pub(super) fn run(mut self) {
        let family = Arc::clone(&self.family);
        let announcing = family.announcing();
        while self.tend().is_ok() {
            // A pool that closes notifies this thread.
            let left = self.due.map(|due| due.saturating_sub(self.now()));
            self.family.notify.wait_timeout(left.map(Duration::from_nanos));
        }
        drop(announcing);
        // Dropping the closures runs the user's code.
        panics::contain(|| drop(self.starts));
    }

    fn now(&self) -> u64 {
        nanos(time::now().saturating_duration_since(self.origin))
    }

    /// Handles pools that have failed, and starts children that are due.
    fn tend(&mut self) -> Result<(), Over> {
        for index in 0..self.starts.len() {
            let Some(pool) = self.family.serving(index).filter(|pool| pool.is_closed()) else {
                continue;
            };
            // Unless a shutdown has closed it meanwhile.
            self.family.check_running()?;
            self.family.announce(index, SupervisorEventKind::Failed);
            let counts = pool.account().counts;
            if counts.completed + counts.failed > 0 {
                self.history.succeeded();
            }
            drop(pool);
            self.fail(index, Cause::Panicked)?;
        }
        let now = self.now();
        if self.due.take_if(|due| *due <= now).is_some() {
            self.start_those_down()?;
        }
        self.family.check_running()
    }

    /// Shuts down the pools that are affected by the failure of the child at `index`, and schedules
    /// their restart.
    fn fail(&mut self, index: usize, cause: Cause) -> Result<(), Over> {
        let now = self.now();
        match self.history.next(cause, now) {
            Ok(delay) => self.due = self.due.max(Some(now.saturating_add(delay))),
            Err(reason) => return self.give_up(index, reason),
        }
        let until = Until::after(Some(self.drain));
        let affected = self.strategy.affected(index, self.starts.len());
        for index in affected.rev() {
            self.family.stop(index, until);
            self.family.replace(index)?;
        }
        Ok(())
    }

    fn give_up(&self, index: usize, reason: RetireReason) -> Result<(), Over> {
        if self.family.enter(Phase::GaveUp) == Phase::Running {
            log::error!(%reason, "the supervisor gives up");
            self.family.stop_all(Until::after(Some(self.drain)));
            self.family.announce(index, SupervisorEventKind::GaveUp { reason });
        }
        Err(Over)
    }

    /// Starts the children without a pool, in order, up to one that fails and that later ones may
    /// need.
    fn start_those_down(&mut self) -> Result<(), Over> {
        for index in 0..self.starts.len() {
            if !self.family.begin_start(index)? {
                continue;
            }
            let Err(error) = self.start(index) else { continue };
            self.family.state.lock().starting = None;
            let message = panics::text(error);
            self.family.announce(index, SupervisorEventKind::StartFailed { message });
            self.fail(index, Cause::FailedStart)?;
            if self.strategy != SupervisionStrategy::OneForOne {
                break;
            }
        }
        Ok(())
    }

    /// Starts a pool of the child at `index`.
    pub(super) fn start(&mut self, index: usize) -> Result<(), StartError> {
        let pool = panics::catch(&mut self.starts[index])??;
        self.family.install(index, pool);
        Ok(())
    }
}
