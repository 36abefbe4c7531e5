//! How the actor of a worker starts, restarts and ends.

use std::sync::Arc;
use std::time::Duration;

use raddle_core::internal::RecorderInternals;
use raddle_core::{Clock, Recorder, Worker};
use raddle_sync::atomic::AtomicBool;
use raddle_sync::channel::Sender;

use super::lease::SerialLease;
use super::lifecycle::{End, Lifecycle, Start};
use super::overseer::Overseer;
use crate::context::Call;
use crate::cores;
use crate::deadline::NEVER;
use crate::error::SpawnError;
use crate::event::EventKind;
use crate::log;
use crate::mailbox::Notify;
use crate::restart::{Cause, RestartHistory, RetireReason};
use crate::settings::Settings;

/// A thread that runs a worker, whatever it hosts.
pub(crate) struct WorkerThread {
    pub(super) worker: Arc<Worker>,
    pub(super) clock: Clock,
    pub(super) recorder: Recorder,
    pub(super) lease: Arc<SerialLease>,
    /// Whether a watchdog checks the lease.
    pub(super) watched: bool,
    pub(super) restarts: RestartHistory,
    pub(super) settings: Arc<Settings>,
    pub(super) overseer: Arc<dyn Overseer>,
    /// The router's: set when what is queued must be cancelled.
    pub(super) cancelling: Arc<AtomicBool>,
    /// Wakes this thread.
    notify: Notify,
    started: Option<Sender<Result<(), SpawnError>>>,
}

/// Reports the end of the thread when dropped, whatever ends it.
pub(super) struct Presence {
    overseer: Arc<dyn Overseer>,
    worker: Arc<Worker>,
    lost: bool,
}

impl Drop for Presence {
    fn drop(&mut self) {
        match self.lost {
            true => self.overseer.returned(),
            false => self.overseer.ended(&self.worker),
        }
    }
}

/// Ends of tasks within this time are published together: a thread that reads what another has just
/// written takes a tenth of it. Longer tasks are published one by one.
const PUBLISHED_WITHIN: Duration = Duration::from_micros(1);

impl WorkerThread {
    pub(crate) fn new(
        start: Start,
        settings: Arc<Settings>,
        overseer: Arc<dyn Overseer>,
        cancelling: Arc<AtomicBool>,
        notify: Notify,
    ) -> Self {
        let Start { worker, mut recorder, lease, started } = start;
        recorder.publish_within(PUBLISHED_WITHIN);
        let clock = worker.clock().clone();
        let seed = u64::from(worker.id().0) ^ clock.now();
        Self {
            restarts: RestartHistory::new(settings.restarts, seed),
            watched: settings.watchdog.is_some(),
            worker,
            clock,
            recorder,
            lease,
            settings,
            overseer,
            cancelling,
            notify,
            started,
        }
    }

    /// To be called first, on the worker's thread.
    pub(super) fn enter(&self) -> Presence {
        self.pin();
        let (overseer, worker) = (Arc::clone(&self.overseer), Arc::clone(&self.worker));
        Presence { overseer, worker, lost: false }
    }

    /// Starts this thread's first actor.
    pub(super) fn start(&mut self, host: &mut dyn Lifecycle) -> Result<(), End> {
        let Some(started) = self.started.take() else {
            return match self.try_restart(host)? {
                true => Ok(()),
                false => self.restart(host, Cause::FailedStart),
            };
        };
        // The caller waits for the start however long it takes, so no lease is begun for it.
        match host.start(false, self.call()) {
            Ok(stopping) => {
                let _ = started.send(Ok(()));
                if stopping { Err(End::Stopped) } else { Ok(()) }
            }
            Err(source) => {
                let worker = self.worker.name().to_owned();
                let _ = started.send(Err(SpawnError::Actor { worker, source }));
                Err(End::NotStarted)
            }
        }
    }

