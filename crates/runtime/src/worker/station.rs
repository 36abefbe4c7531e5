//! Takes a worker's tasks, its own, deferred ones, and those of siblings, and ends those that do not
//! run.

use std::sync::Arc;

use raddle_core::Completion;
use raddle_core::internal::WorkerInternals;
use raddle_sync::thread;

use super::life::WorkerThread;
use super::{Overseer, Start};
use crate::codel::Controller;
use crate::deadline::NEVER;
use crate::envelope::Envelope;
use crate::keys::{PartitionId, ShortId};
use crate::mailbox::{Inbox, Lane, Mailbox};
use crate::panics;
use crate::reply::{Answer, NoReply, ReplySender};
use crate::router::{Label, Routed, Router};
use crate::settings::{OnRetired, Settings, ShedReason};

/// A worker's thread and the mailbox that it serves.
pub(crate) struct Station<T> {
    pub(super) thread: WorkerThread,
    pub(super) router: Arc<Router<T>>,
    pub(super) inbox: Inbox<T>,
    pub(super) short_id: ShortId,
    /// Tasks taken in a row, without finding the mailbox empty.
    pub(super) in_a_row: u32,
    /// One for each lane, if the pool sheds by sojourn time.
    codel: Option<[Controller; Lane::ALL.len()]>,
}

/// A worker that runs out of tasks after at least this many in a row waits until some have
/// gathered. If it took each task as soon as it is sent, worker and dispatcher would take a cache
/// line from each other at every task (one worker: 207 ns per task, 77 with the wait).
const STREAM: u32 = 8;
/// How long it waits for that, in yields of a quarter to half a microsecond.
const GATHERING: u32 = 4;

impl<T: Routed> Station<T> {
    pub(crate) fn new(
        start: Start,
        router: Arc<Router<T>>,
        mailbox: &Mailbox<T>,
        settings: Arc<Settings>,
        overseer: Arc<dyn Overseer>,
    ) -> Self {
        let codel = settings.codel.map(|codel| std::array::from_fn(|_| Controller::new(codel)));
        Self {
            inbox: mailbox.inbox(settings.wait, Arc::clone(&router.parked)),
            short_id: start.worker.id().short_id(),
            in_a_row: 0,
            codel,
            thread: WorkerThread::new(
                start,
                settings,
                overseer,
                Arc::clone(&router.control.cancelling),
                mailbox.notify().clone(),
            ),
            router,
        }
    }

    /// Takes the next task that may run, or waits for one; `None` if none can come any more.
    #[inline(never)]
    pub(super) fn next(&mut self, now: &mut u64) -> Option<T> {
        if let Some(task) = self.take() {
            return Some(task);
        }
        if std::mem::take(&mut self.in_a_row) >= STREAM {
            (0..GATHERING).for_each(|_| thread::yield_now());
        }
        let next = self.wait_for_next(*now);
        *now = self.thread.clock.now();
        next
    }

    fn wait_for_next(&mut self, idle_since: u64) -> Option<T> {
        loop {
            if self.inbox.becomes_idle() {
                self.thread.recorder.mark_idle(idle_since);
            }
            if let Some(task) = self.take() {
                return Some(task);
            }
            if self.inbox.checks_siblings()
                && let Some(task) = self.steal()
            {
                return Some(task);
            }
            if !self.inbox.wait(&mut self.thread.recorder) {
                return None;
            }
        }
    }

    /// Takes the next task of the worker's own that may run.
    fn take(&mut self) -> Option<T> {
        if self.inbox.mailbox().deferred() > 0
            && let Some(task) = self.take_deferred()
        {
            return Some(task);
        }
        let task = self.inbox.try_next()?;
        if task.label().partition().is_none() { Some(task) } else { self.take_keyed(task) }
    }

