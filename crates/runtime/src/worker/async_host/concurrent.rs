use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;

use raddle_core::internal::{ClockInternals, WorkerInternals};
use raddle_core::{Completion, Outcome};

use super::await_limit;
use super::begin::Begun;
use super::sharing::Sharing;
use super::slot::{Slot, SlotTask};
use super::unanswered::{Ended, Unanswered, settle};
use crate::actor::{Actor, Reply, StartError};
use crate::context::{After, Scope};
use crate::deadline::NEVER;
use crate::envelope::Envelope;
use crate::event::{DropReason, EventKind};
use crate::keys::{KeyState, MovedKeys};
use crate::mailbox::Alarms;
use crate::panics;
use crate::reply::{Asker, NoReply, reply_with};
use crate::worker::actor_host::learn_cost;
use crate::worker::actor_life::{Factory, end_actor, scope_of, start_actor};
use crate::worker::host::Host;
use crate::worker::life::{End, LastHook, Lifecycle};
use crate::worker::station::Station;

/// The host of a pool's worker whose actor has shared handlers: several tasks at a time, each in a slot
/// with a driver of its own.
///
/// For selections, a task that runs is *set aside* as long as another one can start beside it.
///
/// A message that runs alone waits, deferred in the mailbox, until no other runs. It has a slot of its own,
/// behind the others.
pub(crate) struct ConcurrentHost<A, M, R, S: Sharing<A, M, R>> {
    /// Shared with the drivers.
    actor: Option<S::Actor>,
    slots: Box<[Slot<M, R>]>,
    /// How many tasks run side by side.
    concurrency: usize,
    /// The slots without a task, but for the one of tasks that run alone.
    free: Vec<usize>,
    /// Whether a task runs alone.
    runs_alone: bool,
    /// Whether a task waits until it can run alone.
    waits_alone: bool,
    /// Those that were woken, or whose handlers must be dropped. Kept for its memory.
    due: Vec<usize>,
    alarms: Arc<Alarms>,
    make: Arc<Factory<A>>,
    scope: Rc<Scope>,
    /// In nanoseconds; [`NEVER`] for none.
    await_limit: u64,
    /// No handler must be dropped before this, by the clock.
    next_due: u64,
    /// Why the actor ends, once no task runs any more.
    ending: Option<End>,
}