    /// Restarts the actor after it ended, if and when the restarts allow it.
    pub(super) fn restart(
        &mut self,
        host: &mut dyn Lifecycle,
        mut cause: Cause,
    ) -> Result<(), End> {
        loop {
            let delay = self.restarts.next(cause, self.clock.now()).map_err(End::Retired)?;
            self.pause(delay);
            self.worker.next_generation();
            if self.try_restart(host)? {
                return Ok(());
            }
            cause = Cause::FailedStart;
        }
    }

    /// Restarts the actor once. `false` if it could not start this time.
    fn try_restart(&mut self, host: &mut dyn Lifecycle) -> Result<bool, End> {
        match self.in_hook(host, |host, call| host.start(true, call))? {
            Ok(stopping) => {
                let generation = self.worker.generation();
                self.announce(EventKind::Restarted { generation });
                if stopping { Err(End::Stopped) } else { Ok(true) }
            }
            Err(error) => {
                // Before the event: a subscriber may close the worker, and that still leaves it one
                // more try.
                let closed = self.worker.stats().is_closed();
                self.announce(EventKind::StartFailed { message: error.to_string() });
                if closed { Err(End::Retired(RetireReason::ClosedWithoutActor)) } else { Ok(false) }
            }
        }
    }

    pub(super) fn stop(&mut self, host: &mut dyn Lifecycle) -> Result<(), End> {
        self.in_hook(host, |host, call| host.stop(call))
    }

    /// Ends an actor whose handler panicked.
    pub(super) fn fail(&mut self, host: &mut dyn Lifecycle, message: String) -> Result<(), End> {
        self.in_hook(host, |host, call| host.fail(&message, call))?;
        self.announce(EventKind::Panicked { message });
        Ok(())
    }

    /// Runs hooks, which the watchdog may find to hang.
    fn in_hook<R>(
        &mut self,
        host: &mut dyn Lifecycle,
        hook: impl FnOnce(&mut dyn Lifecycle, Call<'_>) -> R,
    ) -> Result<R, End> {
        let stay = self.lease.begin_hook(self.clock.now());
        let result = hook(host, self.call());
        if self.lease.end(stay) {
            return Ok(result);
        }
        host.discard();
        Err(End::Lost)
    }

    fn call(&self) -> Call<'_> {
        Call::new(&self.worker, NEVER, None, &self.cancelling, &self.lease)
    }

    /// Waits until a restart is due; not at all if the worker must leave.
    fn pause(&mut self, delay: u64) {
        let until = self.clock.now().saturating_add(delay);
        loop {
            let left = until.saturating_sub(self.clock.now());
            if left == 0 || self.worker.stats().is_closed() {
                return;
            }
            self.notify.wait_timeout(Some(Duration::from_nanos(left)));
        }
    }

    pub(super) fn announce(&self, kind: EventKind) {
        self.overseer.announce(&self.worker, kind);
    }

    /// Ends a worker that has nothing in flight and takes no more tasks.
    pub(super) fn depart(&self, reason: RetireReason) {
        if self.overseer.depart(&self.worker) {
            self.announce(EventKind::Retired { reason });
        }
    }

    /// Ends a thread whose worker was given to another.
    pub(super) fn end_lost(self, host: &mut dyn Lifecycle, mut presence: Presence) {
        // No lease: no thread waits for this one, however long it takes.
        host.stop(self.call());
        presence.lost = true;
        let Self { overseer, worker, recorder, .. } = self;
        // Another thread writes the worker's statistics.
        recorder.disown();
        // Before the event, so that a subscriber finds one lost thread less.
        drop(presence);
        overseer.announce(&worker, EventKind::Returned);
    }

    /// Pins the thread to its core, if the pool was built to.
    fn pin(&self) {
        let cores = &self.settings.cores;
        let core = cores.get(usize::from(self.worker.id().short_id()) % cores.len().max(1));
        if core.is_some_and(|core| !cores::pin(*core)) {
            log::warn!(worker = self.worker.name(), "could not pin the worker to its core");
        }
    }
}
