//! How a worker brings a task to its end.

use raddle_core::internal::WorkerInternals;
use raddle_core::{Completion, Outcome};

use super::WorkerThread;
use crate::context::Asker;
use crate::envelope::{Ending, Envelope, Label, NEVER, outcome_of};
use crate::mailbox::Lane;
use crate::pool::ShedReason;
use crate::reply::ReplySender;
use crate::{Actor, AskError, Context, panics};

/// What a task's end means for the worker.
pub(super) enum Ended {
    /// The next one may be run, at the clock's time of this end.
    At(u64),
    /// The handler panicked.
    Panicked(String),
    /// The handler asked for the actor's end.
    Stopping,
    /// The worker was taken from this thread.
    Lost,
}

/// Why a task is not run.
enum Refusal {
    Expired,
    /// The asker does not want it any more.
    Withdrawn,
    /// The pool is shut down.
    Cancelled,
    Shed,
}

impl<A: Actor> WorkerThread<A> {
    /// [`end`](Self::end), not compiled into its caller.
    pub(super) fn end_other(&mut self, actor: &mut A, envelope: Envelope<A>, start: u64) -> Ended {
        self.end(actor, envelope, start)
    }

    /// Brings one task to its end: runs it if it is to be run, records, replies.
    #[inline(always)]
    pub(super) fn end(&mut self, actor: &mut A, envelope: Envelope<A>, start: u64) -> Ended {
        let Envelope { msg, reply, submitted_at, deadline, expected_duration, label } = envelope;
        self.recorder.start(start);
        let withdrawn = reply.as_ref().is_some_and(Asker::has_withdrawn);
        if let Some(refusal) =
            self.reason_not_to_run(label, submitted_at, deadline, withdrawn, start)
        {
            let envelope =
                Envelope { msg, reply, submitted_at, deadline, expected_duration, label };
            self.refuse(envelope, refusal, start);
            return Ended::At(start);
        }
        self.recorder.set_running(expected_duration);
        let asker = reply.as_ref().map(|reply| reply as &dyn Asker);
        let cancelling = &self.shared.cancelling;
        let mut context = Context::new(&self.worker, deadline, asker, cancelling, &self.lease);
        let key = label.key();
        let stay = self.watched.then(|| self.lease.begin_task(start, key.map(|slot| slot.0)));
        let answer = panics::catch(|| actor.handle(msg, &mut context));
        let kept = stay.is_none_or(|stay| self.lease.end(stay));
        let stopping = context.is_stopping();
        let end = self.clock.now();
        if !kept {
            self.end_late(answer, reply);
            return Ended::Lost;
        }
        let outcome = match &answer {
            Ok(Ok(_)) => Outcome::Completed,
            Ok(Err(_)) => Outcome::Failed,
            Err(_) => Outcome::Panicked,
        };
        self.recorder.end(&Completion {
            wait: start.saturating_sub(submitted_at),
            service: end.saturating_sub(start),
            capability: label.capability(),
            expected_duration,
            at: end,
            ..Completion::new(outcome)
        });
        // Who is answered may have the next task at once: it is to find this worker idle. And nobody is
        // to wait with what it has heard for as long as it takes to make an actor anew.
        let goes_on = outcome != Outcome::Panicked && !stopping;
        if reply.is_some() || !goes_on {
            self.recorder.publish();
        }
        if reply.is_some() && goes_on && self.worker.stats().in_flight() == 0 {
            self.recorder.mark_idle(end);
            self.inbox.rested();
        }
        if let Some(slot) = key {
            self.shared.release_key(slot, self.seat);
        }
        match answer {
            Ok(answer) => answer_to(reply, answer.map_err(AskError::Failed)),
            Err(message) => {
                answer_to(reply, Err(AskError::Panicked { message: message.clone() }));
                return Ended::Panicked(message);
            }
        }
        self.restarts.succeeded();
        if stopping { Ended::Stopping } else { Ended::At(end) }
    }