impl<A: Actor, M: Send + 'static, R: Reply, S: Sharing<A, M, R>> ConcurrentHost<A, M, R, S> {
    /// Creates the host of the worker that this station serves, on the worker's thread.
    pub(crate) fn new(
        make: Arc<Factory<A>>,
        station: &Station<M, R>,
        own_pool: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        let settings = &station.thread.settings;
        let count = settings.slots;
        let concurrency = count - usize::from(S::SOME_ALONE);
        let alarms = Alarms::new(station.inbox.mailbox().notify().clone(), count);
        Self {
            actor: None,
            slots: (0..count).map(|slot| Slot::new(alarms.of(slot))).collect(),
            concurrency,
            free: (0..concurrency).rev().collect(),
            runs_alone: false,
            waits_alone: false,
            due: Vec::with_capacity(count),
            alarms,
            make,
            scope: Rc::new(scope_of(station, own_pool)),
            await_limit: await_limit(settings),
            next_due: NEVER,
            ending: None,
        }
    }

    fn running(&self) -> usize {
        self.concurrency - self.free.len() + usize::from(self.runs_alone)
    }

    /// How many of the running tasks are set aside.
    fn aside(&self) -> usize {
        if self.runs_alone { 0 } else { self.running().min(self.concurrency - 1) }
    }

    /// Whether another task may start.
    fn takes_tasks(&self) -> bool {
        self.ending.is_none() && !self.free.is_empty() && !self.runs_alone && !self.waits_alone
    }

    /// Creates the driver of a slot that has none.
    fn create_driver(&mut self, slot: usize) {
        if let Some(actor) = &self.actor {
            let Slot { driver, exchange, .. } = &mut self.slots[slot];
            let alone = slot == self.concurrency;
            let (actor, scope, exchange) =
                (actor.clone(), Rc::clone(&self.scope), Rc::clone(exchange));
            driver.get_or_insert_with(|| S::driver(actor, scope, exchange, alone));
        }
    }

    /// Starts a task in a free slot, unless there is a reason not to.
    fn begin(
        &mut self,
        task: Envelope<M, R>,
        now: &mut u64,
        station: &mut Station<M, R>,
    ) -> Result<(), End> {
        let alone = S::SOME_ALONE && S::runs_alone(&task.msg);
        self.waits_alone = alone && self.running() > 0;
        if self.waits_alone {
            station.inbox.mailbox().defer_first(task);
            return Ok(());
        }
        let Some(Begun { msg, mut asker, ran, deadline, mut span }) = station.begin(task, *now)
        else {
            return Ok(());
        };
        self.runs_alone = alone;
        let slot = if alone { Some(self.concurrency) } else { self.free.pop() };
        let Some(slot) = slot else { unreachable!("a task is taken if a slot is free") };
        if let Some(asker) = &mut asker {
            station.running.slots[slot].keep(asker);
        }
        span.iter_mut().for_each(|span| span.pause());
        let key = ran.label.partition();
        station.keys_in_slots.extend(key);
        let leased = (key.map(|key| key.0), ran.expected_duration);
        station.thread.lease.set_slot(slot, Some(leased));
        if self.aside() == self.running() {
            station.thread.recorder.set_aside();
        }
        let its = &mut self.slots[slot];
        its.exchange.put(msg, deadline, asker);
        its.task = Some(SlotTask::new(ran, deadline, span));
        self.poll(slot, now, station)
    }

    /// Polls the handler in a slot, and ends its task if it has ended.
    fn poll(&mut self, slot: usize, now: &mut u64, station: &mut Station<M, R>) -> Result<(), End> {
        let its = &mut self.slots[slot];
        let (Some(driver), Some(task)) = (&mut its.driver, &mut its.task) else { return Ok(()) };
        task.span.iter_mut().for_each(|span| span.resume());
        its.awaited.enter();
        let thread = &station.thread;
        // As a hook: the lease knows the tasks of all slots, this one among them.
        let stay = thread.watched.then(|| thread.lease.begin_hook(*now));
        let waker = &its.waker;
        let polled = panics::catch(|| driver.as_mut().poll(&mut Context::from_waker(waker)));
        let still_ours = stay.is_none_or(|stay| thread.lease.end(stay));
        let (begun, end) = (*now, thread.clock.now());
        *now = end;
        let blocked = thread.lease.take_blocked();
        task.span.iter_mut().for_each(|span| span.pause());
        task.on_core += end.saturating_sub(begun).saturating_sub(blocked);
        task.blocked += blocked;
        let ended = match polled {
            Ok(_) => its.exchange.take_reply().map(Ok),
            Err(message) => Some(Err(Unanswered::Panicked(message))),
        };
        match ended {
            _ if !still_ours => Err(self.lose(slot, ended, station)),
            Some(ended) => {
                self.conclude(slot, ended, end, station);
                Ok(())
            }
            None => {
                its.waits(end);
                if let Some(asker) = &*its.exchange.asker.borrow() {
                    asker.on_cancel(&its.alarm);
                }
                let due = its.task.as_ref().map_or(NEVER, |task| task.due(self.await_limit));
                self.next_due = self.next_due.min(due);
                Ok(())
            }
        }
    }

    /// Polls the handlers that were woken, unless they must be dropped.
    fn poll_woken(&mut self, now: &mut u64, station: &mut Station<M, R>) -> Result<(), End> {
        let mut due = std::mem::take(&mut self.due);
        self.alarms.take(|slot| due.push(slot));
        if !due.is_empty() {
            *now = station.thread.clock.now();
        }
        let mut result = Ok(());
        for slot in due.drain(..) {
            let blocked = self.slots[slot].wait_ends(*now);
            if blocked > 0 {
                station.thread.worker.end_wait(blocked);
            }
            let cancelling = station.router.is_cancelling();
            result = match self.slots[slot].must_end(*now, cancelling) {
                Some(why) => self.drop_handler(slot, why, now, station),
                None => self.poll(slot, now, station),
            };
            if result.is_err() {
                break;
            }
        }
        self.due = due;
        result
    }

    /// Drops the handlers that must end though nothing wakes them.
    fn drop_due(&mut self, now: &mut u64, station: &mut Station<M, R>) -> Result<(), End> {
        let cancelling = station.router.is_cancelling();
        if !cancelling && *now < self.next_due {
            return Ok(());
        }
        *now = station.thread.clock.now();
        self.next_due = NEVER;
        for slot in 0..self.slots.len() {
            match self.slots[slot].must_end_unwoken(*now, cancelling, self.await_limit) {
                Some(why) => self.drop_handler(slot, why, now, station)?,
                None => {
                    let task = self.slots[slot].task.as_ref();
                    let due = task.map_or(NEVER, |task| task.due(self.await_limit));
                    self.next_due = self.next_due.min(due);
                }
            }
        }
        Ok(())
    }

    /// Drops a handler, which the watchdog may find to hang, and ends its task.
    #[cold]
    fn drop_handler(
        &mut self,
        slot: usize,
        why: NoReply,
        now: &mut u64,
        station: &mut Station<M, R>,
    ) -> Result<(), End> {
        let thread = &station.thread;
        let stay = thread.watched.then(|| thread.lease.begin_hook(*now));
        self.drop_driver(slot);
        let still_ours = stay.is_none_or(|stay| thread.lease.end(stay));
        thread.lease.take_blocked();
        *now = thread.clock.now();
        let ended = Err(Unanswered::Dropped(why));
        if !still_ours {
            return Err(self.lose(slot, Some(ended), station));
        }
        self.conclude(slot, ended, *now, station);
        Ok(())
    }

    /// Ends the task in a slot, records it and replies.
    fn conclude(&mut self, slot: usize, ended: Ended<R>, now: u64, station: &mut Station<M, R>) {
        let its = &mut self.slots[slot];
        let Some(SlotTask { ran, on_core, blocked, span, .. }) = its.task.take() else { return };
        if let Some(span) = span {
            span.leave();
        }
        its.awaited.forget();
        let After { stop: stops, gave_up } = its.exchange.take_asked().unwrap_or_default();
        let mut asker = its.exchange.asker.take();
        station.running.slots[slot].take_back(&mut asker);
        station.thread.lease.set_slot(slot, None);
        let was_aside = self.aside();
        if slot == self.concurrency {
            self.runs_alone = false;
        } else {
            self.free.push(slot);
        }
        let is_aside = self.aside();
        let dropped = match &ended {
            Err(Unanswered::Dropped(why)) => Some(DropReason::of(why)),
            _ => None,
        };
        let has_driver = ended.is_ok();
        let (outcome, answer) = settle(ended, gave_up);
        let service = now.saturating_sub(ran.start).saturating_sub(blocked);
        let recorder = &mut station.thread.recorder;
        if outcome.ran() {
            recorder.add_awaited(service.saturating_sub(on_core));
        }
        let end = Completion {
            wait: ran.start.saturating_sub(ran.submitted_at),
            service,
            capability: ran.label.capability(),
            expected_duration: ran.expected_duration,
            at: now,
            ..Completion::new(outcome)
        };
        if is_aside < was_aside {
            recorder.end_aside(&end);
        } else {
            recorder.end(&end);
        }
        // Before the reply: the asker must find room here.
        recorder.publish();
        if let Some(key) = ran.label.partition() {
            if outcome == Outcome::Completed {
                learn_cost(recorder, ran.label, service);
            }
            let at = station.keys_in_slots.iter().position(|other| *other == key);
            at.map(|at| station.keys_in_slots.swap_remove(at));
            station.router.control.release_key(key, station.short_id);
        }
        station.served(ran.label, now.saturating_sub(on_core), now);
        if let (Outcome::Panicked, Err(NoReply::Panicked(message))) = (outcome, &answer) {
            self.ending.get_or_insert(End::Panicked(message.clone()));
        } else {
            station.thread.restarts.succeeded();
        }
        reply_with(asker, answer);
        if let Some(reason) = dropped {
            if slot == self.concurrency {
                // It may have changed the actor by half.
                self.ending.get_or_insert(End::Dropped(reason));
            } else {
                station.thread.announce(EventKind::Dropped { reason });
            }
        }
        if !has_driver {
            self.drop_driver(slot);
            if self.ending.is_none() {
                self.create_driver(slot);
            }
        }
        if stops {
            self.ending.get_or_insert(End::Stopped);
        }
    }

    /// Ends the tasks of all slots by the pool's ledger: the worker belongs to another thread, which has
    /// taken them off its account. `ended` is how the one in `slot` has ended, if it has.
    #[cold]
    fn lose(&mut self, slot: usize, ended: Option<Ended<R>>, station: &mut Station<M, R>) -> End {
        let mut its_own = ended;
        for index in 0..self.slots.len() {
            let Some(task) = self.slots[index].task.take() else { continue };
            if let Some(span) = task.span {
                span.leave();
            }
            let ended = if index == slot { its_own.take() } else { None };
            let ended = ended.unwrap_or(Err(Unanswered::Dropped(NoReply::Hung)));
            self.drop_driver(index);
            let exchange = &self.slots[index].exchange;
            let (outcome, answer) =
                settle(ended, exchange.take_asked().and_then(|after| after.gave_up));
            let mut asker = exchange.asker.take();
            station.running.slots[index].take_back(&mut asker);
            station.router.control.ledger.end(outcome);
            reply_with(asker, answer);
        }
        End::Lost
    }

    fn drop_driver(&mut self, slot: usize) {
        panics::contain(|| drop(self.slots[slot].driver.take()));
    }

    /// Waits until a handler was woken or must be dropped, or a task can start.
    fn wait(&mut self, now: &mut u64, station: &mut Station<M, R>) {
        let left =
            (self.next_due != NEVER).then(|| station.thread.clock.sleep_until(self.next_due));
        if self.takes_tasks() {
            station.thread.recorder.mark_idle(*now);
            let aside = self.aside();
            let beside = (self.running() - aside) as u64;
            station.inbox.wait_beside(&mut station.thread.recorder, beside, aside as u64, left);
        } else {
            station.thread.recorder.publish();
            station.inbox.mailbox().notify().wait_timeout(left);
        }
        *now = station.thread.clock.now();
    }

    /// Takes a task that may start now, without waiting for one.
    fn take(station: &mut Station<M, R>) -> Option<Envelope<M, R>> {
        station.take().or_else(|| station.steal())
    }

    fn serve_to_end(&mut self, station: &mut Station<M, R>) -> Result<(), End> {
        let mut now = station.thread.clock.now();
        loop {
            self.poll_woken(&mut now, station)?;
            self.drop_due(&mut now, station)?;
            if self.running() == 0 {
                if let Some(end) = self.ending.take() {
                    return Err(end);
                }
                self.waits_alone = false;
                match station.next(&mut now) {
                    Some(task) => self.begin(task, &mut now, station)?,
                    None => return Err(End::Drained),
                }
            } else if self.takes_tasks()
                && let Some(task) = Self::take(station)
            {
                self.begin(task, &mut now, station)?;
            } else {
                self.wait(&mut now, station);
            }
        }
    }
}

