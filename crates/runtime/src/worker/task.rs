//! How a worker brings a task to its end.

use raddle_core::{Finished, Outcome};

use super::WorkerThread;
use crate::context::Asker;
use crate::envelope::{Ending, Envelope, NEVER, outcome_of};
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
    /// Brings one task to its end: runs it if it is to be run, records, replies.
    #[inline]
    pub(super) fn end(&mut self, actor: &mut A, envelope: Envelope<A>, start: u64) -> Ended {
        self.recorder.start(start);
        if let Some(refusal) = self.reason_not_to_run(&envelope, start) {
            self.refuse(envelope, refusal, start);
            return Ended::At(start);
        }
        let Envelope { msg, reply, given_at, deadline, capability, size, key, .. } = envelope;
        self.recorder.run(size);
        let asker = reply.as_ref().map(|reply| reply as &dyn Asker);
        let cancelling = &self.shared.cancelling;
        let mut context = Context::new(&self.worker, deadline, asker, cancelling, &self.lease);
        let slot = key.map(|slot| slot.0);
        let stay = self.watched.then(|| self.lease.begin_task(start, slot));
        let answer = panics::catch(|| actor.handle(msg, &mut context));
        let kept = stay.is_none_or(|stay| self.lease.end(stay));
        let stopping = context.is_stopping();
        let end = self.clock.now();
        let (ending, panic) = match answer {
            Ok(answer) => (answer.map_err(AskError::Failed), None),
            Err(message) => (Err(AskError::Panicked { message: message.clone() }), Some(message)),
        };
        if !kept {
            self.end_late(ending, reply);
            return Ended::Lost;
        }
        self.recorder.end(&Finished {
            wait: start.saturating_sub(given_at),
            service: end.saturating_sub(start),
            capability,
            size,
            at: end,
            ..Finished::new(outcome_of(&ending))
        });
        // Who is answered may have the next task at once: it is to find this worker idle.
        let goes_on = panic.is_none() && !stopping;
        if goes_on && reply.is_some() && self.worker.stats().in_flight() == 0 {
            self.recorder.rest(end);
        }
        if let Some(slot) = key {
            self.shared.release_key(slot, self.seat);
        }
        answer_to(reply, ending);
        match panic {
            Some(message) => Ended::Panicked(message),
            None => {
                self.restarts.succeeded();
                if stopping { Ended::Stopping } else { Ended::At(end) }
            }
        }
    }

    /// The end of a task whose worker was given to another thread meanwhile: its asker is
    /// answered, and the worker's statistics are not touched.
    #[cold]
    fn end_late(&self, ending: Ending<A>, reply: Option<ReplySender<A::Reply, A::Error>>) {
        self.shared.ledger.end(outcome_of(&ending));
        answer_to(reply, ending);
    }

    #[inline]
    fn reason_not_to_run(&mut self, envelope: &Envelope<A>, now: u64) -> Option<Refusal> {
        // Whatever becomes of it, the controller is to know how long it waited.
        let shed = self.is_to_be_shed(envelope, now);
        if self.shared.is_cancelling() {
            return Some(Refusal::Cancelled);
        }
        // By a clock of its own: since the last task's end an asker may have been woken.
        if envelope.deadline != NEVER && self.clock.now() >= envelope.deadline {
            return Some(Refusal::Expired);
        }
        if envelope.reply.as_ref().is_some_and(Asker::has_withdrawn) {
            return Some(Refusal::Withdrawn);
        }
        shed.then_some(Refusal::Shed)
    }

    #[inline]
    fn is_to_be_shed(&mut self, envelope: &Envelope<A>, now: u64) -> bool {
        let Some(controllers) = &mut self.codel else { return false };
        let lane = match envelope.lane {
            Lane::Control => return false,
            Lane::Keyed => 0,
            Lane::High => 1,
            Lane::Normal => 2,
            Lane::Low => 3,
        };
        let is_last = self.inbox.mailbox().is_lane_empty(envelope.lane);
        let sojourn = now.saturating_sub(envelope.given_at);
        controllers[lane].on_take(sojourn, now, is_last)
    }

    /// Ends a task without running it.
    #[cold]
    fn refuse(&mut self, envelope: Envelope<A>, refusal: Refusal, now: u64) {
        let key = envelope.key;
        if matches!(refusal, Refusal::Shed) {
            self.worker.give_up_work(envelope.size);
            self.worker.give_up();
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
        let Envelope { msg, reply, given_at, capability, size, .. } = envelope;
        let ending: Ending<A> = Err(reason);
        let outcome = outcome_of(&ending);
        debug_assert!(matches!(outcome, Outcome::Expired | Outcome::Cancelled));
        if keep {
            self.shared.keep_unfinished(msg);
        } else {
            panics::contain(|| drop(msg));
        }
        let wait = now.saturating_sub(given_at);
        let end = Finished { wait, capability, size, at: now, ..Finished::new(outcome) };
        self.recorder.end(&end);
        answer_to(reply, ending);
    }
}

/// A dropped answer, and a future's waker, are the user's code.
#[inline]
fn answer_to<R, E>(reply: Option<ReplySender<R, E>>, ending: Result<R, AskError<E>>) {
    panics::contain(|| match reply {
        Some(reply) => drop(reply.send(ending)),
        None => drop(ending),
    });
}
