use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle_core::{Capability, CapabilityError, Priority, TaskProfile, nanos};
use raddle_strategies::Strategy;

use super::hedging::Copy;
use super::inner::{PoolInner, Staff};
use crate::ask::Ask;
use crate::deadline::Deadline;
use crate::desk::Job;
use crate::envelope::Envelope;
use crate::error::{Refusal, SendError};
use crate::hedge::Hedge;
use crate::panics::Contained;
use crate::reply::{self, ReplySender};
use crate::router::{Loaded, Placed};
use crate::timer::TimerHandle;

/// A task to be sent: its message, and what routing and the worker may know about it.
///
/// Created by [`Pool::task`](crate::Pool::task); sent by [`tell`](Self::tell), [`ask`](Self::ask),
/// [`ask_hedged`](Self::ask_hedged) or [`tell_after`](Self::tell_after).
#[must_use = "a task is sent by `tell` or `ask`"]
pub struct TaskBuilder<'p, M, R> {
    pool: &'p PoolInner<M, R>,
    routing: Loaded<'p, Envelope<M, R>>,
    strategy: Option<&'p dyn Strategy>,
    msg: M,
    profile: TaskProfile,
    deadline: Deadline,
    cancel_on_drop: bool,
    wrong: Option<CapabilityError>,
}

impl<'p, M: Send + 'static, R: Send + 'static> TaskBuilder<'p, M, R> {
    #[inline(always)]
    pub(super) fn new(
        pool: &'p PoolInner<M, R>,
        routing: Loaded<'p, Envelope<M, R>>,
        msg: M,
    ) -> Self {
        Self {
            pool,
            routing,
            strategy: None,
            msg,
            profile: TaskProfile::default(),
            deadline: Deadline::Never,
            cancel_on_drop: false,
            wrong: None,
        }
    }

    /// Asks for a worker with this capability, or a general one. Passing a name
    /// [interns](Capability::intern) it: intern it once and pass the [`Capability`] instead if that
    /// matters.
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

