use std::hash::Hash;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raddle_core::{Capability, CapabilityError, Priority, WorkerId, hash, nanos};
use raddle_strategies::Strategy;

use super::hedging::Copy;
use super::inner::{PoolInner, Staff};
use super::options::{Options, Picker, Way};
use super::queued::Route;
use super::submit::{SentTask, version_on_worker};
use super::tell::Tell;
use super::timers::{Delayed, Periodic, Slot, Timed, TimerHandle};
use crate::actor::Reply;
use crate::ask::Ask;
use crate::context::Context;
use crate::deadline::{Deadline, NEVER};
use crate::deferred::Deferred;
use crate::desk::Job;
use crate::envelope::Envelope;
use crate::error::{OptionError, Refusal, SendError};
use crate::hedge::Hedge;
use crate::mailbox::Overflow;
use crate::panics::Contained;
use crate::reply::{Asker, ReplyDeadline, ReplySender, SharedReply, Stored};
use crate::router::{Loaded, Placed, Sent};
use crate::span::Caller;
use crate::timer::MIN_PERIOD;

/// A task to be sent: its message, and what routing and the worker may know about it.
///
/// Created by [`Pool::task`](crate::Pool::task); sent by [`tell`](Self::tell), [`ask`](Self::ask),
/// [`ask_hedged`](Self::ask_hedged) or [`tell_after`](Self::tell_after). Created by
/// [`Pool::periodic`](crate::Pool::periodic) with a closure `P` in place of the message, it is sent by
/// [`tell_every`](Self::tell_every).
///
/// An option that has no meaning for the task, or for the way in which it is sent, makes it refused
/// with an [`OptionError`], which says what is allowed.
#[must_use = "a task is sent by `tell` or `ask`"]
pub struct TaskBuilder<'p, M, R, P = M> {
    pool: &'p PoolInner<M, R>,
    routing: Loaded<'p, Envelope<M, R>>,
    payload: P,
    options: Options<'p>,
}

impl<'p, M: Send + 'static, R: Send + 'static, P> TaskBuilder<'p, M, R, P> {
    #[inline(always)]
    pub(super) fn new(
        pool: &'p PoolInner<M, R>,
        routing: Loaded<'p, Envelope<M, R>>,
        payload: P,
    ) -> Self {
        Self { pool, routing, payload, options: Options::default() }
    }

    /// Asks for a worker with this capability, or a general one. Passing a name
    /// [interns](Capability::intern) it: intern it once and pass the [`Capability`] instead if that
    /// matters.
    pub fn capability<C>(mut self, capability: C) -> Self
    where
        C: TryInto<Capability, Error: Into<CapabilityError>>,
    {
        match capability.try_into() {
            Ok(capability) => self.options.profile = self.options.profile.capability(capability),
            Err(error) => self.options.wrong = Some(error.into()),
        }
        self
    }

