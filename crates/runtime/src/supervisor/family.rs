//! What a supervisor's handle and its thread share.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use raddle_sync::channel::{self, Receiver, Sender};

use super::Until;
use super::child::{Child, Supervised};
use super::event::{SupervisorEvent, SupervisorEventKind};
use super::{ChildError, ShutdownReport};
use crate::panics;
use crate::subscription::Subscribers;

pub(super) struct Family {
    #[allow(clippy::disallowed_types, reason = "locked by look-ups and restarts, not by tasks")]
    state: std::sync::Mutex<State>,
    pub(super) subscribers: Subscribers<SupervisorEvent>,
    /// With room for one token: the supervisor is to look around.
    token: (Sender<()>, Receiver<()>),
}

/// Changed in short steps: never locked while the user's code runs, a pool starts or ends.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) children: Vec<Child>,
    /// The position of the child whose start is running.
    pub(super) starting: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// By the supervisor's own decision.
    GaveUp,
    /// As it was asked for.
    ShutDown,
}

/// The supervision is over.
pub(super) struct Over;

impl State {
    fn check_running(&self) -> Result<(), Over> {
        if self.phase == Phase::Running { Ok(()) } else { Err(Over) }
    }

    /// The child of this name.
    pub(super) fn child(&mut self, name: &str) -> Result<&mut Child, ChildError> {
        match self.children.iter().position(|child| child.name == name) {
            Some(index) => Ok(&mut self.children[index]),
            None => Err(ChildError::NotFound {
                name: name.to_owned(),
                children: self.children.iter().map(|child| child.name.clone()).collect(),
            }),
        }
    }
}

impl Family {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let state = State {
            phase: Phase::Running,
            children: names.into_iter().map(Child::new).collect(),
            starting: None,
        };
        Self {
            state: state.into(),
            subscribers: Subscribers::default(),
            token: channel::bounded(1),
        }
    }

    #[allow(clippy::disallowed_types, reason = "locked by look-ups and restarts, not by tasks")]
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the supervisor look around now.
    pub(super) fn look(&self) {
        // Where there is no room, a token is there.
        let _ = self.token.0.try_send(());
    }

    /// Waits until the supervisor is to look around, so long at the most.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        let _ = match limit {
            Some(limit) => self.token.1.recv_timeout(limit).is_ok(),
            None => self.token.1.recv().is_ok(),
        };
    }

    /// The pool of the child at `index`, unless it was shut down.
    pub(super) fn serving(&self, index: usize) -> Option<Arc<dyn Supervised>> {
        let state = self.state();
        let child = &state.children[index];
        child.pool.clone().filter(|_| child.serving)
    }

    /// Ends the supervision, for a reason that is stronger than one before; how it was till now.
    pub(super) fn enter(&self, phase: Phase) -> Phase {
        let mut state = self.state();
        let before = state.phase;
        if before != Phase::ShutDown {
            state.phase = phase;
        }
        before
    }

    pub(super) fn check_running(&self) -> Result<(), Over> {
        self.state().check_running()
    }

    /// Says that the start of the child at `index` runs from now on, if it has no pool.
    pub(super) fn begin_start(&self, index: usize) -> Result<bool, Over> {
        let mut state = self.state();
        state.check_running()?;
        let is_down = state.children[index].pool.is_none();
        if is_down {
            state.starting = Some(index);
        }
        Ok(is_down)
    }

    /// The start has failed.
    pub(super) fn end_start(&self) {
        self.state().starting = None;
    }

    /// Gives the child at `index` its first pool.
    pub(super) fn install_first(&self, index: usize, pool: Arc<dyn Supervised>) {
        pool.on_close(self.token.0.clone());
        self.state().children[index].serve(pool);
    }

    /// Gives the child at `index` another pool; shuts that down at once when the supervision is
    /// over.
    pub(super) fn install(&self, index: usize, pool: Arc<dyn Supervised>) {
        pool.on_close(self.token.0.clone());
        let mut state = self.state();
        state.starting = None;
        // Who ends the supervision stops what is installed: it finds this pool, or is found here.
        let running = state.check_running().is_ok();
        let child = &mut state.children[index];
        child.serve(pool);
        child.serving = running;
        child.restarts += 1;
        let restarts = child.restarts;
        drop(state);
        if running {
            self.tell(index, SupervisorEventKind::Restarted { restarts });
        } else {
            self.stop(index, Until::after(Some(Duration::ZERO)));
        }
    }

    /// Shuts the pool of the child at `index` down, if it has one. May be called again, and by
    /// several threads: the shortest limit counts.
    pub(super) fn stop(&self, index: usize, until: Until) {
        let mut state = self.state();
        let child = &mut state.children[index];
        let Some(pool) = child.pool.clone() else { return };
        let was_serving = std::mem::replace(&mut child.serving, false);
        drop(state);
        let ended = pool.shut_down(until);
        if ended {
            let child = &mut self.state().children[index];
            // Unless it was replaced meanwhile.
            child.ended |= child.pool.as_ref().is_some_and(|last| Arc::ptr_eq(last, &pool));
        }
        if was_serving {
            self.tell(index, SupervisorEventKind::Stopped);
        }
    }

    /// Shuts all pools down, those that started last first.
    pub(super) fn stop_all(&self, until: Until) {
        let children = self.state().children.len();
        for index in (0..children).rev() {
            self.stop(index, until);
        }
    }

    /// Makes room for another pool of the child at `index`, whose last one was shut down.
    pub(super) fn replace(&self, index: usize) -> Result<(), Over> {
        let mut state = self.state();
        // A shutdown waits for the pools that it finds, and is to find them again.
        state.check_running()?;
        let over = state.children[index].replace();
        drop(state);
        panics::contain(|| drop(over));
        Ok(())
    }

    /// What there is to say once everything is shut down.
    pub(super) fn report(&self) -> ShutdownReport {
        let mut state = self.state();
        let starting = state.starting.map(|index| state.children[index].name.clone());
        ShutdownReport {
            children: state.children.iter_mut().map(Child::report).collect(),
            starting,
        }
    }

    /// Tells subscribers and the log of something that happened to the child at `index`.
    pub(super) fn tell(&self, index: usize, kind: SupervisorEventKind) {
        let child = self.state().children[index].name.clone();
        tracing::info!(child, "{kind}");
        self.subscribers.tell(&SupervisorEvent { child, kind });
    }
}
