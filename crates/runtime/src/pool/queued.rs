//! A task that waits for room, or for its key to move, without a thread.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use raddle_core::{TaskProfile, nanos};
use raddle_sync::lock::ColdLock;

use super::options::Picker;
use super::submit::SentTask;
use crate::ask::Waits;
use crate::deadline::NEVER;
use crate::desk::{Desk, Job, Wanted};
use crate::envelope::Envelope;
use crate::error::{Refusal, SendError};
use crate::mailbox::{Overflow, Place};
use crate::panics;
use crate::router::{Router, Routing, Sent};
use crate::settings::Policy;

/// How often a task is dispatched again whose key's worker is leaving.
const KEY_CHECK: Duration = Duration::from_millis(1);

/// How a task is dispatched, and again if its worker leaves.
pub(super) struct Route {
    pub(super) profile: TaskProfile,
    pub(super) picker: Picker<'static>,
    pub(super) policy: Policy,
    /// By the clock.
    pub(super) deadline: u64,
}

pub(super) struct Queued<M: Send + 'static, R: Send + 'static> {
    router: Arc<Router<Envelope<M, R>>>,
    desk: Arc<Desk>,
    route: Route,
    /// When the overflow policy waits no longer, by the clock.
    patient_until: u64,
    wait: Option<Wait<Envelope<M, R>>>,
    alarm: Option<Set>,
}

enum Wait<T> {
    InLine(Place<T>),
    ForKey(T),
}

impl<M: Send + 'static, R: Send + 'static> Queued<M, R> {
    /// Lets a task wait that was not placed.
    pub(super) fn new(
        router: Arc<Router<Envelope<M, R>>>,
        desk: Arc<Desk>,
        route: Route,
        sent: SentTask<M, R>,
    ) -> Self {
        let patient_until = match route.policy.overflow {
            Overflow::BlockFor(limit) => router.clock.now().saturating_add(nanos(limit)),
            _ => NEVER,
        };
        let wait = match sent {
            Sent::Placed(_) => None,
            Sent::InLine(place) => Some(Wait::InLine(place)),
            Sent::KeyMoves(task) => Some(Wait::ForKey(task)),
        };
        Self { router, desk, route, patient_until, wait, alarm: None }
    }

    /// Why the task must not wait any longer, if so.
    fn out_of_time(&self) -> Option<Refusal> {
        let now = match (self.route.deadline, self.patient_until) {
            (NEVER, NEVER) => return None,
            _ => self.router.clock.now(),
        };
        match () {
            () if now >= self.route.deadline => Some(Refusal::Expired),
            () if now >= self.patient_until => Some(Refusal::Full),
            () => None,
        }
    }

    /// Wakes `waker` at this time, and when the task must not wait any longer.
    fn wake_at(&mut self, at: u64, waker: &Waker) {
        let due = at.min(self.route.deadline).min(self.patient_until);
        if due == NEVER {
            return;
        }
        match &self.alarm {
            Some(set) if set.due == due => set.alarm.wake_later(waker),
            _ => {
                let alarm = Arc::<Alarm>::default();
                alarm.wake_later(waker);
                let job = Arc::clone(&alarm) as Arc<dyn Job>;
                // `None` if the pool is closed, which wakes the caller as well.
                let wanted = self.desk.schedule_wanted(due, &job);
                self.alarm = Some(Set { due, alarm, _wanted: wanted });
            }
        }
    }
}

impl<M: Send + 'static, R: Send + 'static> Router<Envelope<M, R>> {
    /// Sends a task, or lets it wait.
    #[inline]
    pub(super) fn dispatch_by(
        &self,
        route: &Route,
        routing: &Routing<Envelope<M, R>>,
        task: Envelope<M, R>,
    ) -> Result<SentTask<M, R>, SendError<Envelope<M, R>>> {
        let Route { profile, picker, policy, .. } = route;
        match picker {
            Picker::Worker(worker) => self.send_to_in_line(*worker, routing, profile, task, policy),
            _ => self.dispatch_in_line(routing, picker.own(), profile, task, policy),
        }
    }
}

impl<M: Send + 'static, R: Send + 'static> Waits<M> for Queued<M, R> {
    fn poll(&mut self, waker: &Waker) -> Poll<Result<(), SendError<M>>> {
        loop {
            let left = match self.wait.take() {
                None => None,
                Some(Wait::InLine(place)) if place.wake_by(waker) => match self.out_of_time() {
                    None => {
                        self.wait = Some(Wait::InLine(place));
                        self.wake_at(NEVER, waker);
                        return Poll::Pending;
                    }
                    Some(why) => self.router.leave(&place).map(|task| (task, Some(why))),
                },
                Some(Wait::InLine(place)) => self.router.leave(&place).map(|task| (task, None)),
                Some(Wait::ForKey(task)) => Some((task, self.out_of_time())),
            };
            let task = match left {
                None => return Poll::Ready(Ok(())),
                Some((task, Some(why))) => {
                    let error = SendError::new(why, task);
                    return Poll::Ready(Err(self.router.return_message(error)));
                }
                Some((task, None)) => task,
            };
            let (router, routing) = (&self.router, self.router.routing().load());
            match router.dispatch_by(&self.route, &routing, task) {
                Ok(Sent::Placed(_)) => return Poll::Ready(Ok(())),
                Ok(Sent::InLine(place)) => self.wait = Some(Wait::InLine(place)),
                Ok(Sent::KeyMoves(task)) => {
                    self.wait = Some(Wait::ForKey(task));
                    let again = self.router.clock.now().saturating_add(nanos(KEY_CHECK));
                    self.wake_at(again, waker);
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(self.router.return_message(error))),
            }
        }
    }
}

impl<M: Send + 'static, R: Send + 'static> Drop for Queued<M, R> {
    fn drop(&mut self) {
        let task = match self.wait.take() {
            None => None,
            Some(Wait::InLine(place)) => self.router.leave(&place),
            Some(Wait::ForKey(task)) => Some(task),
        };
        panics::contain(|| drop(task));
    }
}

/// A future's wake-up by a timer.
struct Set {
    due: u64,
    alarm: Arc<Alarm>,
    _wanted: Option<Wanted>,
}

#[derive(Default)]
struct Alarm(
    /// Locked by the future and the timer.
    ColdLock<Option<Waker>>,
);

impl Alarm {
    fn wake_later(&self, waker: &Waker) {
        let before = self.swap(Some(waker.clone()));
        panics::contain(|| drop(before));
    }

    fn swap(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut *self.0.lock(), waker)
    }
}

impl Job for Alarm {
    fn run(&self) {
        if let Some(waker) = self.swap(None) {
            waker.wake();
        }
    }

    fn abandon(&self) {
        let waker = self.swap(None);
        panics::contain(|| drop(waker));
    }
}
