//! The supervisor's thread: notices failed pools and starts them anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle_core::nanos;

use super::child::Supervised;
use super::event::SupervisorEventKind;
use super::family::{Family, Over, Phase};
use super::{SupervisionStrategy, Until};
use crate::panics;
use crate::restart::{Cause, Decision, RestartHistory, RetireReason};

/// Starts a child's pool.
pub(super) type Start = dyn FnMut() -> Result<Arc<dyn Supervised>, String> + Send;

/// The supervisor as its thread has it.
pub(super) struct Keeper {
    pub(super) family: Arc<Family>,
    pub(super) starts: Vec<Box<Start>>,
    pub(super) strategy: SupervisionStrategy,
    pub(super) history: RestartHistory,
    /// How long a restart waits for the tasks of the pools that it replaces.
    pub(super) drain: Duration,
    /// When `now` was 0.
    pub(super) origin: Instant,
    /// When those that have no pool are to be started.
    pub(super) due: Option<u64>,
}

impl Keeper {
    /// Runs until the supervisor is shut down or gives up.
    pub(super) fn run(mut self) {
        while self.tend().is_ok() {
            // A pool that closes leaves a token.
            let left = self.due.map(|due| due.saturating_sub(self.now()));
            self.family.wait(left.map(Duration::from_nanos));
        }
        // What the closures hold is the user's.
        panics::contain(|| drop(self.starts));
    }

    fn now(&self) -> u64 {
        nanos(self.origin.elapsed())
    }

    /// Looks for pools that have failed and starts what is due.
    fn tend(&mut self) -> Result<(), Over> {
        for index in 0..self.starts.len() {
            let Some(pool) = self.family.serving(index).filter(|pool| pool.is_closed()) else {
                continue;
            };
            // Not one that a shutdown has closed meanwhile.
            self.family.check_running()?;
            self.family.tell(index, SupervisorEventKind::Failed);
            let counts = pool.standing().account.counts;
            if counts.completed + counts.failed > 0 {
                self.history.succeeded();
            }
            drop(pool);
            self.fail(index, Cause::Panicked)?;
        }
        if self.due.take_if(|due| *due <= nanos(self.origin.elapsed())).is_some() {
            self.start_those_down()?;
        }
        self.family.check_running()
    }

    /// The child at `index` has failed: shuts down the pools of those affected, and puts their
    /// start off.
    fn fail(&mut self, index: usize, cause: Cause) -> Result<(), Over> {
        let now = self.now();
        match self.history.next(cause, now) {
            Decision::Restart { after } => {
                self.due = self.due.max(Some(now.saturating_add(after)));
            }
            Decision::Retire(reason) => return self.give_up(index, reason),
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
            tracing::error!(%reason, "the supervisor gives up");
            self.family.stop_all(Until::after(Some(self.drain)));
            self.family.tell(index, SupervisorEventKind::GaveUp { reason });
        }
        Err(Over)
    }

    /// Starts those that have no pool, in order, until one fails to that those after it may need.
    fn start_those_down(&mut self) -> Result<(), Over> {
        for index in 0..self.starts.len() {
            if !self.family.begin_start(index)? {
                continue;
            }
            match panics::catch(&mut self.starts[index]).and_then(|started| started) {
                Ok(pool) => self.family.install(index, pool),
                Err(message) => {
                    self.family.end_start();
                    self.family.tell(index, SupervisorEventKind::StartFailed { message });
                    self.fail(index, Cause::FailedStart)?;
                    if self.strategy != SupervisionStrategy::OneForOne {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
