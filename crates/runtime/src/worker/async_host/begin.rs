use crate::actor::Reply;
use crate::envelope::Envelope;
use crate::reply::{Asker, ReplySender};
use crate::span::Entered;
use crate::worker::actor_host::Ran;
use crate::worker::station::Station;

/// A task that is about to run.
pub(super) struct Begun<M, R> {
    pub(super) msg: M,
    pub(super) asker: Option<ReplySender<R>>,
    /// Its `end` is yet to come.
    pub(super) ran: Ran,
    pub(super) deadline: u64,
    pub(super) span: Option<Box<Entered>>,
}

impl<M: Send + 'static, R: Reply> Station<M, R> {
    /// Begins a task with an async handler at the clock's `start`; `None` if there was a reason not to.
    #[inline(always)]
    pub(super) fn begin(&mut self, task: Envelope<M, R>, start: u64) -> Option<Begun<M, R>> {
        let (label, submitted_at, deadline) = (task.label, task.submitted_at, task.deadline);
        self.thread.recorder.start(start);
        let asker = task.reply.as_ref().map(|reply| reply as &dyn Asker);
        let withdrawn = asker.is_some_and(Asker::has_withdrawn);
        if !self.runs_unchecked(deadline, withdrawn)
            && let Some(reason) =
                self.reason_not_to_run(label, submitted_at, deadline, asker, start)
        {
            self.refuse(task, reason, start);
            return None;
        }
        let Envelope { msg, reply: mut asker, expected_duration, .. } = task;
        let mut span = None;
        if asker.is_some()
            && let Some(caller) = ReplySender::take_caller(&mut asker)
        {
            span = caller.enter(&self.thread.waiter.name);
        }
        let ran = Ran { start, end: start, submitted_at, expected_duration, label };
        Some(Begun { msg, asker, ran, deadline, span })
    }
}
