//! Takes a worker's tasks, its own, deferred ones, and those of siblings, and ends those that do not
//! run.

use std::sync::Arc;

use raddle_core::Completion;
use raddle_core::internal::WorkerInternals;
use raddle_sync::thread;

use super::checkpoints::Checkpoints;
use super::life::WorkerThread;
use super::{Overseer, Start};
use crate::codel::Controller;
use crate::deadline::NEVER;
use crate::desk::Desk;
use crate::envelope::Envelope;
use crate::keys::{Handover, PartitionId, ShortId};
use crate::mailbox::{Inbox, Lane, Mailbox};
use crate::panics;
use crate::reply::{Asker, NoReply, RunningAsker, reply_out_of_line};
use crate::router::{Label, Routed, Router};
use crate::settings::{OnRetired, Settings, ShedReason};
use crate::span::Entered;

/// A worker's thread and the mailbox that it serves.
pub(crate) struct Station<M, R> {
    pub(super) thread: WorkerThread,
    pub(super) router: Arc<Router<Envelope<M, R>>>,
    pub(super) inbox: Inbox<Envelope<M, R>>,
    pub(super) running: Arc<RunningAskers<R>>,
    /// Of the running task, and of the one at its checkpoint.
    pub(super) spans: [Option<Box<Entered>>; 2],
    pub(super) checkpoints: Checkpoints,
    /// The keys of the tasks that run side by side.
    pub(super) keys_in_slots: Vec<PartitionId>,
    pub(super) short_id: ShortId,
    /// Ends owed replies at their deadlines.
    pub(super) desk: Arc<Desk>,
    /// The keys that the worker gives away and takes over, if actors have keyed state.
    pub(super) handover: Option<Arc<Handover>>,
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

/// The askers of what a thread runs.
pub(crate) struct RunningAskers<R> {
    /// Of the running task, and of the task that runs at its checkpoint.
    pub(super) nested: [RunningAsker<R>; 2],
    /// Of the tasks that run side by side.
    pub(super) slots: Box<[RunningAsker<R>]>,
}

impl<R: Send + 'static> RunningAskers<R> {
    pub(crate) fn new(slots: usize) -> Self {
        let slots = (0..slots).map(|_| RunningAsker::default()).collect();
        Self { nested: Default::default(), slots }
    }

    /// Tells them that the pool was shut down.
    pub(crate) fn abandon(&self) {
        self.nested.iter().chain(&self.slots).for_each(RunningAsker::abandon);
    }
}

impl<M: Send + 'static, R: Send + 'static> Station<M, R> {
    pub(crate) fn new(
        start: Start,
        router: Arc<Router<Envelope<M, R>>>,
        mailbox: &Mailbox<Envelope<M, R>>,
        running: Arc<RunningAskers<R>>,
        desk: Arc<Desk>,
        settings: Arc<Settings>,
        overseer: Arc<dyn Overseer>,
    ) -> Self {
        let codel = settings.codel.map(|codel| std::array::from_fn(|_| Controller::new(codel)));
        Self {
            inbox: mailbox.inbox(settings.wait, Arc::clone(&router.parked)),
            short_id: start.worker.id().short_id(),
            handover: router.control.open_handover(start.worker.id().short_id()),
            in_a_row: 0,
            running,
            spans: [None, None],
            desk,
            checkpoints: Checkpoints::new(settings.quantum),
            keys_in_slots: Vec::with_capacity(settings.slots),
            codel,
            thread: WorkerThread::new(start, settings, overseer, mailbox.notify().clone()),
            router,
        }
    }

    // A task is returned as it came, and not taken out of its `Option` and put into another: an
    // unoptimised build would have each on the stack.

    /// Takes the next task that may run, or waits for one; `None` if none can come any more, or if the
    /// worker must [move keys](Self::move_keys) first.
    #[inline(never)]
    pub(super) fn next(&mut self, now: &mut u64) -> Option<Envelope<M, R>> {
        self.record_ends();
        if self.has_keys_to_move() {
            return None;
        }
        let taken = self.take();
        if taken.is_some() {
            return taken;
        }
        if std::mem::take(&mut self.in_a_row) >= STREAM {
            (0..GATHERING).for_each(|_| thread::yield_now());
        }
        let next = self.wait_for_next(*now);
        *now = self.thread.clock.now();
        next
    }

    fn wait_for_next(&mut self, idle_since: u64) -> Option<Envelope<M, R>> {
        loop {
            if self.record_ends() {
                self.thread.recorder.mark_idle(self.thread.clock.now());
                self.inbox.set_idle();
            } else if self.inbox.becomes_idle() {
                self.thread.recorder.mark_idle(idle_since);
            }
            let mut taken = self.take();
            if taken.is_none() && self.inbox.checks_siblings() {
                taken = self.steal();
            }
            if taken.is_some() || self.has_keys_to_move() {
                return taken;
            }
            if !self.inbox.wait(&mut self.thread.recorder) {
                // Before it leaves for good: the pool may be closing, and others may be busy.
                return self.steal();
            }
        }
    }

    /// Notes what a task took, for the boosts of the next ones.
    #[inline]
    pub(super) fn served(&mut self, label: Label, start: u64, end: u64) {
        if end > start
            && let Some(mean) = self.inbox.served(label.lane(), end - start, end)
        {
            self.router.sizes.set_mean(mean);
        }
    }

