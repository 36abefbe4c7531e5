use std::sync::Arc;

use raddle_core::TaskProfile;
use raddle_strategies::Strategy;

use crate::envelope::Envelope;
use crate::error::{Refusal, SendError};
use crate::panics;
use crate::reply::ReplySender;
use crate::router::{Placed, Router, Routing};
use crate::settings::Policy;

/// Receives the message of each refused task, before it returns to the caller, and the reason.
pub(super) type OnRejected<M> = dyn Fn(&M, &Refusal) + Send + Sync;

/// Sends a pool's tasks, and counts those that are refused. Timers and hedges hold a clone.
pub(super) struct Submitter<M, R> {
    pub(super) router: Arc<Router<Envelope<M, R>>>,
    on_rejected: Option<Arc<OnRejected<M>>>,
}

impl<M: Send + 'static, R: Send + 'static> Submitter<M, R> {
    pub(super) fn new(
        router: Arc<Router<Envelope<M, R>>>,
        on_rejected: Option<Arc<OnRejected<M>>>,
    ) -> Self {
        Self { router, on_rejected }
    }

    /// Sends a message of which nothing else is known.
    #[inline(always)]
    pub(super) fn submit_plain(
        &self,
        routing: &Routing<Envelope<M, R>>,
        msg: M,
        reply: Option<ReplySender<R>>,
    ) -> Result<Placed, SendError<M>> {
        let profile = TaskProfile::default().submitted_at(self.router.clock.now());
        let envelope = Envelope::new(msg, reply, &profile, crate::deadline::NEVER);
        self.submit(routing, None, &profile, envelope, &self.router.policy)
    }

    /// Sends a task.
    ///
    /// # Errors
    /// Returns the message if the task was not admitted; it is counted as rejected.
    #[inline(always)]
    pub(super) fn submit(
        &self,
        routing: &Routing<Envelope<M, R>>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<M, R>,
        policy: &Policy,
    ) -> Result<Placed, SendError<M>> {
        match self.router.dispatch(routing, strategy, profile, envelope, policy) {
            Ok(placed) => Ok(placed),
            Err(error) => Err(self.refused(error.map(|envelope| envelope.msg))),
        }
    }

    /// Counts a refused task on its way back to the caller.
    #[cold]
    pub(super) fn refused(&self, mut error: SendError<M>) -> SendError<M> {
        self.router.ledger.reject();
        if let Some(on_rejected) = &self.on_rejected {
            let (msg, refusal) = error.parts();
            panics::contain(|| on_rejected(msg, refusal));
        }
        error
    }
}

impl<M, R> Clone for Submitter<M, R> {
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router), on_rejected: self.on_rejected.clone() }
    }
}