    /// Sets how long after being sent the task is worth starting. If it has not started by then, it
    /// ends as [`Expired`](raddle_core::Outcome::Expired). The handler sees
    /// [what is left](crate::Context::remaining), and an async handler that waits then is
    /// [dropped](crate::AsyncHandler#when-a-handler-is-dropped). Replaces a
    /// [`deadline`](Self::deadline).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.deadline = Deadline::After(timeout);
        self
    }

    /// Sets until when the task is worth starting, as [`timeout`](Self::timeout) does, which it
    /// replaces.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.options.deadline = Deadline::At(deadline);
        self
    }

    /// Sets how long the task is expected to run on a worker of the usual speed, for strategies that
    /// go by the work ahead of each worker ([`LeastWork`](raddle_strategies::LeastWork)). Zero means
    /// unknown.
    pub fn expected_duration(mut self, expected: Duration) -> Self {
        self.options.profile = self.options.profile.expected_duration(expected);
        self
    }

    /// Sets how urgent the task is. Tasks of one priority run in the order in which they were sent.
    /// Of 8 tasks that a worker takes while it has some of each, at least one is normal or has a
    /// key, and of 64, at least one is low. Control messages come before everything, are never
    /// refused for lack of room, and never move to another worker.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options.profile = self.options.profile.priority(priority);
        self
    }

    /// Sets the task's key. Tasks of one key run in the order in which they were sent, on one worker,
    /// never two at a time. Keys are spread over the workers that serve the task's capability by
    /// rendezvous hashing of the workers' names, in proportion to their weights: in every process with
    /// the same names a key has the same worker, if it [hashes](raddle_core::hash::of) alike. When
    /// workers come or go, only the keys that must move do, and their new worker waits for the old one
    /// to end its tasks.
    ///
    /// No strategy picks the worker of a task with a key, unless the pool's is
    /// [`BoundedHash`](raddle_strategies::BoundedHash), [`WarmFirst`](raddle_strategies::WarmFirst) or
    /// another that [routes keys](Strategy::routes_keys): it picks again whenever the key has no
    /// tasks left, and so avoids a worker that has much to do. The state that a worker keeps per key
    /// can then be no more than a cache.
    ///
    /// A task with a key has no priority, no strategy of its own and no hedge. Keys whose hashes share
    /// a partition (one in a thousand, or in eight thousand in a pool with boosted mailboxes) share
    /// their order. A handler that was given up as hung is not
    /// waited for.
    pub fn key(mut self, key: impl Hash) -> Self {
        self.options.profile = self.options.profile.key(hash::of(&key));
        self
    }

    /// Lets this strategy pick the worker, for this task alone, even if it is rerouted. The strategy
    /// is used as it is: a pool would [prepare](Strategy::prepare) it for its workers. Replaces a
    /// [`shared_strategy`](Self::shared_strategy).
    ///
    /// A hedged or delayed task may outlive the borrow, and needs a `shared_strategy`.
    pub fn strategy(mut self, strategy: &'p dyn Strategy) -> Self {
        self.options.picker.set(Picker::Borrowed(strategy));
        self
    }

    /// Lets this strategy pick the worker, for this task alone, as [`strategy`](Self::strategy) does,
    /// which it replaces. If the task is hedged, it also picks the worker of the copy.
    pub fn shared_strategy(mut self, strategy: Arc<dyn Strategy>) -> Self {
        self.options.picker.set(Picker::Shared(strategy));
        self
    }

    /// Sends the task to this worker, and to no other: it is not rerouted, not stolen, and does not
    /// move to another worker when this one is quarantined. If the worker cannot be restarted, the task
    /// ends as cancelled. No strategy is asked, so an ejected or quarantined worker gets the task, too.
    ///
    /// The task waits in the lane of tasks with keys; as a [control message](Priority::Control) in that
    /// of control messages. Other priorities are refused, and so are a key, a strategy and a hedge. If
    /// the worker is not a member of the pool, is draining, or does not serve the task's capability,
    /// the task is refused as [`NoSuchWorker`](Refusal::NoSuchWorker) or
    /// [`NotCapable`](Refusal::NotCapable).
    ///
    /// ```
    /// # use raddle_core::WorkerSpec;
    /// # use raddle_runtime::{Actor, Context, Handler, Pool};
    /// struct Cache(u64);
    ///
    /// impl Actor for Cache {}
    ///
    /// impl Handler<u64> for Cache {
    ///     type Reply = u64;
    ///
    ///     fn handle(&mut self, hits: u64, _: &mut Context<'_, Self>) -> u64 {
    ///         self.0 += hits;
    ///         self.0
    ///     }
    /// }
    ///
    /// let pool = Pool::builder("caches").workers(2, WorkerSpec::general()).spawn(|_| Cache(0))?;
    /// let first = pool.stats().balancer.workers[0].id;
    /// pool.task(3).worker(first).tell()?;
    /// assert_eq!(pool.task(4).worker(first).ask().wait()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker(mut self, worker: WorkerId) -> Self {
        self.options.picker.set(Picker::Worker(worker));
        self
    }

    /// Sets what happens if there is no room for the task, in place of the pool's
    /// [policy](crate::PoolBuilder::mailbox). If the pool [reroutes](crate::PoolBuilder::reroute),
    /// another worker with room still comes first. A timer never waits: for its tasks, a policy that
    /// does is refused.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.options.overflow = Some(overflow);
        self
    }

    /// Cancels the task if its [`Ask`] is dropped before it runs; a handler that is running sees
    /// [`is_cancelled`](crate::Context::is_cancelled), and an async one that waits is
    /// [dropped](crate::AsyncHandler#when-a-handler-is-dropped). A task that is sent without an `Ask` is refused.
    pub fn cancel_on_drop(mut self) -> Self {
        self.options.cancel_on_drop = true;
        self
    }

    /// What a timer needs to send the task.
    fn timed(&self) -> Timed<M, R> {
        let Options { profile, deadline, picker, overflow, .. } = &self.options;
        let router = Arc::clone(&self.pool.router);
        let policy = router.policy.with(*overflow).without_waiting();
        let (profile, deadline, picker) = (*profile, *deadline, picker.kept());
        Timed { router, profile, deadline, picker, policy }
    }
}

