//! The host of a pool's worker: one actor with plain handlers, one task at a time.

use std::marker::PhantomData;
use std::sync::Arc;

use raddle_core::{Completion, Outcome, Worker};

use super::host::Host;
use super::life::{End, LastHook, Lifecycle, WorkerThread};
use super::station::{Station, reply_with};
use crate::actor::{Actor, Handler, Reply, StartError};
use crate::deadline::NEVER;
use crate::envelope::Envelope;
use crate::panics;
use crate::reply::{Asker, NoReply};

/// Creates a worker's actor, on the worker's thread.
pub(crate) type Factory<A> = dyn Fn(&Worker) -> A + Send + Sync;

pub(crate) struct ActorHost<A, M> {
    actor: Option<A>,
    make: Arc<Factory<A>>,
    messages: PhantomData<fn(M)>,
}

impl<A, M> ActorHost<A, M> {
    pub(crate) fn new(make: Arc<Factory<A>>) -> Self {
        Self { actor: None, make, messages: PhantomData }
    }
}

impl<A: Actor, M> Lifecycle for ActorHost<A, M> {
    fn start(&mut self, is_restart: bool, thread: &WorkerThread) -> Result<bool, StartError> {
        let mut cx = thread.context(NEVER, None);
        let started = panics::catch(|| {
            let mut actor = (self.make)(&thread.worker);
            let hook = if is_restart { A::on_restart } else { A::on_start };
            hook(&mut actor, &mut cx).map(|()| actor)
        });
        self.actor = Some(started??);
        Ok(cx.is_stopping())
    }

    fn end(&mut self, hook: LastHook<'_>, thread: &WorkerThread) {
        let Some(mut actor) = self.actor.take() else { return };
        let mut cx = thread.context(NEVER, None);
        panics::contain(|| match hook {
            LastHook::Stop => actor.on_stop(&mut cx),
            LastHook::Panic(message) => actor.on_panic(message, &mut cx),
            LastHook::None => {}
        });
        panics::contain(|| drop(actor));
    }
}

impl<A: Handler<M>, M: Send + 'static> Host for ActorHost<A, M> {
    type Message = M;
    type Reply = A::Reply;

    #[inline(always)]
    fn serve(
        &mut self,
        task: Envelope<M, A::Reply>,
        start: u64,
        station: &mut Station<Envelope<M, A::Reply>>,
    ) -> Result<u64, End> {
        let Envelope { msg, reply, submitted_at, deadline, expected_duration, label } = task;
        station.thread.recorder.start(start);
        let withdrawn = reply.as_ref().is_some_and(Asker::has_withdrawn);
        if !station.runs_unchecked(deadline, withdrawn)
            && let Some(reason) =
                station.reason_not_to_run(label, submitted_at, deadline, withdrawn, start)
        {
            let task = Envelope { msg, reply, submitted_at, deadline, expected_duration, label };
            station.refuse(task, reason, start);
            return Ok(start);
        }
        station.thread.recorder.set_running(expected_duration);
        let Some(actor) = &mut self.actor else {
            unreachable!("a host serves once it has started")
        };
        let thread = &station.thread;
        let asker = reply.as_ref().map(|reply| reply as &dyn Asker);
        let mut cx = thread.context(deadline, asker);
        let key = label.partition();
        let stay = thread.watched.then(|| thread.lease.begin_task(start, key.map(|key| key.0)));
        let answer = panics::catch(|| actor.handle(msg, &mut cx));
        let still_ours = stay.is_none_or(|stay| thread.lease.end(stay));
        let stopping = cx.is_stopping();
        let end = thread.clock.now();
        let outcome = match &answer {
            Ok(value) if value.is_failure() => Outcome::Failed,
            Ok(_) => Outcome::Completed,
            Err(_) => Outcome::Panicked,
        };
        if !still_ours {
            // Another thread writes the worker's statistics.
            station.router.control.ledger.end(outcome);
            reply_with(reply, answer.map_err(NoReply::Panicked));
            return Err(End::Lost);
        }
        station.thread.recorder.end(&Completion {
            wait: start.saturating_sub(submitted_at),
            service: end.saturating_sub(start),
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
            station.thread.recorder.publish();
        }
        if reply.is_some() && continues && station.thread.worker.stats().in_flight() == 0 {
            station.thread.recorder.mark_idle(end);
            station.inbox.set_idle();
        }
        if let Some(key) = key {
            station.router.control.release_key(key, station.short_id);
        }
        match answer {
            Ok(value) => reply_with(reply, Ok(value)),
            Err(message) => {
                reply_with(reply, Err(NoReply::Panicked(message.clone())));
                return Err(End::Panicked(message));
            }
        }
        station.thread.restarts.succeeded();
        if stopping { Err(End::Stopped) } else { Ok(end) }
    }
}
