//! How a worker's actor begins, ends and is made anew.

use raddle_core::internal::RecorderInternals;
use std::sync::Arc;
use std::time::Duration;

use raddle_sync::thread;

use super::{Beginning, Presence, Renewal, WorkerThread};
use crate::event::EventKind;
use crate::pool::OnRetired;
use crate::restart::{Cause, Decision, RetireReason};
use crate::{Actor, AskError, SpawnError, panics};

/// The worker was taken from the thread while that was in the user's code.
pub(super) struct Lost;

impl<A: Actor> WorkerThread<A> {
    /// Makes this thread's first actor.
    pub(super) fn begin(&mut self) -> Renewal<A> {
        let Beginning::First(report) = std::mem::replace(&mut self.beginning, Beginning::Again)
        else {
            return match self.remake() {
                Renewal::Failed => self.renew(Cause::FailedStart),
                made => made,
            };
        };
        // Who waits for the report does so however long it takes: the watchdog is not told.
        let started = panics::catch(|| {
            let mut actor = (self.shared.make)(&self.worker);
            actor.on_start(&self.worker).map(|()| actor).map_err(|error| error.to_string())
        });
        match started.and_then(|started| started) {
            Ok(actor) => {
                let _ = report.send(Ok(()));
                Renewal::Made(actor)
            }
            Err(message) => {
                let worker = self.worker.name().to_owned();
                let _ = report.send(Err(SpawnError::Actor { worker, message }));
                Renewal::Failed
            }
        }
    }

    /// Lets the actor clean up, and drops it.
    pub(super) fn stop(&mut self, actor: A) -> Result<(), Lost> {
        self.in_hook(|thread| thread.part_from(actor))
    }

    /// The same on a thread that is no worker any more, whose lease is revoked for ever: nobody
    /// waits for it, however long it takes.
    pub(super) fn part_from(&self, mut actor: A) {
        panics::contain(|| actor.on_stop(&self.worker));
        panics::contain(|| drop(actor));
    }

    /// Tells the actor that its handler has panicked, and drops it.
    pub(super) fn bury(&mut self, mut actor: A, message: &str) -> Result<(), Lost> {
        let message = message.to_owned();
        self.in_hook(|thread| {
            panics::contain(|| actor.on_panic(&message, &thread.worker));
            panics::contain(|| drop(actor));
        })?;
        self.shared.tell_of(&self.worker, EventKind::Panicked { message });
        Ok(())
    }

    /// Makes the actor anew after it ended, if and when the restarts say so.
    pub(super) fn renew(&mut self, mut cause: Cause) -> Renewal<A> {
        loop {
            match self.restarts.next(cause, self.clock.now()) {
                Decision::Retire(reason) => return Renewal::Retired(reason),
                Decision::Restart { after } => self.pause(after),
            }
            self.worker.next_generation();
            match self.remake() {
                Renewal::Failed => cause = Cause::FailedStart,
                end => return end,
            }
        }
    }

    /// Makes the actor anew, once.
    fn remake(&mut self) -> Renewal<A> {
        let made = self.in_hook(|thread| {
            panics::catch(|| {
                let mut actor = (thread.shared.make)(&thread.worker);
                actor.on_restart(&thread.worker).map(|()| actor).map_err(|error| error.to_string())
            })
        });
        match made.map(|made| made.and_then(|made| made)) {
            Err(Lost) => Renewal::Lost,
            Ok(Ok(actor)) => {
                let generation = self.worker.generation();
                self.shared.tell_of(&self.worker, EventKind::Restarted { generation });
                Renewal::Made(actor)
            }
            Ok(Err(message)) => {
                // Before it is told: who hears of it may close the worker, and that is a reason to try
                // once more.
                let closed = self.worker.stats().is_closed();
                self.shared.tell_of(&self.worker, EventKind::StartFailed { message });
                match closed {
                    true => Renewal::Retired(RetireReason::ClosedWithoutActor),
                    false => Renewal::Failed,
                }
            }
        }
    }

    /// Waits until a restart is due; not at all when the worker is to end.
    fn pause(&mut self, nanos: u64) {
        let until = self.clock.now().saturating_add(nanos);
        loop {
            let left = until.saturating_sub(self.clock.now());
            if left == 0 || self.worker.stats().is_closed() {
                return;
            }
            self.inbox.pause(Duration::from_nanos(left));
        }
    }

    /// Runs hooks of the user's, which the watchdog may find to hang.
    fn in_hook<R>(&mut self, code: impl FnOnce(&Self) -> R) -> Result<R, Lost> {
        let stay = self.lease.begin_hook(self.clock.now());
        let result = code(self);
        if self.lease.end(stay) {
            return Ok(result);
        }
        // An actor, perhaps.
        panics::contain(|| drop(result));
        Err(Lost)
    }

    /// Ends the thread of a worker that has nothing in flight and takes no more.
    pub(super) fn leave(self, reason: RetireReason) {
        let shared = &self.shared;
        if shared.depart(&self.worker) {
            shared.tell_of(&self.worker, EventKind::Retired { reason });
        }
    }

    /// Ends the thread of a worker whose actor is not made anew: its tasks move to others, or end
    /// with an error that says so.
    pub(super) fn retire(mut self, reason: RetireReason) {
        let mailbox = self.inbox.mailbox().clone();
        self.shared.expel(&mailbox);
        while self.worker.stats().in_flight() > 0 {
            match mailbox.take_any() {
                // A dispatcher is between its reservation and its send.
                None => thread::yield_now(),
                Some(envelope) => {
                    let Err(envelope) = self.shared.relocate(&self.worker, envelope) else {
                        continue;
                    };
                    let key = envelope.label.key();
                    let now = self.clock.now();
                    // A supervisor hands back what a pool that failed has not run.
                    let keep = self.shared.settings.on_retired == OnRetired::Close;
                    self.end_unrun(envelope, AskError::Retired, keep, now);
                    if let Some(slot) = key {
                        self.shared.release_key(slot, self.seat);
                    }
                }
            }
        }
        let shared = Arc::clone(&self.shared);
        self.leave(reason);
        // Who was to end anyway was not retired by its restarts.
        let by_restarts = reason != RetireReason::ClosedWithoutActor;
        if by_restarts && shared.settings.on_retired == OnRetired::Close {
            shared.fail();
        }
    }

    /// Ends a thread that is no worker any more.
    pub(super) fn get_lost(self, presence: Presence<A>) {
        let Self { shared, worker, recorder, .. } = self;
        // Another thread writes the worker's statistics.
        recorder.disown();
        // Before it is told, so that who is told finds one thread less lost.
        drop(presence);
        shared.tell_of(&worker, EventKind::Returned);
    }
}
