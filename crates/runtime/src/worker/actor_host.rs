//! The host of a pool's worker: one actor with plain handlers, one task at a time.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use raddle_core::internal::WorkerInternals;
use raddle_core::{Completion, Outcome, SerialRecorder};

use super::actor_life::{Factory, end_actor, gain_keys, lose_keys, scope_of, start_actor};
use super::host::{Host, SerialHost};
use super::life::{End, LastHook, Lifecycle};
use super::run::serve_until_end;
use super::station::Station;
use crate::actor::{Actor, Handler, IntoReply, Reply, Settled, StartError};
use crate::context::{After, Checkpoint, Context, Scope};
use crate::envelope::Envelope;
use crate::keyed_state::KeyedState;
use crate::keys::{KeyState, MovedKeys};
use crate::panics;
use crate::reply::{
    Answer, Asker, Ending, NoReply, Owed, ReplySender, reply_out_of_line, reply_with,
};
use crate::router::Label;
#[cfg(feature = "test")]
use crate::test::{after_handler, before_handler};
#[cfg(not(feature = "test"))]
use crate::untested::{after_handler, before_handler};

pub(crate) struct ActorHost<A, M, R> {
    actor: Option<A>,
    make: Arc<Factory<A>>,
    keyed_state: Option<Arc<KeyedState<A>>>,
    scope: Scope,
    task: PhantomData<fn(M) -> R>,
}

impl<A, M, R> ActorHost<A, M, R> {
    /// Creates the host of the worker that this station serves, which belongs to `own_pool`.
    pub(crate) fn new(
        make: Arc<Factory<A>>,
        keyed_state: Option<Arc<KeyedState<A>>>,
        station: &Station<M, R>,
        own_pool: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        let scope = scope_of(station, own_pool);
        Self { actor: None, make, keyed_state, scope, task: PhantomData }
    }
}

impl<A: Actor, M, R> Lifecycle for ActorHost<A, M, R> {
    fn start(&mut self, is_restart: bool) -> Result<bool, StartError> {
        let kept = self.actor.take();
        let (actor, stops) = start_actor(kept, &*self.make, &self.scope, is_restart)?;
        self.actor = Some(actor);
        Ok(stops)
    }

    fn lose_keys(&mut self, keys: &MovedKeys) -> Option<KeyState> {
        lose_keys(self.actor.as_mut(), self.keyed_state.as_deref(), &self.scope, keys)
    }

    fn gain_keys(&mut self, keys: &MovedKeys, state: Option<KeyState>) -> bool {
        gain_keys(self.actor.as_mut(), self.keyed_state.as_deref(), &self.scope, keys, state)
    }

    fn end(&mut self, hook: LastHook<'_>) {
        self.actor = self.actor.take().and_then(|actor| end_actor(actor, &self.scope, hook));
    }
}

/// Learns what the key of a task cost that was a success. Out of line, because inlined it would cost
/// every task without a key some instructions.
#[cold]
#[inline(never)]
pub(super) fn learn_cost(recorder: &SerialRecorder, label: Label, service: u64) {
    if let Some(age) = label.key_age() {
        recorder.learn_cost(age, label.capability(), service);
    }
}

impl<A, M, R> Host for ActorHost<A, M, R>
where
    A: Handler<M, Reply: IntoReply<Reply = R>>,
    M: Send + 'static,
    R: Reply,
{
    type Message = M;
    type Reply = R;

    fn serve_all(&mut self, station: &mut Station<M, R>) -> End {
        serve_until_end(self, station)
    }
}

impl<A, M, R> SerialHost for ActorHost<A, M, R>
where
    A: Handler<M, Reply: IntoReply<Reply = R>>,
    M: Send + 'static,
    R: Reply,
{
    #[inline(always)]
    fn serve(
        &mut self,
        task: Envelope<M, R>,
        start: u64,
        station: &mut Station<M, R>,
    ) -> Result<u64, End> {
        station.serve::<A, OUTER>(self.actor.as_mut(), &self.scope, task, start)
    }
}

/// A task that the worker has taken from its mailbox.
pub(super) const OUTER: usize = 0;
/// A task that runs at a checkpoint.
pub(super) const INNER: usize = 1;

