//! Tasks whose handlers have deferred their replies, as the worker's thread sees them.

use std::sync::{Arc, Weak};

use raddle_core::internal::RecorderInternals;
use raddle_core::{Completion, Outcome};

use super::actor_host::Ran;
use super::station::Station;
use crate::keys::PartitionId;
use crate::mailbox::{Debt, OwedTask};
use crate::reply::{Ending, Owed, ReplySender};

impl<M: Send + 'static, R: Send + 'static> Station<M, R> {
    /// Leaves a task in flight until its reply comes. Returns its ending instead if the reply has come.
    pub(super) fn owe(
        &mut self,
        ran: Ran,
        owed: Arc<Owed<R>>,
        reply: &mut Option<ReplySender<R>>,
    ) -> Option<Ending<R>> {
        let Ran { start, submitted_at, expected_duration, label, .. } = ran;
        let task = OwedTask {
            completion: Completion {
                wait: start.saturating_sub(submitted_at),
                capability: label.capability(),
                expected_duration,
                ..Completion::new(Outcome::Completed)
            },
            started: start.saturating_add(self.thread.lease.blocked()),
            key: label.partition().map(|key| key.0),
            key_age: label.key_age(),
        };
        let mailbox = self.inbox.mailbox();
        let debt: Weak<dyn Debt> = Arc::downgrade(&owed) as _;
        let early = owed.put(reply, mailbox.debtor(), || mailbox.owe(task, debt));
        if early.is_none() {
            self.thread.lease.take_blocked();
            // It is not the running task any more.
            self.thread.recorder.pause_running();
            self.thread.restarts.succeeded();
            owed.expire_in_time(&self.desk);
        }
        early
    }

    /// Records the ends of owed tasks since the last time. Returns whether there are any.
    #[inline]
    pub(super) fn record_ends(&mut self) -> bool {
        self.inbox.mailbox().has_ends() && self.record_all_ends()
    }

    #[cold]
    fn record_all_ends(&mut self) -> bool {
        let Self { thread, router, inbox, short_id, .. } = self;
        inbox.mailbox().begin_ends();
        let now = thread.clock.now();
        while let Some((end, task)) = inbox.mailbox().take_end() {
            let service = end.at.saturating_sub(task.started);
            thread.recorder.end(&Completion {
                outcome: end.outcome,
                service,
                at: now,
                ..task.completion
            });
            if let Some(key) = task.key {
                if end.outcome == Outcome::Completed
                    && let Some(age) = task.key_age
                {
                    thread.recorder.learn_cost(age, task.completion.capability, service);
                }
                router.control.release_key(PartitionId(key), *short_id);
            }
        }
        thread.recorder.publish();
        true
    }
}