impl<M: Send + 'static, R: Send + 'static> TaskBuilder<'_, M, R> {
    /// Sends the task without requesting a reply. Allocates nothing, control messages apart; blocks
    /// only for room in a full mailbox, under [`Overflow::Block`](crate::Overflow::Block) and
    /// [`Overflow::BlockFor`](crate::Overflow::BlockFor), and allocates then.
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    #[inline]
    pub fn tell(self) -> Result<(), SendError<M>> {
        self.send(None).map(drop)
    }

    /// As [`tell`](Self::tell), but never waits: an overflow policy that does is one that
    /// [rejects](Overflow::Reject).
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    #[inline]
    pub fn try_tell(self) -> Result<(), SendError<M>> {
        self.without_waiting().tell()
    }

    /// As [`tell`](Self::tell), but never blocks: where the overflow policy waits for room, the returned
    /// future does, up to the task's deadline. If the task's worker leaves meanwhile, the task is dispatched
    /// again, by the pool's strategy if its own is [borrowed](Self::strategy).
    pub fn tell_async(self) -> Tell<M> {
        let pool = self.pool;
        let now = pool.router.clock.now();
        let deadline = self.options.deadline.by_clock(now);
        let (route, sent) = self.send_in_line(now, deadline, None, Way::Tell);
        match sent {
            Ok(Sent::Placed(_)) => Tell::done(Ok(())),
            Ok(sent) => Tell::waiting(pool.queue(sent, route)),
            Err(error) => Tell::done(Err(error)),
        }
    }

    /// Sends the task and returns its reply to come. As [`tell`](Self::tell), and allocates one slot
    /// for the reply, or two for a task with a deadline or [`cancel_on_drop`](Self::cancel_on_drop).
    ///
    /// Never blocks: where the overflow policy waits for room, the [`Ask`] does. If the task's worker leaves
    /// meanwhile, the task is dispatched again, by the pool's strategy if its own is
    /// [borrowed](Self::strategy).
    #[inline]
    pub fn ask(self) -> Ask<M, R> {
        self.ask_by(NEVER)
    }

    /// As [`ask`](Self::ask), but the task never waits for room: an overflow policy that does is one that
    /// [rejects](Overflow::Reject).
    pub fn try_ask(self) -> Ask<M, R> {
        self.without_waiting().ask()
    }

    /// As [`ask`](Self::ask), with a limit for everything: if there is no reply after `timeout`, the [`Ask`]
    /// ends with [`TimedOut`](crate::AskError::TimedOut), or with the message if the task still waits for
    /// room. A task that has not started by then expires; a handler that runs sees
    /// [`is_cancelled`](crate::Context::is_cancelled), and its reply is dropped. A
    /// [`deadline`](Self::deadline) for its start counts if it is earlier.
    pub fn ask_within(self, timeout: Duration) -> Ask<M, R> {
        let by = self.pool.router.clock.now().saturating_add(nanos(timeout));
        self.ask_by(by)
    }

    fn without_waiting(mut self) -> Self {
        let overflow = self.options.overflow.unwrap_or(self.pool.router.policy.overflow);
        self.options.overflow = Some(overflow.without_waiting());
        self
    }

    /// Asks for a reply by this time of the clock.
    #[inline]
    fn ask_by(self, reply_by: u64) -> Ask<M, R> {
        let now = self.pool.router.clock.now();
        let deadline = self.options.deadline.by_clock(now).min(reply_by);
        let (sender, receiver, shared) = if self.options.cancel_on_drop || deadline != NEVER {
            let (receiver, shared) = self.shared_slot(deadline, reply_by);
            (ReplySender::Shared(Arc::clone(&shared)), receiver, Some(shared))
        } else {
            let (sender, receiver) = oneshot::channel();
            (ReplySender::Own(sender), receiver, None)
        };
        let (pool, version) = (self.pool, version_on_worker(&self.routing));
        let profile = &self.options.profile;
        let stays = version.is_some()
            && (profile.key.is_some()
                || profile.priority == Priority::Control
                || self.options.picker.is_for_worker());
        let (route, sent) = self.send_in_line(now, deadline, Some(sender), Way::Ask);
        match sent {
            Ok(Sent::Placed(placed)) => pool.admitted(receiver, shared, version, placed, stays),
            Ok(sent) => pool.waiting(receiver, shared, version, sent, route),
            Err(error) => Ask::refused(error),
        }
    }

    /// Allocates a slot for a reply that not only the task's worker may answer.
    fn shared_slot(
        &self,
        deadline: u64,
        reply_by: u64,
    ) -> (oneshot::Receiver<Stored<R>>, Arc<SharedReply<R>>) {
        let (sender, receiver) = oneshot::channel();
        let PoolInner { router, staff, .. } = self.pool;
        let deadline = (deadline != NEVER).then(|| ReplyDeadline {
            start_by: deadline,
            reply_by,
            clock: router.clock.clone(),
            desk: Arc::downgrade(&staff.desk),
        });
        (receiver, Arc::new(SharedReply::new(sender, self.options.cancel_on_drop, deadline)))
    }

    /// Sends the task like [`ask`](Self::ask); if there is no reply when the hedge says so, another
    /// worker gets a copy, within the pool's [budget](crate::PoolBuilder::hedge_budget). The first
    /// reply counts. If the copy was not sent by then, it is dropped, by the thread that replies. The
    /// other copy is cancelled if it has not started, and otherwise sees
    /// [`is_cancelled`](crate::Context::is_cancelled). Each copy is a task with an outcome of its own.
    ///
    /// Costs a clone of the message, three allocations, and a lock that hedges and timers share. The
    /// task is refused if the hedge's quantile is not between 0 and 1, the pool's tracking is off, or
    /// the task has a key or is a control message.
    pub fn ask_hedged(self, hedge: Hedge) -> Ask<M, R>
    where
        M: Clone,
    {
        let PoolInner { router, staff: Staff { hedges, desk, .. }, .. } = self.pool;
        let valid = self.options.check(Way::Hedged);
        if let Err(refusal) =
            valid.and_then(|()| Ok(hedge.validate(self.routing.roster.tracking().enabled)?))
        {
            return Ask::refused(router.refuse(refusal, self.payload));
        }
        let Some(delay) = hedges.ask(hedge, &self.routing.roster) else {
            return self.ask();
        };
        let now = router.clock.now();
        let deadline = self.options.deadline.by_clock(now);
        let msg = Contained::new(self.payload.clone());
        let (receiver, race) = self.shared_slot(deadline, NEVER);
        let (sender, shared) = (ReplySender::Shared(Arc::clone(&race)), Some(Arc::clone(&race)));
        let (pool, roster) = (self.pool, Arc::clone(&self.routing.roster));
        let (route, sent) = self.send_in_line(now, deadline, Some(sender), Way::Hedged);
        let (profile, picker) = (route.profile, route.picker.kept());
        let (first, ask) = match sent {
            Ok(Sent::Placed(Placed::Position(position))) => {
                (roster.members()[position].worker.id(), Ask::admitted(receiver, shared))
            }
            Ok(Sent::Placed(Placed::Worker(worker))) => (worker, Ask::admitted(receiver, shared)),
            Ok(Sent::Placed(Placed::Shed)) => return Ask::admitted(receiver, shared),
            Ok(Sent::InLine(place)) => {
                let worker = place.worker().id();
                let waits = pool.queue(Sent::InLine(place), route);
                (worker, Ask::waiting(receiver, shared, waits, None).hedged())
            }
            Ok(Sent::KeyMoves(_)) => unreachable!("a hedged task has no key"),
            Err(error) => return Ask::refused(error),
        };
        if race.has_withdrawn() {
            return ask;
        }
        let copy: Arc<dyn Job> = Arc::new(Copy {
            router: Arc::clone(router),
            hedges: Arc::clone(hedges),
            race: Arc::clone(&race),
            first,
            msg: Slot::new(msg),
            profile,
            picker,
            deadline,
        });
        let due = router.clock.now().saturating_add(delay);
        if let Some(unsent) = desk.schedule_wanted(due, &copy) {
            race.keep_unsent(unsent);
        }
        ask
    }

    /// Sends the task in place of the reply of another one, whose handler has this context: as
    /// [`Context::forward`] does, with options. Of two deadlines, the earlier one counts. The task has no
    /// `Ask` of its own, so [`cancel_on_drop`](Self::cancel_on_drop) is refused: whether it is cancelled
    /// follows from the other one.
    ///
    /// # Errors
    /// Returns the message if the task was not admitted.
    pub fn forward<A>(self, cx: &Context<'_, A>) -> Result<Deferred<R>, SendError<M>>
    where
        R: Reply,
    {
        let router = &self.pool.router;
        if let Err(refusal) = self.options.check(Way::Forward) {
            return Err(router.refuse(refusal, self.payload));
        }
        let now = router.clock.now();
        let own = self.options.deadline.by_clock(now);
        // As time that is left: the pools may have different clocks.
        let its = cx.remaining().map_or(NEVER, |left| now.saturating_add(nanos(left)));
        let (promise, deferred) = cx.promise();
        self.send_at(now, own.min(its), Some(ReplySender::Forwarded(promise)))?;
        Ok(deferred)
    }

    /// Sends the task after `delay` without requesting a reply, unless the timer is cancelled first.
    /// Never waits for room: a task that is refused then is counted and passed to
    /// [`on_rejected`](crate::PoolBuilder::on_rejected), like any other. A [`timeout`](Self::timeout)
    /// starts when the task is sent. Allocates, and takes a lock that hedges and timers share.
    ///
    /// A task that has not been sent when the pool closes is part of no account. Its message goes to
    /// [`take_unfinished`](crate::Pool::take_unfinished).
    ///
    /// # Errors
    /// Returns the message if the pool is closed, or the task could not be sent as it is described.
    pub fn tell_after(self, delay: Duration) -> Result<TimerHandle<M>, SendError<M>> {
        let router = &self.pool.router;
        if let Err(refusal) = self.options.check(Way::Timer) {
            return Err(router.refuse(refusal, self.payload));
        }
        let due = router.clock.now().saturating_add(nanos(delay));
        let delayed = Arc::new(Delayed::new(self.timed(), self.payload));
        let job = Arc::clone(&delayed) as Arc<dyn Job>;
        match self.pool.staff.desk.schedule(due, None, &job) {
            Some(timer) => Ok(delayed.handle(timer)),
            None => match delayed.take() {
                Some(msg) => Err(router.refuse(Refusal::Closed, msg)),
                None => unreachable!("a job that was not scheduled keeps its message"),
            },
        }
    }

    #[inline(always)]
    fn send(self, reply: Option<ReplySender<R>>) -> Result<Placed, SendError<M>> {
        let now = self.pool.router.clock.now();
        let deadline = self.options.deadline.by_clock(now);
        self.send_at(now, deadline, reply)
    }

    #[inline(always)]
    fn send_at(
        self,
        now: u64,
        deadline: u64,
        reply: Option<ReplySender<R>>,
    ) -> Result<Placed, SendError<M>> {
        let Self { pool, routing, payload: msg, options } = self;
        let router = &pool.router;
        if let Err(refusal) = options.check(Way::Tell) {
            return Err(router.refuse(refusal, msg));
        }
        let profile = options.profile.submitted_at(now);
        let envelope = Envelope::new(msg, reply, &profile, deadline);
        let own = options.overflow.map(|overflow| router.policy.with(Some(overflow)));
        let policy = own.as_ref().unwrap_or(&router.policy);
        if let Some(caller) = Caller::of_this_thread() {
            let envelope = envelope.traced(caller);
            return match options.picker {
                Picker::Worker(worker) => router
                    .send_to(worker, &routing, &profile, envelope, policy)
                    .map_err(|error| router.return_message(error)),
                picker => router.send_traced(&routing, picker.own(), &profile, envelope, policy),
            };
        }
        if let Picker::Worker(worker) = options.picker {
            let sent = router.send_to(worker, &routing, &profile, envelope, policy);
            return sent.map_err(|error| router.return_message(error));
        }
        router.send(&routing, options.picker.own(), &profile, envelope, policy)
    }

    /// Sends the task without blocking. Returns how to send it, or its copy, again.
    #[inline]
    fn send_in_line(
        self,
        now: u64,
        deadline: u64,
        reply: Option<ReplySender<R>>,
        way: Way,
    ) -> (Route, Result<SentTask<M, R>, SendError<M>>) {
        let Self { pool, routing, payload: msg, options } = self;
        let router = &pool.router;
        let (profile, picker) = (options.profile.submitted_at(now), options.picker.kept());
        let policy = router.policy.with(options.overflow);
        let route = Route { profile, picker, policy, deadline };
        let sent = match options.check(way) {
            Err(refusal) => Err(router.refuse(refusal, msg)),
            Ok(()) => {
                let task = Envelope::new(msg, reply, &profile, deadline);
                let task = match Caller::of_this_thread() {
                    Some(caller) => task.traced(caller),
                    None => task,
                };
                let sent = match &options.picker {
                    // The first time, as it may be gone later.
                    Picker::Borrowed(strategy) => {
                        router.dispatch_in_line(&routing, Some(*strategy), &profile, task, &policy)
                    }
                    _ => router.dispatch_by(&route, &routing, task),
                };
                sent.map_err(|error| router.return_message(error))
            }
        };
        (route, sent)
    }
}

