//! Delayed and periodic tasks, until they are sent.

use std::fmt;
use std::sync::Arc;

use raddle_core::{Member, TaskProfile, WorkerId};
use raddle_sync::lock::ColdLock;

use super::options::Picker;
use crate::deadline::Deadline;
use crate::desk::Job;
use crate::envelope::Envelope;
use crate::panics::{self, Contained};
use crate::router::{Router, Routing};
use crate::settings::Policy;
use crate::timer::TimerState;

/// A value until it is used, which happens once. Whoever cancels its use takes it at once.
pub(super) struct Slot<T>(
    /// Locked when the value is used or taken.
    ColdLock<Option<T>>,
);

impl<T> Slot<T> {
    pub(super) fn new(value: T) -> Self {
        Self(ColdLock::new(Some(value)))
    }

    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().take()
    }
}

/// Cancels a timer of a pool with messages of type `M`, from any thread. Dropping the handle cancels
/// nothing; clones share the timer.
///
/// The timers of a pool end when it closes: the messages of delayed tasks that were not sent are then
/// in [`take_unfinished`](crate::Pool::take_unfinished).
pub struct TimerHandle<M> {
    timer: TimerState,
    held: Arc<dyn Held<M>>,
}

/// What a timer keeps until it has fired or was cancelled.
trait Held<M>: Send + Sync {
    /// Releases it. Returns the message, if there is one.
    fn release(&self) -> Option<M>;
}

impl<M> TimerHandle<M> {
    /// Cancels the timer. Returns whether that prevented its next firing: after `true` no firing
    /// begins any more, though one of a periodic timer that had begun continues; `false` if the
    /// timer has fired or was cancelled before, or the pool has closed.
    ///
    /// Drops the message, or the closure that creates messages. Takes a lock that only this timer
    /// uses; allocates nothing.
    pub fn cancel(&self) -> bool {
        let prevented = self.timer.cancel();
        if prevented {
            let msg = self.held.release();
            panics::contain(|| drop(msg));
        }
        prevented
    }

    /// Cancels the timer, like [`cancel`](Self::cancel), and returns the message that is therefore not
    /// sent. `None` where `cancel` would return `false`. A periodic timer is cancelled too, but has no
    /// message to return.
    pub fn take_message(&self) -> Option<M> {
        if self.timer.cancel() { self.held.release() } else { None }
    }

    /// Returns whether the timer will fire, or fire again, unless it is cancelled. Another thread may
    /// cancel it, or close the pool, at any time.
    pub fn is_active(&self) -> bool {
        self.timer.is_active()
    }
}

impl<M> Clone for TimerHandle<M> {
    fn clone(&self) -> Self {
        Self { timer: self.timer.clone(), held: Arc::clone(&self.held) }
    }
}

impl<M> fmt::Debug for TimerHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimerHandle").field(&self.timer).finish()
    }
}

/// How a timer's tasks are sent.
pub(super) struct Timed<M, R> {
    pub(super) router: Arc<Router<Envelope<M, R>>>,
    pub(super) profile: TaskProfile,
    pub(super) deadline: Deadline,
    pub(super) picker: Picker<'static>,
    pub(super) policy: Policy,
}

impl<M: Send + 'static, R: Send + 'static> Timed<M, R> {
    /// Sends a task with a message from `make`, or one to each worker.
    fn send_made(&self, make: impl Fn() -> M) {
        if !matches!(self.picker, Picker::Each) {
            return self.send(make());
        }
        let routing = self.router.routing().load();
        for Member { worker, health } in routing.roster.members() {
            if health.takes_tasks() && worker.capabilities().serves(self.profile.capability) {
                self.send_by(&routing, Some(worker.id()), make());
            }
        }
    }

    /// Sends a task now.
    fn send(&self, msg: M) {
        let worker = match self.picker {
            Picker::Worker(worker) => Some(worker),
            _ => None,
        };
        self.send_by(&self.router.routing().load(), worker, msg);
    }

    /// Sends a task by this routing, to `worker` if it is for one. A refusal is counted and passed to `on_rejected`, unless the pool is
    /// closing: then the message is handed back with those of the timers that are still pending.
    fn send_by(&self, routing: &Routing<Envelope<M, R>>, worker: Option<WorkerId>, msg: M) {
        let Self { router, picker, policy, .. } = self;
        let now = router.clock.now();
        let profile = self.profile.submitted_at(now);
        let envelope = Envelope::new(msg, None, &profile, self.deadline.by_clock(now));
        let sent = match worker {
            Some(worker) => router.send_to(worker, routing, &profile, envelope, policy),
            None => router.dispatch(routing, picker.own(), &profile, envelope, policy),
        };
        match sent {
            Ok(_) => {}
            Err(error) if error.is_closed() => router.keep_unfinished(error.into_message()),
            Err(error) => drop(router.refused(error)),
        }
    }
}

/// A task that is sent once.
pub(super) struct Delayed<M, R> {
    timed: Timed<M, R>,
    /// Apart, so that a handle keeps nothing of the pool.
    msg: Arc<Slot<Contained<M>>>,
}

impl<M: Send + 'static, R: Send + 'static> Delayed<M, R> {
    pub(super) fn new(timed: Timed<M, R>, msg: M) -> Self {
        Self { timed, msg: Arc::new(Slot::new(Contained::new(msg))) }
    }

    pub(super) fn handle(&self, timer: TimerState) -> TimerHandle<M> {
        TimerHandle { timer, held: Arc::clone(&self.msg) as _ }
    }

    /// Takes the message, which is not sent.
    pub(super) fn take(&self) -> Option<M> {
        self.msg.release()
    }
}

impl<M: Send + 'static, R: Send + 'static> Job for Delayed<M, R> {
    fn run(&self) {
        if let Some(msg) = self.take() {
            self.timed.send(msg);
        }
    }

    fn abandon(&self) {
        if let Some(msg) = self.take() {
            self.timed.router.keep_message(msg);
        }
    }
}

impl<M: Send> Held<M> for Slot<Contained<M>> {
    fn release(&self) -> Option<M> {
        self.take().map(Contained::into_inner)
    }
}

/// Tasks that are sent one after the other, with messages from a closure.
pub(super) struct Periodic<M, R, F> {
    timed: Timed<M, R>,
    make: Arc<Slot<Arc<Contained<F>>>>,
}

impl<M, R, F> Periodic<M, R, F>
where
    M: Send + 'static,
    R: Send + 'static,
    F: Fn() -> M + Send + Sync + 'static,
{
    pub(super) fn new(timed: Timed<M, R>, make: F) -> Self {
        Self { timed, make: Arc::new(Slot::new(Arc::new(Contained::new(make)))) }
    }

    pub(super) fn handle(&self, timer: TimerState) -> TimerHandle<M> {
        TimerHandle { timer, held: Arc::clone(&self.make) as _ }
    }

    /// Takes the closure, which never ran.
    pub(super) fn take(&self) -> Option<F> {
        self.make.take().and_then(Arc::into_inner).map(Contained::into_inner)
    }
}

impl<M, R, F> Job for Periodic<M, R, F>
where
    M: Send + 'static,
    R: Send + 'static,
    F: Fn() -> M + Send + Sync + 'static,
{
    fn run(&self) {
        let make = self.make.0.lock().clone();
        if let Some(make) = make {
            self.timed.send_made(|| make());
        }
    }

    fn abandon(&self) {
        drop(self.make.take());
    }
}

impl<M, F> Held<M> for Slot<Arc<Contained<F>>>
where
    F: Fn() -> M + Send + Sync,
{
    fn release(&self) -> Option<M> {
        drop(self.take());
        None
    }
}
