//! How messages become tasks, and refused tasks messages again.

use raddle_core::TaskProfile;
use raddle_strategies::Strategy;

use crate::deadline::NEVER;
use crate::envelope::Envelope;
use crate::error::{Refusal, SendError};
use crate::reply::ReplySender;
use crate::router::{Placed, Router, Routing};
use crate::settings::Policy;

impl<M: Send + 'static, R: Send + 'static> Router<Envelope<M, R>> {
    /// Sends a message without anything that routing and the worker could know about it.
    #[inline(always)]
    pub(super) fn send_plain(
        &self,
        routing: &Routing<Envelope<M, R>>,
        msg: M,
        reply: Option<ReplySender<R>>,
    ) -> Result<Placed, SendError<M>> {
        let profile = TaskProfile::default().submitted_at(self.clock.now());
        let envelope = Envelope::new(msg, reply, &profile, NEVER);
        self.send(routing, None, &profile, envelope, &self.policy)
    }

    #[inline(always)]
    pub(super) fn send(
        &self,
        routing: &Routing<Envelope<M, R>>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<M, R>,
        policy: &Policy,
    ) -> Result<Placed, SendError<M>> {
        match self.dispatch(routing, strategy, profile, envelope, policy) {
            Ok(placed) => Ok(placed),
            Err(error) => Err(self.return_message(error)),
        }
    }

    /// Refuses a message that no dispatch has seen.
    #[cold]
    pub(super) fn refuse(&self, refusal: Refusal, msg: M) -> SendError<M> {
        let envelope = Envelope::new(msg, None, &TaskProfile::default(), NEVER);
        self.return_message(SendError::new(refusal, envelope))
    }

    #[cold]
    fn return_message(&self, error: SendError<Envelope<M, R>>) -> SendError<M> {
        self.refused(error).map(|envelope| envelope.msg)
    }
}
