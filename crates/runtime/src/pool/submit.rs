//! How messages become tasks, and refused tasks messages again.

use raddle_core::TaskProfile;
use raddle_strategies::Strategy;

use crate::blocking;
use crate::deadline::NEVER;
use crate::envelope::Envelope;
use crate::error::{Refusal, SendError};
use crate::reply::ReplySender;
use crate::router::{Placed, Router, Routing, Sent};
use crate::settings::Policy;
use crate::span::Caller;

/// Where a task of a pool went.
pub(super) type SentTask<M, R> = Sent<Envelope<M, R>>;

/// The version of a routing's roster, if the calling thread runs a worker.
#[inline(always)]
pub(super) fn version_on_worker<T>(routing: &Routing<T>) -> Option<u64> {
    blocking::is_on_worker().then(|| routing.roster.version())
}

impl<M: Send + 'static, R: Send + 'static> Router<Envelope<M, R>> {
    /// A task without options, submitted now.
    #[inline(always)]
    fn plain(&self, msg: M, reply: Option<ReplySender<R>>) -> (TaskProfile, Envelope<M, R>) {
        let profile = TaskProfile::default().submitted_at(self.clock.now());
        (profile, Envelope::new(msg, reply, &profile, NEVER))
    }

    /// Sends a message without options and without an asker.
    #[inline(always)]
    pub(super) fn tell_plain(
        &self,
        routing: &Routing<Envelope<M, R>>,
        msg: M,
        policy: &Policy,
    ) -> Result<(), SendError<M>> {
        if let Some(caller) = Caller::of_this_thread() {
            return self.tell_traced(routing, msg, policy, caller);
        }
        let (profile, envelope) = self.plain(msg, None);
        match self.send(routing, None, &profile, envelope, policy) {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// [`tell_plain`](Self::tell_plain) within a span. Out of line, so that others pay for nothing.
    #[cold]
    fn tell_traced(
        &self,
        routing: &Routing<Envelope<M, R>>,
        msg: M,
        policy: &Policy,
        caller: Caller,
    ) -> Result<(), SendError<M>> {
        let (profile, envelope) = self.plain(msg, None);
        self.send_traced(routing, None, &profile, envelope.traced(caller), policy).map(drop)
    }

    /// Sends a message like [`tell_plain`](Self::tell_plain), and never blocks; not within a span.
    #[inline(always)]
    pub(super) fn send_plain(
        &self,
        routing: &Routing<Envelope<M, R>>,
        msg: M,
        reply: Option<ReplySender<R>>,
    ) -> Result<SentTask<M, R>, SendError<M>> {
        let (profile, envelope) = self.plain(msg, reply);
        self.send_in_line(routing, None, &profile, envelope, &self.policy)
    }

    /// Sends a task within a span. Out of line, so that others pay for nothing.
    #[cold]
    pub(super) fn send_traced(
        &self,
        routing: &Routing<Envelope<M, R>>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<M, R>,
        policy: &Policy,
    ) -> Result<Placed, SendError<M>> {
        let sent = self.dispatch_out_of_line(routing, strategy, profile, envelope, policy, false);
        sent.map(Sent::on_thread).map_err(|error| self.return_message(error))
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

    /// As [`send`](Self::send), but never blocks.
    #[inline(always)]
    pub(super) fn send_in_line(
        &self,
        routing: &Routing<Envelope<M, R>>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<M, R>,
        policy: &Policy,
    ) -> Result<SentTask<M, R>, SendError<M>> {
        match self.dispatch_in_line(routing, strategy, profile, envelope, policy) {
            Ok(sent) => Ok(sent),
            Err(error) => Err(self.return_message(error)),
        }
    }

    /// Refuses a message that no dispatch has seen.
    #[cold]
    pub(super) fn refuse(&self, refusal: Refusal, msg: M) -> SendError<M> {
        let envelope = Envelope::new(msg, None, &TaskProfile::default(), NEVER);
        self.return_message(SendError::new(refusal, envelope))
    }

    /// Keeps the message of a task that was not sent before the pool closed.
    #[cold]
    pub(super) fn keep_message(&self, msg: M) {
        self.keep_unfinished(Envelope::new(msg, None, &TaskProfile::default(), NEVER));
    }

    #[cold]
    pub(crate) fn return_message(&self, error: SendError<Envelope<M, R>>) -> SendError<M> {
        self.refused(error).map(|envelope| envelope.msg)
    }
}
