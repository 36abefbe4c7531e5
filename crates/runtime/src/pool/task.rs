use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Capability, CapabilityError, Priority, TaskProfile, nanos};
use raddle_strategies::Strategy;

use super::hedging::Hedge;
use super::housekeeper::Job;
use super::routing::Loaded;
use super::shared::Shared;
use crate::context::Asker;
use crate::envelope::{Envelope, Label, NEVER};
use crate::mailbox::{Lane, Overflow};
use crate::panics::Contained;
use crate::reply::{self, ReplySender};
use crate::timer::TimerHandle;
use crate::{Actor, AskError, AskResult, SendError};

/// A task to be given: its message and what routing and the worker may know of it.
///
/// Made by [`Pool::task`](crate::Pool::task), ended by [`tell`](Self::tell), [`ask`](Self::ask)
/// or [`tell_after`](Self::tell_after).
#[must_use = "a task is given by `tell` or `ask`"]
pub struct TaskBuilder<'p, A: Actor> {
    shared: &'p Shared<A>,
    routing: Loaded<'p, A>,
    strategy: Option<&'p dyn Strategy>,
    msg: A::Msg,
    profile: TaskProfile,
    deadline: Option<Duration>,
    cancel_on_drop: bool,
    wrong: Option<CapabilityError>,
}

impl<'p, A: Actor> TaskBuilder<'p, A> {
    #[inline(always)]
    pub(super) fn new(shared: &'p Shared<A>, routing: Loaded<'p, A>, msg: A::Msg) -> Self {
        Self {
            shared,
            routing,
            strategy: None,
            msg,
            profile: TaskProfile::default(),
            deadline: None,
            cancel_on_drop: false,
            wrong: None,
        }
    }

    /// Asks for a worker of this capability, or a general one. A name is interned, which takes a
    /// shard lock: intern it once and pass the [`Capability`] where that counts.
    pub fn capability<C>(mut self, capability: C) -> Self
    where
        C: TryInto<Capability, Error: Into<CapabilityError>>,
    {
        match capability.try_into() {
            Ok(capability) => self.profile = self.profile.capability(capability),
            Err(error) => self.wrong = Some(error.into()),
        }
        self
    }

    /// The time from now after which the task is no longer worth starting: it then ends as
    /// [`Expired`](raddle_core::Outcome::Expired). The handler sees what is left.
    pub fn timeout(mut self, within: Duration) -> Self {
        self.deadline = Some(within);
        self
    }

    /// Tells how long the task is expected to run on a worker of the usual speed, for strategies
    /// that go by the work ahead of each worker ([`LeastWork`](raddle_strategies::LeastWork)). Zero
    /// is the same as not to tell.
    pub fn expected_duration(mut self, expected: Duration) -> Self {
        self.profile = self.profile.expected_duration(expected);
        self
    }

