//! The host of a pool's worker with async handlers: one actor, one task at a time.
//!
//! All handlers run in one future, the [driver](drive), which is allocated when the actor
//! starts. While a handler waits, the worker's thread parks in [`AsyncHost`]'s `serve`.

use std::any::Any;
use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use raddle_core::Outcome;
use raddle_core::internal::{ClockInternals, WorkerInternals};

use super::await_limit;
use super::begin::Begun;
use super::exchange::{Driver, Exchange, drive};
use super::unanswered::{Ended, Unanswered, settle};
use crate::actor::{Reply, StartError};
use crate::async_handler::AsyncHandler;
use crate::blocking::Awaited;
use crate::context::{After, Scope};
use crate::deadline::NEVER;
use crate::envelope::Envelope;
use crate::event::DropReason;
use crate::keyed_state::KeyedState;
use crate::keys::{KeyState, MovedKeys};
use crate::mailbox::Alarm;
use crate::panics;
use crate::reply::{Asker, NoReply, ReplySender, reply_with};
use crate::worker::actor_host::{OUTER, Ran};
use crate::worker::actor_life::{Factory, end_actor, gain_keys, lose_keys, scope_of, start_actor};
use crate::worker::host::{Host, SerialHost};
use crate::worker::life::{End, LastHook, Lifecycle};
use crate::worker::run::serve_until_end;
use crate::worker::station::Station;

pub(crate) struct AsyncHost<A, M, R> {
    /// Borrowed by the driver, as long as there is one.
    actor: Option<Rc<RefCell<A>>>,
    driver: Option<Driver>,
    exchange: Rc<Exchange<M, R>>,
    make: Arc<Factory<A>>,
    keyed_state: Option<Arc<KeyedState<A>>>,
    scope: Rc<Scope>,
    alarm: Arc<Alarm>,
    waker: Waker,
    awaited: Awaited,
    /// In nanoseconds; [`NEVER`] for none.
    await_limit: u64,
}

impl<A, M, R> AsyncHost<A, M, R> {
    /// Creates the host of the worker that this station serves, on the worker's thread.
    pub(crate) fn new(
        make: Arc<Factory<A>>,
        keyed_state: Option<Arc<KeyedState<A>>>,
        station: &Station<M, R>,
        own_pool: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        let alarm = Arc::new(Alarm::new(station.inbox.mailbox().notify().clone()));
        let awaited = Awaited::default();
        awaited.enter();
        Self {
            actor: None,
            driver: None,
            exchange: Rc::new(Exchange::new()),
            make,
            keyed_state,
            scope: Rc::new(scope_of(station, own_pool)),
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
            awaited,
            await_limit: await_limit(&station.thread.settings),
        }
    }
}

impl<A: AsyncHandler<M>, M: Send + 'static> AsyncHost<A, M, A::Reply> {
    /// Creates the driver of the actor.
    fn set_actor(&mut self, actor: A) {
        let actor = Rc::new(RefCell::new(actor));
        let (scope, exchange) = (Rc::clone(&self.scope), Rc::clone(&self.exchange));
        self.driver = Some(Box::pin(drive(Rc::clone(&actor), scope, exchange)));
        self.actor = Some(actor);
    }

    /// Calls `change` with the actor, between tasks.
    fn with_actor<T>(&mut self, change: impl FnOnce(&mut Self, Option<&mut A>) -> T) -> T {
        self.drop_driver();
        let mut actor = self.take_actor();
        let result = change(self, actor.as_mut());
        if let Some(actor) = actor {
            self.set_actor(actor);
        }
        result
    }
}

impl<A: AsyncHandler<M>, M: Send + 'static> Lifecycle for AsyncHost<A, M, A::Reply> {
    fn start(&mut self, is_restart: bool) -> Result<bool, StartError> {
        let kept = self.take_actor();
        let (actor, stops) = start_actor(kept, &*self.make, &self.scope, is_restart)?;
        self.set_actor(actor);
        Ok(stops)
    }

    fn lose_keys(&mut self, keys: &MovedKeys) -> Option<KeyState> {
        self.with_actor(|its, actor| lose_keys(actor, its.keyed_state.as_deref(), &its.scope, keys))
    }

    fn gain_keys(&mut self, keys: &MovedKeys, state: Option<KeyState>) -> bool {
        self.with_actor(|its, actor| {
            gain_keys(actor, its.keyed_state.as_deref(), &its.scope, keys, state)
        })
    }

    fn end(&mut self, hook: LastHook<'_>) {
        self.drop_driver();
        let survivor = self.take_actor().and_then(|actor| end_actor(actor, &self.scope, hook));
        self.actor = survivor.map(|actor| Rc::new(RefCell::new(actor)));
    }
}

