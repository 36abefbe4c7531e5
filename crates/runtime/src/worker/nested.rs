//! Runs tasks that have waited for too long inside the handler of another, at its checkpoints.
//!
//! A channel shows no task before it is taken, so a checkpoint takes those at the front of the urgent
//! lanes and the normal ones. It *passes over* a task that may not run there, that is, puts it among
//! the mailbox's deferred ones. A deferred task without a key is still the first of its lane. Tasks with
//! keys have a lane of their own, so none runs here.

use raddle_core::internal::{RecorderInternals, WorkerInternals};

use super::actor_host::INNER;
use super::life::End;
use super::station::Station;
use crate::actor::{Handler, IntoReply, Reply};
use crate::context::{Checkpoint, Scope};
use crate::envelope::Envelope;
use crate::mailbox::Lane;

/// While this many tasks are deferred, no more are passed over: those have left their channels, and make
/// room there beyond the mailbox's capacity. A short task behind more long ones waits for the handler.
const MAX_DEFERRED: usize = 8;

impl<A, M, R> Checkpoint<A> for Station<M, R>
where
    A: Handler<M, Reply: IntoReply<Reply = R>>,
    M: Send + 'static,
    R: Reply,
{
    fn run_due(&mut self, actor: &mut A, scope: &Scope) -> bool {
        let mark = self.thread.worker.admission_mark();
        if self.thread.worker.stats().in_flight() <= 1 {
            // The mark was read before: if it changes, there is another task.
            scope.alone_at.set(mark);
            return false;
        }
        let begin = self.thread.clock.now();
        if begin < self.checkpoints.next {
            return false;
        }
        // From here on, the worker stays with this thread, unless a task hangs that runs here.
        let Some(stay) = self.thread.lease.pause() else { return false };
        let running = self.thread.recorder.pause_running();
        self.thread.lease.set_paused_work(running.expected_duration());
        self.record_ends();
        let quantum = self.checkpoints.quantum;
        self.checkpoints.next = u64::MAX;
        let (mut now, mut stops) = (begin, false);
        while now.saturating_sub(begin) < quantum
            && !stops
            && let Some(task) = self.take_due(now)
        {
            match self.serve::<A, INNER>(Some(actor), scope, task, now) {
                Ok(end) => now = end,
                Err(End::Panicked(message)) => {
                    self.checkpoints.panicked = Some(message);
                    stops = true;
                }
                Err(End::Lost) => return true,
                Err(_) => stops = true,
            }
        }
        now = self.thread.clock.now();
        let took = now.saturating_sub(begin);
        let next = self.checkpoints.next.min(now.saturating_add(quantum));
        self.checkpoints.next = next.max(now.saturating_add(took));
        self.thread.recorder.resume_running(&running, took);
        self.thread.lease.unpause(stay, took);
        stops
    }
}

impl<M: Send + 'static, R: Send + 'static> Station<M, R> {
    /// Takes the next task that is due at a checkpoint.
    fn take_due(&mut self, now: u64) -> Option<Envelope<M, R>> {
        let free = self.inbox.mailbox().free_lanes().iter().filter(|lane| **lane != Lane::Low);
        [Lane::Control].iter().chain(free).find_map(|lane| self.take_due_in(*lane, now))
    }

    fn take_due_in(&mut self, lane: Lane, now: u64) -> Option<Envelope<M, R>> {
        let Self { thread, inbox, checkpoints, .. } = self;
        let (mailbox, quantum) = (inbox.mailbox(), checkpoints.quantum);
        // The time from which on the task may run at a checkpoint, if it may.
        let due_at = |task: &Envelope<M, R>| {
            let is_short = || {
                let expected = match (task.expected_duration, task.label.capability()) {
                    (0, Some(capability)) => {
                        let mean = thread.worker.baseline().mean_for(Some(capability));
                        mean.map_or(u64::MAX, |mean| mean as u64)
                    }
                    (0, None) => u64::MAX,
                    (expected, _) => expected,
                };
                expected < quantum
            };
            let runs_here = lane.of_all_sizes() != Lane::Normal || is_short();
            runs_here.then(|| task.submitted_at.saturating_add(quantum))
        };
        // When the first task that is not due will be.
        let mut next = u64::MAX;
        let mut taken = None;
        if mailbox.deferred() > 0 {
            taken = mailbox.take_deferred_if(|task| {
                let due = if task.label.lane() == lane { due_at(task) } else { None };
                next = next.min(due.unwrap_or(u64::MAX));
                due.is_some_and(|due| due <= now)
            });
        }
        // Behind a task that is not due, none is.
        while taken.is_none() && next == u64::MAX && mailbox.deferred() < MAX_DEFERRED {
            let Some(task) = mailbox.take(lane) else { break };
            match due_at(&task) {
                Some(due) if due <= now => taken = Some(task),
                due => {
                    next = due.unwrap_or(u64::MAX);
                    mailbox.defer(task);
                }
            }
        }
        if taken.is_none() {
            checkpoints.next = checkpoints.next.min(next);
        }
        taken
    }
}
