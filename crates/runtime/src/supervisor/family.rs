//! The state that a supervisor and its thread share.

use std::sync::Arc;
use std::time::Duration;

use raddle_sync::lock::ColdLock;

use super::Until;
use super::child::{Child, Supervised};
use super::event::{SupervisorEvent, SupervisorEventKind};
use super::{ChildError, ShutdownReport, error};
use crate::log;
use crate::mailbox::Notify;
use crate::panics;
use crate::subscription::Subscribers;

pub(super) struct Family {
    /// The names of the children.
    names: Vec<String>,
    /// Locked by look-ups and restarts.
    pub(super) state: ColdLock<State>,
    pub(super) subscribers: Subscribers<SupervisorEvent>,
    /// Wakes the supervisor's thread.
    pub(super) notify: Notify,
}

/// Changed in short steps: never locked while the user's code runs, or a pool starts or ends.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) children: Vec<Child>,
    /// The threads that may announce something.
    announcing: u32,
    /// The position of the child whose start is running.
    pub(super) starting: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// The supervisor gave up.
    GaveUp,
    /// The program shut it down.
    ShutDown,
}

/// The supervision has ended.
pub(super) struct Over;

/// A thread that may announce something. The last one that ends after the supervision ends the
/// subscriptions.
#[must_use]
pub(super) struct Announcing<'f>(&'f Family);

impl Drop for Announcing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.announcing -= 1;
        let is_last = state.announcing == 0 && state.check_running().is_err();
        drop(state);
        if is_last {
            self.0.subscribers.close();
        }
    }
}

impl State {
    fn check_running(&self) -> Result<(), Over> {
        if self.phase == Phase::Running { Ok(()) } else { Err(Over) }
    }
}

impl Family {
    pub(super) fn new(names: Vec<String>) -> Self {
        let children = names.iter().map(|_| Child::default()).collect();
        let state = State { phase: Phase::Running, children, announcing: 0, starting: None };
        let state = ColdLock::new(state);
        Self { names, state, subscribers: Subscribers::default(), notify: Notify::default() }
    }

    /// The index of the child with this name.
    pub(super) fn position(&self, name: &str) -> Result<usize, ChildError> {
        error::position(name, self.names.iter())
    }

    /// The pool of the child at `index`, unless it was shut down.
    pub(super) fn serving(&self, index: usize) -> Option<Arc<dyn Supervised>> {
        let state = self.state.lock();
        let child = &state.children[index];
        child.pool.clone().filter(|_| child.serving)
    }

    /// Ends the supervision, unless it was shut down before. Returns the phase until now.
    pub(super) fn enter(&self, phase: Phase) -> Phase {
        let mut state = self.state.lock();
        let before = state.phase;
        if before != Phase::ShutDown {
            state.phase = phase;
        }
        before
    }

    pub(super) fn check_running(&self) -> Result<(), Over> {
        self.state.lock().check_running()
    }

    /// Notes that the child at `index` starts now, if it has no pool. Returns whether it does.
    pub(super) fn begin_start(&self, index: usize) -> Result<bool, Over> {
        let mut state = self.state.lock();
        state.check_running()?;
        let is_down = state.children[index].pool.is_none();
        if is_down {
            state.starting = Some(index);
        }
        Ok(is_down)
    }

    /// Installs a pool of the child at `index`, or shuts it down at once if the supervision has ended.
    pub(super) fn install(&self, index: usize, pool: Arc<dyn Supervised>) {
        pool.on_close(self.notify.clone());
        let mut state = self.state.lock();
        state.starting = None;
        // Ending the supervision stops what is installed: it finds this pool, or is seen here.
        let running = state.check_running().is_ok();
        let child = &mut state.children[index];
        child.pool = Some(pool);
        child.serving = running;
        child.pools += 1;
        let restarts = child.restarts();
        drop(state);
        if !running {
            self.stop(index, Until::after(Some(Duration::ZERO)));
        } else if restarts > 0 {
            self.announce(index, SupervisorEventKind::Restarted { restarts });
        }
    }

    /// Shuts down the pool of the child at `index`, if it has one. Several threads may call this: the
    /// shortest limit counts.
    pub(super) fn stop(&self, index: usize, until: Until) {
        let mut state = self.state.lock();
        let child = &mut state.children[index];
        let Some(pool) = child.pool.clone() else { return };
        let was_serving = std::mem::replace(&mut child.serving, false);
        drop(state);
        pool.shut_down(until);
        if was_serving {
            self.announce(index, SupervisorEventKind::Stopped);
        }
    }

    /// Shuts down all pools, the last one first.
    pub(super) fn stop_all(&self, until: Until) {
        for index in (0..self.names.len()).rev() {
            self.stop(index, until);
        }
    }

    /// Makes room for a new pool of the child at `index`, whose last one was shut down.
    pub(super) fn replace(&self, index: usize) -> Result<(), Over> {
        let mut state = self.state.lock();
        // A shutdown waits for the pools that it finds, and must find them again.
        state.check_running()?;
        let over = state.children[index].replace();
        drop(state);
        panics::contain(|| drop(over));
        Ok(())
    }

    /// Reports once everything is shut down.
    pub(super) fn report(&self) -> ShutdownReport {
        let mut state = self.state.lock();
        let starting = state.starting.map(|index| self.names[index].clone());
        let children = self.names.iter().cloned().zip(&mut state.children);
        let children = children.map(|(name, child)| child.report(name)).collect();
        ShutdownReport { children, starting }
    }

    /// Notes that the calling thread may announce something until it drops the returned value.
    pub(super) fn announcing(&self) -> Announcing<'_> {
        self.state.lock().announcing += 1;
        Announcing(self)
    }

    /// Announces what happened to the child at `index`.
    pub(super) fn announce(&self, index: usize, kind: SupervisorEventKind) {
        let child = self.names[index].clone();
        log::info!(child, "{kind}");
        self.subscribers.send(&SupervisorEvent { child, kind });
    }
}