impl<A: Actor, M: Send + 'static, R: Reply, S: Sharing<A, M, R>> Lifecycle
    for ConcurrentHost<A, M, R, S>
{
    fn start(&mut self, is_restart: bool) -> Result<bool, StartError> {
        let kept = self.actor.take().and_then(S::take_back);
        let (actor, stops) = start_actor(kept, &*self.make, &self.scope, is_restart)?;
        self.actor = Some(S::share(actor));
        (0..self.slots.len()).for_each(|slot| self.create_driver(slot));
        Ok(stops)
    }

    // Handlers side by side share their actor, so it has no keyed state.

    fn lose_keys(&mut self, _: &MovedKeys) -> Option<KeyState> {
        None
    }

    fn gain_keys(&mut self, _: &MovedKeys, state: Option<KeyState>) -> bool {
        state.is_none()
    }

    fn end(&mut self, hook: LastHook<'_>) {
        (0..self.slots.len()).for_each(|slot| self.drop_driver(slot));
        // The drivers had the only other references.
        let actor = self.actor.take().and_then(S::take_back);
        self.actor = actor.and_then(|actor| end_actor(actor, &self.scope, hook)).map(S::share);
    }
}

impl<A: Actor, M: Send + 'static, R: Reply, S: Sharing<A, M, R>> Host
    for ConcurrentHost<A, M, R, S>
{
    type Message = M;
    type Reply = R;

    fn serve_all(&mut self, station: &mut Station<M, R>) -> End {
        let Err(end) = self.serve_to_end(station) else { unreachable!("it serves until its end") };
        end
    }
}