    /// Takes the next task of the worker's own that may run.
    pub(super) fn take(&mut self) -> Option<Envelope<M, R>> {
        if self.inbox.mailbox().deferred() > 0 {
            return self.take_beside_deferred();
        }
        match self.inbox.try_next_by(Envelope::submitted_at) {
            Some(task) if task.label.partition().is_some() => self.take_keyed(task),
            other => other,
        }
    }

    /// [`take`](Self::take) while tasks are deferred: those with keys come first, others are the first of
    /// their lanes.
    #[cold]
    fn take_beside_deferred(&mut self) -> Option<Envelope<M, R>> {
        let taken = self.take_deferred();
        if taken.is_some() {
            return taken;
        }
        match self.try_next() {
            Some(task) if task.label.partition().is_some() => self.take_keyed(task),
            other => other,
        }
    }

    fn try_next(&mut self) -> Option<Envelope<M, R>> {
        let is_free = |task: &Envelope<M, R>| task.label.partition().is_none();
        let mailbox = self.inbox.mailbox();
        if mailbox.deferred() > 0 && (mailbox.owed() > 0 || self.inbox.has_deferred(is_free)) {
            return self.inbox.try_next_or_deferred(Envelope::submitted_at, |task| {
                is_free(task).then(|| task.label.lane().of_all_sizes())
            });
        }
        self.inbox.try_next_by(Envelope::submitted_at)
    }

    /// Returns this keyed task if it may run. Otherwise defers it, and takes the next task that may
    /// run.
    #[cold]
    fn take_keyed(&mut self, mut task: Envelope<M, R>) -> Option<Envelope<M, R>> {
        while let Some(partition) = task.label.partition() {
            if self.may_run(partition) {
                return Some(task);
            }
            self.inbox.mailbox().defer(task);
            task = self.try_next()?;
        }
        Some(task)
    }

    /// Takes the first deferred task with a key that may run.
    #[cold]
    fn take_deferred(&mut self) -> Option<Envelope<M, R>> {
        let Self { router, short_id, inbox, handover, keys_in_slots, .. } = self;
        let mailbox = inbox.mailbox().clone();
        let may_run = |key: PartitionId| {
            router.control.keys.get(key).may_run(*short_id)
                // Afterwards: what the worker gains is added before its tasks may run.
                && !handover.as_ref().is_some_and(|handover| handover.has_gains())
                && !mailbox.owes_key(key.0)
                && !keys_in_slots.contains(&key)
        };
        inbox.take_deferred(|task| task.label.partition(), |key| key.is_some_and(may_run))
    }

    /// Whether a task of this partition may run: no other worker has tasks of it, and no earlier
    /// one is owed or deferred here, or runs in a slot.
    fn may_run(&self, partition: PartitionId) -> bool {
        let is_deferred = || {
            self.inbox.mailbox().deferred() > 0
                && self.inbox.has_deferred(|task| task.label.partition() == Some(partition))
        };
        // In the order of `take_deferred`.
        self.router.control.keys.get(partition).may_run(self.short_id)
            && !self.has_gains()
            && !self.inbox.mailbox().owes_key(partition.0)
            && !self.keys_in_slots.contains(&partition)
            && !is_deferred()
    }

    /// Whether a task runs without any further check, as most do.
    #[inline(always)]
    pub(super) fn runs_unchecked(&self, deadline: u64, withdrawn: bool) -> bool {
        let mailbox = self.inbox.mailbox();
        // Both are reasons for attention, which most mailboxes need not.
        let attends = || mailbox.has_callers() || self.router.is_cancelling();
        self.codel.is_none()
            && deadline == NEVER
            && !withdrawn
            && !(mailbox.attention().is_raised_after_taking() && attends())
    }

    /// Why a task must not run, if so.
    #[inline(never)]
    pub(super) fn reason_not_to_run(
        &mut self,
        label: Label,
        submitted_at: u64,
        deadline: u64,
        asker: Option<&dyn Asker>,
        now: u64,
    ) -> Option<NoReply> {
        self.inbox.mailbox().give_room(label.lane());
        // First, because the controller must learn how long each task waited, even if it does not
        // run for another reason.
        let shed = self.sheds(label.lane(), submitted_at, now);
        // `now` may be too early: since then, the previous task's asker may have been woken, which
        // takes some microseconds.
        if deadline != NEVER && self.thread.clock.now() >= deadline {
            return Some(NoReply::Expired);
        }
        if self.router.is_cancelling() || asker.is_some_and(Asker::has_withdrawn) {
            return Some(NoReply::Cancelled);
        }
        if shed {
            return Some(NoReply::Shed);
        }
        let expired = deadline != NEVER && asker.is_some_and(|asker| !asker.start());
        expired.then_some(NoReply::Expired)
    }

    fn sheds(&mut self, lane: Lane, submitted_at: u64, now: u64) -> bool {
        let Some(controllers) = &mut self.codel else { return false };
        let is_last = self.inbox.mailbox().is_lane_empty(lane);
        let waited = now.saturating_sub(submitted_at);
        lane != Lane::Control && controllers[lane as usize].on_take(waited, now, is_last)
    }
}

impl<M: Send + 'static, R: Send + 'static> Station<M, R> {
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
                NoReply::Cancelled => router.is_cancelling() && !task.is_withdrawn(),
                NoReply::Retired => thread.settings.on_retired == OnRetired::Close,
                _ => false,
            };
            let reply = task.reply.take();
            if keep {
                router.keep_unfinished(task);
            } else {
                panics::contain(|| drop(task));
            }
            reply_out_of_line(reply, Err(reason));
        }
        if let Some(key) = key {
            router.control.release_key(key, self.short_id);
        }
    }
}
