//! Takes a worker's tasks: its own, deferred ones, and those of siblings.

use std::sync::Arc;

use raddle_core::Recorder;
use raddle_sync::thread;

use super::life::WorkerThread;
use super::lifecycle::Start;
use super::overseer::Overseer;
use crate::codel::Controller;
use crate::keys::{PartitionId, ShortId};
use crate::mailbox::{Inbox, Lane, Mailbox};
use crate::reply::NoReply;
use crate::router::{Label, Routed, Router};
use crate::settings::Settings;

/// A worker's thread and the mailbox that it serves.
pub(crate) struct Station<T> {
    pub(super) thread: WorkerThread,
    pub(super) router: Arc<Router<T>>,
    pub(super) inbox: Inbox<T>,
    pub(super) short_id: ShortId,
    /// Tasks taken since there was none.
    pub(super) in_a_row: u32,
    /// One for each lane that may be shed from, if the pool sheds by sojourn time.
    codel: Option<[Controller; 4]>,
}

/// A worker that runs out of tasks after at least this many in a row lets some gather: close behind
/// its dispatcher, the two take from each other the cache line that one writes and the other reads,
/// at every task, and stay close (one worker: 207 ns per task, 77 with the wait).
const STREAM: u32 = 8;
/// How long it lets them gather, in yields of a quarter to half a microsecond.
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

    /// This task of a key, or the next one, whichever may run first.
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

    /// Whether a task of this key may run: no other worker has tasks of it, and none is deferred.
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
        self.codel.is_none()
            && deadline == crate::deadline::NEVER
            && !withdrawn
            && !self.router.is_cancelling()
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
        // Whatever becomes of the task, the controller must learn how long it waited.
        let shed = self.codel.is_some() && self.sheds(label.lane(), submitted_at, now);
        if self.router.is_cancelling() {
            return Some(NoReply::Cancelled);
        }
        // By the clock, not `now`: since the end of the last task an asker may have been woken.
        if deadline != crate::deadline::NEVER && self.thread.clock.now() >= deadline {
            return Some(NoReply::Expired);
        }
        if withdrawn {
            return Some(NoReply::Cancelled);
        }
        shed.then_some(NoReply::Shed)
    }

    fn sheds(&mut self, lane: Lane, submitted_at: u64, now: u64) -> bool {
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

    #[inline]
    pub(super) fn recorder(&mut self) -> &mut Recorder {
        &mut self.thread.recorder
    }
}