    /// Returns this keyed task if it may run. Otherwise defers it, and takes the next task that may
    /// run.
    #[cold]
    fn take_keyed(&mut self, mut task: T) -> Option<T> {
        while let Some(partition) = task.label().partition() {
            if self.may_run(partition) {
                return Some(task);
            }
            self.inbox.mailbox().defer(task);
            task = self.inbox.try_next()?;
        }
        Some(task)
    }

    #[cold]
    fn take_deferred(&mut self) -> Option<T> {
        let Self { router, short_id, inbox, .. } = self;
        inbox.take_deferred(
            |task| task.label().partition(),
            |key| key.is_none_or(|key| router.control.keys.get(key).may_run(*short_id)),
        )
    }

    /// Whether a task of this partition may run: no other worker has tasks of it, and no earlier
    /// one is deferred here.
    fn may_run(&self, partition: PartitionId) -> bool {
        let is_deferred = || {
            self.inbox.mailbox().deferred() > 0
                && self.inbox.has_deferred(|task| task.label().partition() == Some(partition))
        };
        self.router.control.keys.get(partition).may_run(self.short_id) && !is_deferred()
    }

    /// Whether a task runs without any further check, as most do.
    #[inline(always)]
    pub(super) fn runs_unchecked(&self, deadline: u64, withdrawn: bool) -> bool {
        self.codel.is_none() && deadline == NEVER && !withdrawn && !self.router.is_cancelling()
    }

    /// Why a task must not run, if so.
    #[inline(never)]
    pub(super) fn reason_not_to_run(
        &mut self,
        label: Label,
        submitted_at: u64,
        deadline: u64,
        withdrawn: bool,
        now: u64,
    ) -> Option<NoReply> {
        // First, because the controller must learn how long each task waited, even if it does not
        // run for another reason.
        let shed = self.sheds(label.lane(), submitted_at, now);
        if self.router.is_cancelling() {
            return Some(NoReply::Cancelled);
        }
        // `now` may be too early: since then, the previous task's asker may have been woken, which
        // takes some microseconds.
        if deadline != NEVER && self.thread.clock.now() >= deadline {
            return Some(NoReply::Expired);
        }
        if withdrawn {
            return Some(NoReply::Cancelled);
        }
        shed.then_some(NoReply::Shed)
    }

    fn sheds(&mut self, lane: Lane, submitted_at: u64, now: u64) -> bool {
        let Some(controllers) = &mut self.codel else { return false };
        let is_last = self.inbox.mailbox().is_lane_empty(lane);
        let waited = now.saturating_sub(submitted_at);
        lane != Lane::Control && controllers[lane as usize].on_take(waited, now, is_last)
    }
}

impl<M: Send + 'static, R: Send + 'static> Station<Envelope<M, R>> {
    /// Ends a task that will not run, for `reason`.
    #[cold]
    pub(super) fn refuse(&mut self, mut task: Envelope<M, R>, reason: NoReply, now: u64) {
        let Self { thread, router, .. } = self;
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
            // `take_unfinished` returns the messages that a shutdown cancels, and those that a
            // pool which closes itself has not run.
            let keep = match reason {
                NoReply::Cancelled => router.is_cancelling(),
                NoReply::Retired => thread.settings.on_retired == OnRetired::Close,
                _ => false,
            };
            let reply = task.reply.take();
            if keep {
                router.keep_unfinished(task);
            } else {
                panics::contain(|| drop(task));
            }
            reply_with(reply, Err(reason));
        }
        if let Some(key) = key {
            router.control.release_key(key, self.short_id);
        }
    }
}

/// Sends the answer, if there is an asker. Panics are contained, because dropping an answer and
/// waking a future run the user's code.
#[inline]
pub(super) fn reply_with<R>(reply: Option<ReplySender<R>>, answer: Answer<R>) {
    match reply {
        Some(reply) => panics::contain_inline(|| drop(reply.send(answer))),
        None if std::mem::needs_drop::<R>() => panics::contain(|| drop(answer)),
        // At most a panic's message.
        None => drop(answer),
    }
}