    /// Sets how urgent the task is. Tasks of one priority are run in the order given; of 8 that a
    /// worker takes while some of each wait, one at least is normal or has a key, and of 64, one is
    /// low. Control messages come before everything, are never refused for lack of room, and
    /// never move to another worker.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.profile = self.profile.priority(priority);
        self
    }

    /// Gives the task a key. Tasks of one key are run in the order in which they were given, by
    /// one worker, never two at a time; keys are spread over the workers that serve the task's
    /// capability by rendezvous hashing, in proportion to their weights. When workers come or go,
    /// only the keys move that must, and their new worker waits for the old one to end its tasks.
    ///
    /// A task with a key goes by no strategy, unless the pool's is
    /// [`BoundedHash`](raddle_strategies::BoundedHash) or another that
    /// [routes keys](Strategy::routes_keys): that picks a worker anew whenever no task of the key
    /// is left, so that one who has much to do is gone round. Then state that a worker keeps by
    /// key is a cache and no more.
    ///
    /// It has no priority but [`Control`](Priority::Control), which has no key. Keys whose hashes meet (one in a
    /// thousand) share their order. A handler that was given up as hung is not waited for.
    pub fn key(self, key: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let profile = self.profile.key(hasher.finish());
        Self { profile, ..self }
    }

    /// Lets this strategy pick the worker, for this task alone.
    pub fn strategy(mut self, strategy: &'p dyn Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Cancels the task when its [`Reply`](crate::Reply) is dropped before it is run; a handler
    /// that runs sees [`is_cancelled`](crate::Context::is_cancelled). Says nothing to a tell.
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancel_on_drop = true;
        self
    }

    /// Gives the task and wants no answer. Allocates nothing, a control message apart; waits only
    /// for room in a full mailbox, under [`Overflow::Block`] and [`Overflow::BlockFor`].
    ///
    /// # Errors
    /// Hands the message back when the task was not admitted.
    #[inline]
    pub fn tell(self) -> Result<(), SendError<A::Msg>> {
        self.send(None).map(drop)
    }

    /// Gives the task and returns the answer to come. As [`tell`](Self::tell), and allocates one
    /// slot for the answer.
    ///
    /// # Errors
    /// Hands the message back when the task was not admitted.
    #[inline]
    pub fn ask(self) -> AskResult<A> {
        let (sender, reply) = reply::slot(self.cancel_on_drop);
        self.send(Some(sender)).map(|_| reply)
    }

    /// As [`ask`](Self::ask); and if there is no answer when the hedge says so, another worker is
    /// given a copy, within the pool's [budget](crate::PoolBuilder::hedge_budget). The first
    /// answer counts. The other copy is cancelled if it was not started, and otherwise sees
    /// [`is_cancelled`](crate::Context::is_cancelled). Each copy is a task with an outcome of its
    /// own. A task with a key, or a control message, has no copy.
    ///
    /// Costs a clone of the message, three allocations and a lock that hedges and timers share.
    ///
    /// # Errors
    /// Hands the message back when the task was not admitted.
    pub fn ask_hedged(self, hedge: Hedge) -> AskResult<A>
    where
        A::Msg: Clone,
    {
        let profile = self.profile;
        if profile.key.is_some() || profile.priority == Priority::Control || self.wrong.is_some() {
            return self.ask();
        }
        let Some(delay) = self.shared.hedges.ask(hedge, &self.routing.roster) else {
            return self.ask();
        };
        let (shared, deadline) = (self.shared, self.deadline);
        // Dropped by whoever learns that it is not wanted.
        let msg = Contained::new(self.msg.clone());
        let (sender, reply) = reply::slot(self.cancel_on_drop);
        let (sender, race) = sender.share();
        let roster = Arc::clone(&self.routing.roster);
        let position = self.send(Some(sender))?;
        let Some(first) = roster.members().get(position) else { return Ok(reply) };
        let first = first.worker.id();
        let now = shared.clock.now();
        let deadline = deadline.map_or(NEVER, |within| now.saturating_add(nanos(within)));
        let copy = move |shared: &Arc<Shared<A>>| {
            if race.has_withdrawn() || !shared.hedges.spend() {
                return;
            }
            if !race.copies.join() {
                shared.hedges.refund();
                return;
            }
            let submitted_at = shared.clock.now();
            let envelope = Envelope {
                msg: msg.into_inner(),
                reply: Some(ReplySender::Shared(race)),
                submitted_at,
                deadline,
                expected_duration: profile.expected_duration,
                label: Label::new(Lane::of(profile.priority, false), profile.capability),
            };
            if let Err(envelope) =
                shared.give_copy(&profile.submitted_at(submitted_at), first, envelope)
            {
                shared.hedges.refund();
                // It never was a task; where the other copy has ended too, the asker is told.
                let reply = envelope.reply.and_then(|reply| reply.send(Err(AskError::Cancelled)));
                drop(reply);
            }
        };
        shared.desk.schedule(now.saturating_add(delay), None, Job::Once(Box::new(copy)));
        Ok(reply)
    }

    /// Gives the task after this time, unless it is cancelled before, and wants no answer. Never
    /// waits for room: what is refused then is counted and told as any refused task is
    /// ([`on_rejected`](crate::PoolBuilder::on_rejected)). Allocates, and takes a lock that hedges
    /// and timers share.
    pub fn tell_after(self, delay: Duration) -> TimerHandle {
        let Self { shared, msg, profile, deadline, wrong, .. } = self;
        let due = shared.clock.now().saturating_add(nanos(delay));
        // Dropped by whoever meets the cancelled timer.
        let msg = Contained::new(msg);
        let tell = move |shared: &Arc<Shared<A>>| {
            let msg = msg.into_inner();
            let routing = Loaded::Now(shared.routing.load());
            let task =
                TaskBuilder { profile, deadline, wrong, ..TaskBuilder::new(shared, routing, msg) };
            // What is refused was counted and told.
            let _ = task.send_by(&shared.settings.overflow.without_waiting(), None);
        };
        shared.desk.schedule(due, None, Job::Once(Box::new(tell)))
    }

    #[inline(always)]
    fn send(
        self,
        reply: Option<ReplySender<A::Reply, A::Error>>,
    ) -> Result<usize, SendError<A::Msg>> {
        let shared = self.shared;
        self.send_by(&shared.settings.overflow, reply)
    }

    /// Gives the task; the position of the worker that has it.
    #[inline(always)]
    pub(super) fn send_by(
        self,
        overflow: &Overflow,
        reply: Option<ReplySender<A::Reply, A::Error>>,
    ) -> Result<usize, SendError<A::Msg>> {
        let Self { shared, routing, strategy, msg, mut profile, deadline, wrong, .. } = self;
        if let Some(error) = wrong {
            return Err(shared.refused(SendError::Capability { error, msg }));
        }
        let submitted_at = shared.clock.now();
        profile.submitted_at = submitted_at;
        if profile.priority == Priority::Control {
            profile.key = None;
        }
        let envelope = Envelope {
            msg,
            reply,
            submitted_at,
            deadline: deadline.map_or(NEVER, |within| submitted_at.saturating_add(nanos(within))),
            expected_duration: profile.expected_duration,
            label: Label::new(
                Lane::of(profile.priority, profile.key.is_some()),
                profile.capability,
            ),
        };
        shared.dispatch(&routing, strategy, &profile, envelope, overflow)
    }
}

impl<A: Actor> std::fmt::Debug for TaskBuilder<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("profile", &self.profile)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