impl<M: Send + 'static, R: Reply> Station<M, R> {
    /// Serves a task; see [`SerialHost::serve`]. The actor is unwrapped after the task, which would be copied
    /// otherwise.
    #[inline(always)]
    pub(super) fn serve<A, const DEPTH: usize>(
        &mut self,
        actor: Option<&mut A>,
        scope: &Scope,
        task: Envelope<M, R>,
        start: u64,
    ) -> Result<u64, End>
    where
        A: Handler<M, Reply: IntoReply<Reply = R>>,
    {
        let Envelope { msg, reply, submitted_at, deadline, expected_duration, label } = task;
        self.thread.recorder.start(start);
        let withdrawn = reply.as_ref().is_some_and(Asker::has_withdrawn);
        if !self.runs_unchecked(deadline, withdrawn)
            && let Some(reason) = self.reason_not_to_run(
                label,
                submitted_at,
                deadline,
                reply.as_ref().map(|reply| reply as &dyn Asker),
                start,
            )
        {
            let task = Envelope { msg, reply, submitted_at, deadline, expected_duration, label };
            self.refuse(task, reason, start);
            return Ok(start);
        }
        self.thread.recorder.set_running(expected_duration);
        let Some(actor) = actor else { unreachable!("a host serves once it has started") };
        let mut reply = reply;
        if reply.is_some() {
            if let Some(caller) = ReplySender::take_caller(&mut reply) {
                self.spans[DEPTH] = caller.enter(&self.thread.waiter.name);
            }
            if let Some(reply) = &mut reply {
                self.running.nested[DEPTH].keep(reply);
            }
        }
        let asker = reply.as_ref().map(|reply| reply as &dyn Asker);
        let key = label.partition();
        let thread = &self.thread;
        let stay = thread.watched.then(|| thread.lease.begin_task(start, key.map(|key| key.0)));
        let station: Option<&mut (dyn Checkpoint<A> + 'static)> =
            if DEPTH == OUTER { Some(&mut *self) } else { None };
        let mut cx = Context::new(scope, deadline, asker, station);
        let mut failed = false;
        let answer = panics::catch(|| {
            let loses_reply = before_handler(&scope.worker);
            let reply = actor.handle(msg, &mut cx);
            after_handler(loses_reply);
            failed = reply.fails();
            reply
        });
        let after = cx.into_after();
        let thread = &mut self.thread;
        let still_ours = stay.is_none_or(|stay| thread.lease.end(stay));
        if reply.is_some() {
            if let Some(span) = self.spans[DEPTH].take() {
                span.leave();
            }
            self.running.nested[DEPTH].take_back(&mut reply);
        }
        let end = self.thread.clock.now();
        let ran = Ran { start, end, submitted_at, expected_duration, label };
        // Everything but a plain reply is out of line.
        match answer {
            Ok(value) if still_ours && after.is_none() => match value.settle() {
                Settled::Reply(value) => {
                    let outcome = if failed { Outcome::Failed } else { Outcome::Completed };
                    let ended = self.end(ran, outcome, Ok(value), &mut reply, false, DEPTH);
                    // It was taken: dropping nothing would cost twelve instructions.
                    std::mem::forget(reply);
                    ended
                }
                Settled::Owed(owed) => self.owe_or_end(ran, owed, &mut reply, false, DEPTH),
            },
            answer => {
                let answer = answer.map(|value| (value, failed));
                match still_ours {
                    true => self.end_otherwise(ran, answer, after, &mut reply, DEPTH),
                    false => Err(self.end_given_up(answer, after, &mut reply)),
                }
            }
        }
    }

    /// Records the end of a task that has run, and replies. Returns the time, or why the actor serves no
    /// more tasks.
    #[inline(always)]
    pub(super) fn end(
        &mut self,
        ran: Ran,
        outcome: Outcome,
        answer: Answer<R>,
        reply: &mut Option<ReplySender<R>>,
        stopping: bool,
        depth: usize,
    ) -> Result<u64, End> {
        let Ran { start, end, submitted_at, expected_duration, label } = ran;
        let thread = &mut self.thread;
        let blocked = thread.lease.take_blocked();
        let service = end.saturating_sub(start).saturating_sub(blocked);
        thread.recorder.end(&Completion {
            wait: start.saturating_sub(submitted_at),
            service,
            capability: label.capability(),
            expected_duration,
            at: end,
            ..Completion::new(outcome)
        });
        // Published before the reply, because the asker may send its next task at once and must
        // find this worker idle. And before a restart, because pending ends would be invisible for
        // that long.
        let continues = outcome != Outcome::Panicked && !stopping;
        if reply.is_some() || !continues {
            thread.recorder.publish();
        }
        if reply.is_some() && continues && thread.worker.has_room() {
            thread.recorder.mark_idle(end);
            self.inbox.set_idle();
        }
        if let Some(key) = label.partition() {
            if outcome == Outcome::Completed {
                learn_cost(&thread.recorder, label, service);
            }
            self.router.control.release_key(key, self.short_id);
        }
        match answer {
            Ok(value) => reply_with(reply.take(), Ok(value)),
            // Not that of another task, to which this one was forwarded.
            Err(NoReply::Panicked(message)) if outcome == Outcome::Panicked => {
                reply_out_of_line(reply.take(), Err(NoReply::Panicked(message.clone())));
                self.checkpoints.panicked = None;
                return Err(End::Panicked(message));
            }
            Err(why) => reply_out_of_line(reply.take(), Err(why)),
        }
        if stopping {
            return Err(self.stopped(depth));
        }
        self.thread.restarts.succeeded();
        Ok(end)
    }

    /// As [`end`](Self::end), not inlined.
    #[cold]
    #[inline(never)]
    fn end_out_of_line(
        &mut self,
        ran: Ran,
        (outcome, answer): Ending<R>,
        reply: &mut Option<ReplySender<R>>,
        stopping: bool,
        depth: usize,
    ) -> Result<u64, End> {
        self.end(ran, outcome, answer, reply, stopping, depth)
    }

    /// Leaves a task in flight whose reply is owed, or ends it if the reply has come.
    #[cold]
    #[inline(never)]
    fn owe_or_end(
        &mut self,
        ran: Ran,
        owed: Arc<Owed<R>>,
        reply: &mut Option<ReplySender<R>>,
        stopping: bool,
        depth: usize,
    ) -> Result<u64, End> {
        match self.owe(ran, owed, reply) {
            Some(ending) => self.end_out_of_line(ran, ending, reply, stopping, depth),
            None if stopping => Err(self.stopped(depth)),
            None => Ok(ran.end),
        }
    }

    /// Ends a task whose handler panicked, or has asked for something.
    #[cold]
    #[inline(never)]
    fn end_otherwise<T: IntoReply<Reply = R>>(
        &mut self,
        ran: Ran,
        handled: Result<(T, bool), String>,
        after: Option<Box<After>>,
        reply: &mut Option<ReplySender<R>>,
        depth: usize,
    ) -> Result<u64, End> {
        let After { stop, gave_up } = after.map_or_else(After::default, |after| *after);
        match ending(handled, gave_up) {
            Ok(ending) => self.end_out_of_line(ran, ending, reply, stop, depth),
            Err(owed) => self.owe_or_end(ran, owed, reply, stop, depth),
        }
    }

    /// Ends a task whose worker was taken from this thread: another one writes its statistics.
    #[cold]
    #[inline(never)]
    fn end_given_up<T: IntoReply<Reply = R>>(
        &self,
        handled: Result<(T, bool), String>,
        after: Option<Box<After>>,
        reply: &mut Option<ReplySender<R>>,
    ) -> End {
        let gave_up = after.and_then(|after| after.gave_up);
        let (outcome, answer) = ending(handled, gave_up).unwrap_or_else(|owed| {
            owed.abandon();
            (Outcome::Failed, Err(NoReply::Unanswered))
        });
        self.router.control.ledger.end(outcome);
        reply_out_of_line(reply.take(), answer);
        End::Lost
    }

    /// Why the worker stops after a task that did not panic.
    #[cold]
    fn stopped(&mut self, depth: usize) -> End {
        match self.checkpoints.panicked.take() {
            Some(message) if depth == OUTER => End::Panicked(message),
            _ => {
                self.thread.restarts.succeeded();
                End::Stopped
            }
        }
    }
}

/// A task that has run.
#[derive(Clone, Copy)]
pub(super) struct Ran {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) submitted_at: u64,
    pub(super) expected_duration: u64,
    pub(super) label: Label,
}

/// How a task ends whose handler has ended and perhaps gave up; what it owes if that is a reply.
fn ending<T: IntoReply>(
    handled: Result<(T, bool), String>,
    gave_up: Option<String>,
) -> Result<Ending<T::Reply>, Arc<Owed<T::Reply>>> {
    match (handled, gave_up) {
        (Err(message), _) => Ok((Outcome::Panicked, Err(NoReply::Panicked(message)))),
        (Ok((reply, _)), Some(reason)) => {
            panics::contain(|| drop(reply));
            Ok((Outcome::Cancelled, Err(NoReply::GaveUp(reason.into_boxed_str()))))
        }
        (Ok((reply, failed)), None) => match reply.settle() {
            Settled::Reply(value) if failed => Ok((Outcome::Failed, Ok(value))),
            Settled::Reply(value) => Ok((Outcome::Completed, Ok(value))),
            Settled::Owed(owed) => Err(owed),
        },
    }
}