impl<M, R, F> TaskBuilder<'_, M, R, F>
where
    M: Send + 'static,
    R: Send + 'static,
    F: Fn() -> M + Send + Sync + 'static,
{
    /// Sends a task to each worker that serves the task's capability, each time and with a message of its
    /// own: also to the workers that are added later. Each task is as one [for its
    /// worker](Self::worker), and the same options are refused.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use raddle_core::WorkerSpec;
    /// # use raddle_runtime::{Actor, Context, Handler, Pool};
    /// # struct Cache;
    /// # struct Expire;
    /// # impl Actor for Cache {}
    /// # impl Handler<Expire> for Cache {
    /// #     type Reply = ();
    /// #     fn handle(&mut self, _: Expire, _: &mut Context<'_, Self>) {}
    /// # }
    /// let pool = Pool::builder("caches").workers(2, WorkerSpec::general()).spawn(|_| Cache)?;
    /// // Every cache drops its old entries once a second.
    /// let timer = pool.periodic(|| Expire).each_worker().tell_every(Duration::from_secs(1))?;
    /// assert!(timer.cancel());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn each_worker(mut self) -> Self {
        self.options.picker.set(Picker::Each);
        self
    }

    /// Sends a task with a message from the closure after each `period`, until the timer is cancelled
    /// or the pool closes. The timer does not drift, and skips times that it missed. Like
    /// [`tell_after`](Self::tell_after), it never waits for room; a [`timeout`](Self::timeout) starts
    /// anew with each task. The closure runs on the pool's own thread, which is also its watchdog's,
    /// so it should be short.
    ///
    /// # Errors
    /// Returns the closure if the period is shorter than 100 microseconds, the pool is closed, or the
    /// tasks could not be sent as they are described.
    pub fn tell_every(self, period: Duration) -> Result<TimerHandle<M>, SendError<F>> {
        let PoolInner { router, staff, .. } = self.pool;
        if let Err(refusal) = self.options.check(Way::Timer) {
            return Err(SendError::new(refusal, self.payload));
        }
        let Some(interval) = NonZeroU64::new(nanos(period)).filter(|_| period >= MIN_PERIOD) else {
            return Err(SendError::new(OptionError::Period(period).into(), self.payload));
        };
        let due = router.clock.now().saturating_add(interval.get());
        let periodic = Arc::new(Periodic::new(self.timed(), self.payload));
        let job = Arc::clone(&periodic) as Arc<dyn Job>;
        match staff.desk.schedule(due, Some(interval), &job) {
            Some(timer) => Ok(periodic.handle(timer)),
            None => match periodic.take() {
                Some(make) => Err(SendError::new(Refusal::Closed, make)),
                None => unreachable!("a job that was not scheduled keeps its closure"),
            },
        }
    }
}

impl<M, R, P> std::fmt::Debug for TaskBuilder<'_, M, R, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskBuilder")
            .field("profile", &self.options.profile)
            .field("deadline", &self.options.deadline)
            .finish_non_exhaustive()
    }
}
