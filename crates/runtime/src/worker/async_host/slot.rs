use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use super::exchange::{Driver, Exchange};
use crate::blocking::Awaited;
use crate::deadline::NEVER;
use crate::mailbox::Alarm;
use crate::reply::{Asker, NoReply};
use crate::span::Entered;
use crate::worker::actor_host::Ran;

/// Where a task runs beside others.
pub(super) struct Slot<M, R> {
    /// `None` while there is no actor.
    pub(super) driver: Option<Driver>,
    pub(super) exchange: Rc<Exchange<M, R>>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) waker: Waker,
    pub(super) awaited: Awaited,
    pub(super) task: Option<SlotTask>,
}

/// A task in a slot. All times are in nanoseconds.
pub(super) struct SlotTask {
    /// Its `end` is yet to come.
    pub(super) ran: Ran,
    pub(super) deadline: u64,
    pub(super) span: Option<Box<Entered>>,
    /// For how long the handler was polled.
    pub(super) on_core: u64,
    /// For how long it has waited inside raddle.
    pub(super) blocked: u64,
    /// The end of its last poll.
    pub(super) polled_at: u64,
    /// Whether it waits inside raddle since then.
    pub(super) in_raddle: bool,
}

impl SlotTask {
    pub(super) fn new(ran: Ran, deadline: u64, span: Option<Box<Entered>>) -> Self {
        let polled_at = ran.start;
        Self { ran, deadline, span, on_core: 0, blocked: 0, polled_at, in_raddle: false }
    }

    /// When the handler must be dropped, if nothing wakes it.
    pub(super) fn due(&self, await_limit: u64) -> u64 {
        self.deadline.min(self.hangs_at(await_limit))
    }

    fn hangs_at(&self, await_limit: u64) -> u64 {
        if self.in_raddle { NEVER } else { self.polled_at.saturating_add(await_limit) }
    }
}

impl<M, R> Slot<M, R> {
    pub(super) fn new(alarm: Arc<Alarm>) -> Self {
        Self {
            driver: None,
            exchange: Rc::new(Exchange::new()),
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
            awaited: Awaited::default(),
            task: None,
        }
    }

    /// Why the handler must be dropped at the clock's `now`, whether it was woken or not.
    pub(super) fn must_end(&self, now: u64, cancelling: bool) -> Option<NoReply> {
        let task = self.task.as_ref()?;
        let has_cancelled =
            || self.exchange.asker.borrow().as_ref().is_some_and(Asker::has_cancelled);
        match () {
            () if cancelling => Some(NoReply::ShutDown),
            () if now >= task.deadline => Some(NoReply::Expired),
            () if has_cancelled() => Some(NoReply::Cancelled),
            () => None,
        }
    }

    /// As [`must_end`](Self::must_end), of a handler that was not woken.
    pub(super) fn must_end_unwoken(
        &self,
        now: u64,
        cancelling: bool,
        await_limit: u64,
    ) -> Option<NoReply> {
        let hangs = || self.task.as_ref().is_some_and(|task| now >= task.hangs_at(await_limit));
        self.must_end(now, cancelling).or_else(|| hangs().then_some(NoReply::Hung))
    }

    /// Notes that the handler waits from the clock's `now` on.
    pub(super) fn waits(&mut self, now: u64) {
        let in_raddle = self.awaited.any();
        if let Some(task) = &mut self.task {
            (task.polled_at, task.in_raddle) = (now, in_raddle);
        }
    }

    /// Notes that the wait ends. Returns for how long it was one inside raddle.
    pub(super) fn wait_ends(&mut self, now: u64) -> u64 {
        let Some(task) = &mut self.task else { return 0 };
        let blocked = if task.in_raddle { now.saturating_sub(task.polled_at) } else { 0 };
        task.blocked += blocked;
        task.in_raddle = false;
        blocked
    }
}