    /// Sets how long after being sent the task is worth starting. If it has not started by then, it
    /// ends as [`Expired`](raddle_core::Outcome::Expired). The handler sees
    /// [what is left](crate::Context::remaining). Replaces a [`deadline`](Self::deadline).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Deadline::After(timeout);
        self
    }

    /// Sets until when the task is worth starting, as [`timeout`](Self::timeout) does, which it
    /// replaces.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Deadline::At(deadline);
        self
    }

    /// Sets how long the task is expected to run on a worker of the usual speed, for strategies that
    /// go by the work ahead of each worker ([`LeastWork`](raddle_strategies::LeastWork)). Zero means
    /// unknown.
    pub fn expected_duration(mut self, expected: Duration) -> Self {
        self.profile = self.profile.expected_duration(expected);
        self
    }

    /// Sets how urgent the task is. Tasks of one priority run in the order in which they were sent.
    /// Of 8 tasks that a worker takes while it has some of each, at least one is normal or has a
    /// key, and of 64, at least one is low. Control messages come before everything, are never
    /// refused for lack of room, and never move to another worker.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.profile = self.profile.priority(priority);
        self
    }

    /// Sets the task's key. Tasks of one key run in the order in which they were sent, on one worker,
    /// never two at a time. Keys are spread over the workers that serve the task's capability by
    /// rendezvous hashing, in proportion to the workers' weights. When workers come or go, only the
    /// keys that must move do, and their new worker waits for the old one to end its tasks.
    ///
    /// No strategy picks the worker of a task with a key, unless the pool's is
    /// [`BoundedHash`](raddle_strategies::BoundedHash) or another that
    /// [routes keys](Strategy::routes_keys): it picks again whenever the key has no tasks left, and
    /// so avoids a worker that has much to do. The state that a worker keeps per key can then be no
    /// more than a cache.
    ///
    /// A key replaces the task's priority, unless that is [`Control`](Priority::Control), which
    /// ignores the key. Keys whose hashes share a partition (one in a thousand) share their order.
    /// A handler that was given up as hung is not waited for.
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

    /// Cancels the task if its [`Ask`] is dropped before it runs; a handler that is running sees
    /// [`is_cancelled`](crate::Context::is_cancelled). Has no effect on a tell.
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancel_on_drop = true;
        self
    }

    /// Sends the task without requesting a reply. Allocates nothing, control messages apart; blocks
    /// only for room in a full mailbox, under [`Overflow::Block`](crate::Overflow::Block) and
    /// [`Overflow::BlockFor`](crate::Overflow::BlockFor).
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    #[inline]
    pub fn tell(self) -> Result<(), SendError<M>> {
        self.send(None).map(drop)
    }

    /// Sends the task and returns its reply to come. As [`tell`](Self::tell), and allocates one slot
    /// for the reply.
    #[inline]
    pub fn ask(self) -> Ask<M, R> {
        let (sender, receiver) = reply::slot(self.cancel_on_drop);
        match self.send(Some(sender)) {
            Ok(_) => Ask::admitted(receiver),
            Err(error) => Ask::refused(error),
        }
    }

    /// Sends the task like [`ask`](Self::ask); if there is no reply when the hedge says so, another
    /// worker gets a copy, within the pool's [budget](crate::PoolBuilder::hedge_budget). The first
    /// reply counts. The other copy is cancelled if it has not started, and otherwise sees
    /// [`is_cancelled`](crate::Context::is_cancelled). Each copy is a task with an outcome of its
    /// own. Tasks with a key and control messages have no copy.
    ///
    /// Costs a clone of the message, three allocations, and a lock that hedges and timers share. The
    /// task is refused if the hedge's quantile is not between 0 and 1.
    pub fn ask_hedged(self, hedge: Hedge) -> Ask<M, R>
    where
        M: Clone,
    {
        let profile = self.profile;
        if profile.key.is_some() || profile.priority == Priority::Control || self.wrong.is_some() {
            return self.ask();
        }
        let PoolInner { router, staff: Staff { hedges, desk, .. } } = self.pool;
        if let Err(error) = hedge.validate() {
            let refusal = Refusal::Hedge(error);
            return Ask::refused(router.refuse(refusal, self.msg));
        }
        let Some(delay) = hedges.ask(hedge, &self.routing.roster) else {
            return self.ask();
        };
        let now = router.clock.now();
        let deadline = self.deadline.by_clock(now);
        let msg = Contained::new(self.msg.clone());
        let (sender, receiver) = reply::slot(self.cancel_on_drop);
        let (sender, race) = sender.share();
        let roster = Arc::clone(&self.routing.roster);
        let position = match self.send_at(now, deadline, Some(sender)) {
            Ok(Some(position)) => position,
            // It was shed.
            Ok(None) => return Ask::admitted(receiver),
            Err(error) => return Ask::refused(error),
        };
        let first = roster.members()[position].worker.id();
        let copy = Copy::new(Arc::clone(router), hedges, race, first, msg, profile, deadline);
        let due = router.clock.now().saturating_add(delay);
        desk.schedule(due, None, Job::Once(Box::new(move || copy.send())));
        Ask::admitted(receiver)
    }

    /// Sends the task after `delay` without requesting a reply, unless the timer is cancelled first.
    /// Never waits for room: a task that is refused then is counted and passed to
    /// [`on_rejected`](crate::PoolBuilder::on_rejected), like any other. A [`timeout`](Self::timeout)
    /// starts when the task is sent. Allocates, and takes a lock that hedges and timers share.
    pub fn tell_after(self, delay: Duration) -> TimerHandle {
        let Self { pool, msg, profile, deadline, wrong, .. } = self;
        let due = pool.router.clock.now().saturating_add(nanos(delay));
        let (router, msg) = (Arc::clone(&pool.router), Contained::new(msg));
        let tell = move || {
            let msg = msg.into_inner();
            // A refusal is counted and passed to `on_rejected`.
            if let Some(error) = wrong {
                router.refuse(Refusal::Capability(error), msg);
                return;
            }
            let now = router.clock.now();
            let profile = sent_at(profile, now);
            let envelope = Envelope::new(msg, None, &profile, deadline.by_clock(now));
            let policy = router.policy.without_waiting();
            let _ = router.send(&router.routing().load(), None, &profile, envelope, &policy);
        };
        pool.staff.desk.schedule(due, None, Job::Once(Box::new(tell)))
    }

    #[inline(always)]
    fn send(self, reply: Option<ReplySender<R>>) -> Result<Placed, SendError<M>> {
        let now = self.pool.router.clock.now();
        let deadline = self.deadline.by_clock(now);
        self.send_at(now, deadline, reply)
    }

    #[inline(always)]
    fn send_at(
        self,
        now: u64,
        deadline: u64,
        reply: Option<ReplySender<R>>,
    ) -> Result<Placed, SendError<M>> {
        let Self { pool, routing, strategy, msg, profile, wrong, .. } = self;
        let router = &pool.router;
        if let Some(error) = wrong {
            return Err(router.refuse(Refusal::Capability(error), msg));
        }
        let profile = sent_at(profile, now);
        let envelope = Envelope::new(msg, reply, &profile, deadline);
        router.send(&routing, strategy, &profile, envelope, &router.policy)
    }
}

/// The profile of a task that is sent now.
#[inline(always)]
fn sent_at(mut profile: TaskProfile, now: u64) -> TaskProfile {
    profile.submitted_at = now;
    if profile.priority == Priority::Control {
        profile.key = None;
    }
    profile
}

impl<M, R> std::fmt::Debug for TaskBuilder<'_, M, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("profile", &self.profile)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