impl<A: AsyncHandler<M>, M: Send + 'static> Host for AsyncHost<A, M, A::Reply> {
    type Message = M;
    type Reply = A::Reply;

    fn serve_all(&mut self, station: &mut Station<M, A::Reply>) -> End {
        serve_until_end(self, station)
    }
}

impl<A: AsyncHandler<M>, M: Send + 'static> SerialHost for AsyncHost<A, M, A::Reply> {
    #[inline(always)]
    fn serve(
        &mut self,
        task: Envelope<M, A::Reply>,
        start: u64,
        station: &mut Station<M, A::Reply>,
    ) -> Result<u64, End> {
        let Some(Begun { msg, mut asker, mut ran, deadline, span }) = station.begin(task, start)
        else {
            return Ok(start);
        };
        station.thread.recorder.set_running(ran.expected_duration);
        // One without an asker may have a span.
        let has_asker = asker.is_some() || span.is_some();
        if let Some(asker) = &mut asker {
            station.running.nested[OUTER].keep(asker);
        }
        self.exchange.put(msg, deadline, asker);
        let (ended, still_ours) = self.run(station, &ran, deadline);
        self.awaited.forget();
        let mut asker = None;
        if has_asker {
            if let Some(span) = span {
                span.leave();
            }
            asker = self.exchange.asker.take();
            station.running.nested[OUTER].take_back(&mut asker);
        }
        let asked = self.exchange.take_asked();
        ran.end = station.thread.clock.now();
        match ended {
            Ok((reply, failed)) if still_ours && asked.is_none() => {
                let outcome = if failed { Outcome::Failed } else { Outcome::Completed };
                let ended = station.end(ran, outcome, Ok(reply), &mut asker, false, OUTER);
                // It was taken, and dropping nothing would cost some instructions.
                std::mem::forget(asker);
                ended
            }
            ended => end_otherwise(station, ran, ended, asker, asked, still_ours),
        }
    }
}

/// Ends a task whose handler has no reply, or whose worker was taken from this thread.
#[cold]
#[inline(never)]
fn end_otherwise<M: Send + 'static, R: Reply>(
    station: &mut Station<M, R>,
    ran: Ran,
    ended: Ended<R>,
    mut asker: Option<ReplySender<R>>,
    asked: Option<After>,
    still_ours: bool,
) -> Result<u64, End> {
    let After { stop: stops, gave_up } = asked.unwrap_or_default();
    let dropped = match &ended {
        Err(Unanswered::Dropped(why)) => Some(DropReason::of(why)),
        _ => None,
    };
    let (outcome, answer) = settle(ended, gave_up);
    if !still_ours {
        // Another thread writes the worker's statistics.
        station.router.control.ledger.end(outcome);
        reply_with(asker, answer);
        return Err(End::Lost);
    }
    let ended = station.end(ran, outcome, answer, &mut asker, stops || dropped.is_some(), OUTER);
    match dropped {
        Some(reason) => Err(End::Dropped(reason)),
        None => ended,
    }
}

