use std::sync::Arc;

use raddle_core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use raddle_core::{Clock, Finished, Recorder, Worker};

use crate::envelope::{Ending, Envelope, outcome_of};
use crate::mailbox::Inbox;
use crate::{Actor, AskError, Context, panics};

/// Makes a worker's actor, on the worker's thread.
pub(crate) type Factory<A> = dyn Fn(&Worker) -> A + Send + Sync;

/// A worker as its thread has it: the actor, the mailbox and the right to record.
pub(crate) struct WorkerThread<A: Actor> {
    worker: Arc<Worker>,
    clock: Clock,
    inbox: Inbox<Envelope<A>>,
    recorder: Recorder,
    factory: Arc<Factory<A>>,
    /// Set when what is queued is to be cancelled.
    cancelling: Arc<AtomicBool>,
    /// `None` after a panic, until it is made anew.
    actor: Option<A>,
}

impl<A: Actor> WorkerThread<A> {
    /// To be called on the worker's thread: makes its actor.
    ///
    /// # Errors
    /// What the panic said when the actor could not be made.
    pub(crate) fn start(
        worker: Arc<Worker>,
        inbox: Inbox<Envelope<A>>,
        recorder: Recorder,
        factory: Arc<Factory<A>>,
        cancelling: Arc<AtomicBool>,
    ) -> Result<Self, String> {
        let clock = worker.clock().clone();
        let actor = Some(panics::catch(|| factory(&worker))?);
        Ok(Self { worker, clock, inbox, recorder, factory, cancelling, actor })
    }

    /// Runs tasks until the mailbox is closed and every admitted task has ended.
    pub(crate) fn run(mut self) {
        let mut now = self.clock.now();
        loop {
            let next = self.inbox.try_next().or_else(|| {
                self.recorder.rest(now);
                let next = self.inbox.wait_next();
                now = self.clock.now();
                next
            });
            let Some(envelope) = next else { break };
            // The end of one task is the start of the next: one clock reading a task.
            now = self.end(envelope, now);
        }
        let actor = self.actor.take();
        panics::contain(|| drop(actor));
    }

    /// Brings one task to its end: runs it if it is to be run, records, replies. Returns the time.
    fn end(&mut self, envelope: Envelope<A>, start: u64) -> u64 {
        self.recorder.start(start);
        let Envelope { msg, reply, given_at, deadline, capability } = envelope;
        let mut end = start;
        let ending = match self.reason_not_to_run(deadline, start) {
            Some(reason) => {
                panics::contain(|| drop(msg));
                Err(reason)
            }
            None => {
                let ending = self.handle(msg, deadline);
                end = self.clock.now();
                ending
            }
        };
        self.recorder.end(&Finished {
            outcome: outcome_of(&ending),
            wait: start.saturating_sub(given_at),
            service: end.saturating_sub(start),
            capability,
        });
        let panicked = matches!(ending, Err(AskError::Panicked { .. }));
        // A dropped answer, and a future's waker, are the user's code.
        panics::contain(|| match reply {
            Some(reply) => drop(reply.send(ending)),
            None => drop(ending),
        });
        if panicked {
            self.revive();
            end = self.clock.now();
        }
        end
    }

    #[inline]
    fn reason_not_to_run(&self, deadline: Option<u64>, now: u64) -> Option<AskError<A::Error>> {
        if self.cancelling.load(Relaxed) {
            return Some(AskError::Cancelled);
        }
        deadline.is_some_and(|deadline| now >= deadline).then_some(AskError::Expired)
    }

    #[inline]
    fn handle(&mut self, msg: A::Msg, deadline: Option<u64>) -> Ending<A> {
        let worker = &*self.worker;
        let actor = match &mut self.actor {
            Some(actor) => actor,
            slot => match panics::catch(|| (self.factory)(worker)) {
                Ok(actor) => slot.insert(actor),
                Err(message) => {
                    panics::contain(|| drop(msg));
                    return Err(AskError::Panicked { message });
                }
            },
        };
        match panics::catch(|| actor.handle(msg, &mut Context::new(worker, deadline))) {
            Ok(answer) => answer.map_err(AskError::Failed),
            Err(message) => Err(AskError::Panicked { message }),
        }
    }

    /// Makes the actor anew after a panic. If that panics too, each later task tries again.
    #[cold]
    fn revive(&mut self) {
        let old = self.actor.take();
        panics::contain(|| drop(old));
        let generation = self.worker.next_generation();
        let made = panics::catch(|| (self.factory)(&self.worker));
        let worker = self.worker.name();
        match made {
            Ok(actor) => {
                tracing::warn!(worker, generation, "a handler panicked, its actor is made anew");
                self.actor = Some(actor);
            }
            Err(message) => {
                tracing::error!(worker, generation, message, "the actor could not be made anew");
            }
        }
    }
}