    /// The end of a task whose worker was given to another thread meanwhile: its asker is
    /// answered, and the worker's statistics are not touched.
    #[cold]
    fn end_late(
        &self,
        answer: Result<Result<A::Reply, A::Error>, String>,
        reply: Option<ReplySender<A::Reply, A::Error>>,
    ) {
        let ending: Ending<A> = match answer {
            Ok(answer) => answer.map_err(AskError::Failed),
            Err(message) => Err(AskError::Panicked { message }),
        };
        self.shared.ledger.end(outcome_of(&ending));
        answer_to(reply, ending);
    }

    #[inline(always)]
    fn reason_not_to_run(
        &mut self,
        label: Label,
        submitted_at: u64,
        deadline: u64,
        withdrawn: bool,
        now: u64,
    ) -> Option<Refusal> {
        // Whatever becomes of it, the controller is to know how long it waited.
        let shed = self.codel.is_some() && self.is_to_be_shed(label.lane(), submitted_at, now);
        if self.shared.is_cancelling() {
            return Some(Refusal::Cancelled);
        }
        // By a clock of its own: since the last task's end an asker may have been woken.
        if deadline != NEVER && self.clock.now() >= deadline {
            return Some(Refusal::Expired);
        }
        if withdrawn {
            return Some(Refusal::Withdrawn);
        }
        shed.then_some(Refusal::Shed)
    }

    fn is_to_be_shed(&mut self, lane: Lane, submitted_at: u64, now: u64) -> bool {
        let Some(controllers) = &mut self.codel else { return false };
        let controller = match lane {
            Lane::Control => return false,
            Lane::Keyed => 0,
            Lane::High => 1,
            Lane::Normal => 2,
            Lane::Low => 3,
        };
        let is_last = self.inbox.mailbox().is_lane_empty(lane);
        controllers[controller].on_take(now.saturating_sub(submitted_at), now, is_last)
    }

    /// Ends a task without running it.
    #[cold]
    fn refuse(&mut self, envelope: Envelope<A>, refusal: Refusal, now: u64) {
        let key = envelope.label.key();
        if matches!(refusal, Refusal::Shed) {
            self.worker.withdraw_work_of(envelope.expected_duration);
            self.worker.withdraw();
            self.shared.shed(envelope, ShedReason::Sojourn);
        } else {
            let reason = match refusal {
                Refusal::Expired => AskError::Expired,
                _ => AskError::Cancelled,
            };
            self.end_unrun(envelope, reason, matches!(refusal, Refusal::Cancelled), now);
        }
        if let Some(slot) = key {
            self.shared.release_key(slot, self.seat);
        }
    }

    /// Ends a task as not run, for this reason; its message is kept where a shutdown is to hand
    /// it back.
    pub(super) fn end_unrun(
        &mut self,
        envelope: Envelope<A>,
        reason: AskError<A::Error>,
        keep: bool,
        now: u64,
    ) {
        let Envelope { msg, reply, submitted_at, expected_duration, label, .. } = envelope;
        let ending: Ending<A> = Err(reason);
        let outcome = outcome_of(&ending);
        debug_assert!(matches!(outcome, Outcome::Expired | Outcome::Cancelled));
        if keep {
            self.shared.keep_unfinished(msg);
        } else {
            panics::contain(|| drop(msg));
        }
        let wait = now.saturating_sub(submitted_at);
        let capability = label.capability();
        let end =
            Completion { wait, capability, expected_duration, at: now, ..Completion::new(outcome) };
        self.recorder.end(&end);
        answer_to(reply, ending);
    }
}

/// A dropped answer, and a future's waker, are the user's code.
#[inline]
fn answer_to<R, E>(reply: Option<ReplySender<R, E>>, ending: Result<R, AskError<E>>) {
    match reply {
        Some(reply) => panics::contain(|| drop(reply.send(ending))),
        None if std::mem::needs_drop::<Result<R, E>>() => panics::contain(|| drop(ending)),
        // A panic's message at the most.
        None => drop(ending),
    }
}