impl<A, M: Send + 'static, R: Reply> AsyncHost<A, M, R> {
    /// Runs the handler until it ends or is dropped. Returns how it has ended, and whether the worker
    /// still belongs to this thread.
    #[inline(always)]
    fn run(&mut self, station: &mut Station<M, R>, ran: &Ran, deadline: u64) -> (Ended<R>, bool) {
        let key = ran.label.partition().map(|key| key.0);
        let mut polled_at = ran.start;
        loop {
            let (ended, still_ours) = self.poll(station, polled_at, key);
            if let Some(ended) = ended {
                return (ended, still_ours);
            }
            match self.wait(station, deadline, still_ours) {
                Ok(now) => polled_at = now,
                Err(why) => {
                    let still_ours = self.drop_handler(station, key) && still_ours;
                    return (Err(Unanswered::Dropped(why)), still_ours);
                }
            }
        }
    }

    /// Polls the handler. Returns its answer, if it has ended, and whether the worker still belongs to this
    /// thread.
    #[inline(always)]
    fn poll(
        &mut self,
        station: &Station<M, R>,
        now: u64,
        key: Option<NonZeroU32>,
    ) -> (Option<Ended<R>>, bool) {
        let Some(driver) = &mut self.driver else {
            unreachable!("a host serves once it has started")
        };
        let (thread, waker) = (&station.thread, &self.waker);
        let stay = thread.watched.then(|| thread.lease.begin_task(now, key));
        let polled = panics::catch(|| driver.as_mut().poll(&mut Context::from_waker(waker)));
        let still_ours = stay.is_none_or(|stay| thread.lease.end(stay));
        let ended = match polled {
            Ok(_) => self.exchange.take_reply().map(Ok),
            Err(message) => Some(Err(Unanswered::Panicked(message))),
        };
        (ended, still_ours)
    }

    /// Waits until the handler must be polled again, and returns the clock's time then; or why the
    /// handler must be dropped.
    #[cold]
    fn wait(
        &mut self,
        station: &mut Station<M, R>,
        deadline: u64,
        still_ours: bool,
    ) -> Result<u64, NoReply> {
        if !still_ours {
            return Err(NoReply::Hung);
        }
        if let Some(asker) = &*self.exchange.asker.borrow() {
            asker.on_cancel(&self.alarm);
        }
        let in_raddle = self.awaited.any();
        let since = station.thread.clock.now();
        station.thread.recorder.publish();
        if in_raddle {
            station.thread.worker.begin_wait();
        }
        let hangs_at = if in_raddle { NEVER } else { since.saturating_add(self.await_limit) };
        let waited = self.wait_until(station, deadline, hangs_at);
        let nanos = station.thread.clock.now().saturating_sub(since);
        if in_raddle {
            station.thread.worker.end_wait(nanos);
            station.thread.lease.add_blocked(nanos);
        } else if waited.is_ok() {
            // A handler that is dropped has no service time.
            station.thread.recorder.add_awaited(nanos);
        }
        waited
    }

    fn wait_until(
        &self,
        station: &Station<M, R>,
        deadline: u64,
        hangs_at: u64,
    ) -> Result<u64, NoReply> {
        loop {
            if station.router.is_cancelling() {
                return Err(NoReply::ShutDown);
            }
            if self.exchange.asker.borrow().as_ref().is_some_and(Asker::has_cancelled) {
                return Err(NoReply::Cancelled);
            }
            let now = station.thread.clock.now();
            if now >= deadline {
                return Err(NoReply::Expired);
            }
            if self.alarm.take() {
                return Ok(now);
            }
            if now >= hangs_at {
                return Err(NoReply::Hung);
            }
            let until = deadline.min(hangs_at);
            let left = (until != NEVER).then(|| station.thread.clock.sleep_until(until));
            station.inbox.mailbox().notify().wait_timeout(left);
        }
    }

    /// Drops the handler, which the watchdog may find to hang. Returns whether the worker still belongs
    /// to this thread.
    #[cold]
    fn drop_handler(&mut self, station: &Station<M, R>, key: Option<NonZeroU32>) -> bool {
        let thread = &station.thread;
        if thread.lease.is_revoked() {
            self.drop_driver();
            return false;
        }
        let now = thread.clock.now();
        let stay = thread.watched.then(|| thread.lease.begin_task(now, key));
        self.drop_driver();
        stay.is_none_or(|stay| thread.lease.end(stay))
    }
}

impl<A, M, R> AsyncHost<A, M, R> {
    /// Takes the actor, once there is no driver.
    fn take_actor(&mut self) -> Option<A> {
        // The driver had the only other reference.
        self.actor.take().and_then(Rc::into_inner).map(RefCell::into_inner)
    }

    fn drop_driver(&mut self) {
        panics::contain(|| drop(self.driver.take()));
    }
}
