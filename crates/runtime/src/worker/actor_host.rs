//! The host of a pool's worker: one actor with plain handlers, one task at a time.

use std::marker::PhantomData;
use std::sync::Arc;

use raddle_core::internal::WorkerInternals;
use raddle_core::{Completion, Outcome, Worker};

use super::host::Host;
use super::lifecycle::{End, Lifecycle};
use super::station::Station;
use crate::actor::{Actor, Handler, Reply, StartError};
use crate::context::{Call, Context};
use crate::envelope::Envelope;
use crate::panics;
use crate::reply::{Answer, Asker, NoReply, ReplySender};
use crate::settings::{OnRetired, ShedReason};

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
    fn start(&mut self, is_restart: bool, call: Call<'_>) -> Result<bool, StartError> {
        let worker = call.worker();
        let mut cx = Context::new(call);
        let started = panics::catch(|| {
            let mut actor = (self.make)(worker);
            let hook = if is_restart { A::on_restart } else { A::on_start };
            hook(&mut actor, &mut cx).map(|()| actor)
        });
        self.actor = Some(started??);
        Ok(cx.is_stopping())
    }

    fn stop(&mut self, call: Call<'_>) {
        if let Some(mut actor) = self.actor.take() {
            panics::contain(|| actor.on_stop(&mut Context::new(call)));
            panics::contain(|| drop(actor));
        }
    }

    fn fail(&mut self, message: &str, call: Call<'_>) {
        if let Some(mut actor) = self.actor.take() {
            panics::contain(|| actor.on_panic(message, &mut Context::new(call)));
            panics::contain(|| drop(actor));
        }
    }

    fn discard(&mut self) {
        let actor = self.actor.take();
        panics::contain(|| drop(actor));
    }
}

impl<A: Handler<M>, M: Send + 'static> Host for ActorHost<A, M> {
    type Task = Envelope<M, A::Reply>;

    #[inline(always)]
    fn serve(
        &mut self,
        task: Self::Task,
        start: u64,
        station: &mut Station<Self::Task>,
    ) -> Result<u64, End> {
        let Envelope { msg, reply, submitted_at, deadline, expected_duration, label } = task;
        station.recorder().start(start);
        let withdrawn = reply.as_ref().is_some_and(Asker::has_withdrawn);
        if !station.runs_unchecked(deadline, withdrawn)
            && let Some(reason) =
                station.reason_not_to_run(label, submitted_at, deadline, withdrawn, start)
        {
            let task = Envelope { msg, reply, submitted_at, deadline, expected_duration, label };
            self.refuse(task, reason, start, station);
            return Ok(start);
        }
        station.recorder().set_running(expected_duration);
        let Some(actor) = &mut self.actor else {
            unreachable!("a host serves once it has started")
        };
        let thread = &station.thread;
        let asker = reply.as_ref().map(|reply| reply as &dyn Asker);
        let mut cx = Context::new(Call::new(
            &thread.worker,
            deadline,
            asker,
            &thread.cancelling,
            &thread.lease,
        ));
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
        station.recorder().end(&Completion {
            wait: start.saturating_sub(submitted_at),
            service: end.saturating_sub(start),
            capability: label.capability(),
            expected_duration,
            at: end,
            ..Completion::new(outcome)
        });
        // An asker may send its next task at once, and must find this worker idle. And nothing that
        // was published late may wait for as long as a restart takes.
        let continues = outcome != Outcome::Panicked && !stopping;
        if reply.is_some() || !continues {
            station.recorder().publish();
        }
        if reply.is_some() && continues && station.thread.worker.stats().in_flight() == 0 {
            station.recorder().mark_idle(end);
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

    #[cold]
    fn refuse(
        &mut self,
        task: Self::Task,
        reason: NoReply,
        now: u64,
        station: &mut Station<Self::Task>,
    ) {
        refuse(task, reason, now, station);
    }
}

/// Not generic in the actor.
fn refuse<M: Send + 'static, R: Send + 'static>(
    task: Envelope<M, R>,
    reason: NoReply,
    now: u64,
    station: &mut Station<Envelope<M, R>>,
) {
    let Station { thread, router, .. } = station;
    let key = task.label.partition();
    if reason == NoReply::Shed {
        thread.worker.withdraw_work_of(task.expected_duration);
        thread.worker.withdraw();
        router.shed(task, ShedReason::Sojourn);
    } else {
        thread.recorder.end(&Completion {
            wait: now.saturating_sub(task.submitted_at),
            capability: task.label.capability(),
            expected_duration: task.expected_duration,
            at: now,
            ..Completion::new(reason.outcome())
        });
        // A shutdown returns the messages that it cancels, and a supervisor those that a failed pool
        // has not run.
        let keep = match reason {
            NoReply::Cancelled => router.is_cancelling(),
            NoReply::Retired => thread.settings.on_retired == OnRetired::Close,
            _ => false,
        };
        let Envelope { reply, .. } = task;
        let task = Envelope { reply: None, ..task };
        if keep {
            router.keep_unfinished(task);
        } else {
            panics::contain(|| drop(task));
        }
        reply_with(reply, Err(reason));
    }
    if let Some(key) = key {
        router.control.release_key(key, station.short_id);
    }
}

/// Dropping an answer, and waking a future, run the user's code.
#[inline]
fn reply_with<R>(reply: Option<ReplySender<R>>, answer: Answer<R>) {
    match reply {
        Some(reply) => panics::contain_inline(|| drop(reply.send(answer))),
        None if std::mem::needs_drop::<R>() => panics::contain(|| drop(answer)),
        // At most a panic's message.
        None => drop(answer),
    }
}
