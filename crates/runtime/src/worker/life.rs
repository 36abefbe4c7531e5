//! How the actor of a worker starts, restarts and ends.

use std::sync::Arc;
use std::time::Duration;

use raddle_core::internal::RecorderInternals;
use raddle_core::{Clock, SerialRecorder, Worker};
use raddle_sync::atomic::AtomicBool;
use raddle_sync::channel::Sender;

use super::lease::SerialLease;
use super::{Overseer, Start};
use crate::actor::StartError;
use crate::context::Context;
use crate::cores;
use crate::error::SpawnError;
use crate::event::EventKind;
use crate::log;
use crate::mailbox::Notify;
use crate::reply::Asker;
use crate::restart::{Cause, RestartHistory, RetireReason};
use crate::settings::Settings;

/// Starts and ends what a host runs. Every panic is caught.
pub(crate) trait Lifecycle {
    /// Creates the actor and calls its first hook: `on_restart` if it is not the worker's first.
    /// Returns whether the actor stopped itself.
    fn start(&mut self, is_restart: bool, thread: &WorkerThread) -> Result<bool, StartError>;
    /// Calls the actor's last hook and drops it, if there is one.
    fn end(&mut self, hook: LastHook<'_>, thread: &WorkerThread);
}

/// What an actor is told before it is dropped.
pub(crate) enum LastHook<'a> {
    /// To clean up.
    Stop,
    /// That its handler has panicked with this message.
    Panic(&'a str),
    /// Nothing.
    None,
}

/// Why an actor serves no more tasks, or did not start.
pub(crate) enum End {
    /// The mailbox is closed and empty.
    Drained,
    /// Its handler panicked with this message.
    Panicked(String),
    /// It stopped itself.
    Stopped,
    /// It did not start, this time.
    FailedStart,
    /// The worker was taken from this thread.
    Lost,
    /// It is not restarted any more.
    Retired(RetireReason),
    /// The worker's first actor did not start: the worker is not added.
    NotStarted,
}

/// A thread that runs a worker, whatever it hosts.
pub(crate) struct WorkerThread {
    pub(super) worker: Arc<Worker>,
    pub(super) clock: Clock,
    pub(super) recorder: SerialRecorder,
    pub(super) lease: Arc<SerialLease>,
    /// Whether a watchdog checks the lease.
    pub(super) watched: bool,
    pub(super) restarts: RestartHistory,
    pub(super) settings: Arc<Settings>,
    pub(super) overseer: Arc<dyn Overseer>,
    /// The router's: set when what is queued must be cancelled.
    cancelling: Arc<AtomicBool>,
    /// Wakes this thread.
    notify: Notify,
    started: Option<Sender<Result<(), SpawnError>>>,
}

/// Ends of tasks within this time are published together: a thread that reads what another has just
/// written takes a tenth of it. Longer tasks are published one by one.
const PUBLISHED_WITHIN: Duration = Duration::from_micros(1);

impl WorkerThread {
    pub(super) fn new(
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

    /// Starts this thread's first actor, on the worker's thread.
    pub(super) fn start(&mut self, host: &mut dyn Lifecycle) -> Result<(), End> {
        self.pin();
        let Some(started) = self.started.take() else { return self.try_restart(host) };
        // The caller waits for the start however long it takes, so no lease is begun for it.
        match host.start(false, self) {
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

    /// Restarts the actor after it ended, when and if the restarts allow it.
    pub(super) fn restart(&mut self, host: &mut dyn Lifecycle, cause: Cause) -> Result<(), End> {
        let delay = self.restarts.next(cause, self.clock.now()).map_err(End::Retired)?;
        self.pause(delay);
        self.worker.next_generation();
        self.try_restart(host)
    }

    fn try_restart(&self, host: &mut dyn Lifecycle) -> Result<(), End> {
        let started = self.in_hook(|| host.start(true, self));
        match started.inspect_err(|_| host.end(LastHook::None, self))? {
            Ok(stopping) => {
                let generation = self.worker.generation();
                self.announce(EventKind::Restarted { generation });
                if stopping { Err(End::Stopped) } else { Ok(()) }
            }
            Err(error) => {
                // Before the event: a subscriber may close the worker, and that still leaves it one
                // more try.
                let closed = self.worker.stats().is_closed();
                self.announce(EventKind::StartFailed { message: error.to_string() });
                Err(match closed {
                    true => End::Retired(RetireReason::ClosedWithoutActor),
                    false => End::FailedStart,
                })
            }
        }
    }

    pub(super) fn stop(&self, host: &mut dyn Lifecycle) -> Result<(), End> {
        self.in_hook(|| host.end(LastHook::Stop, self))
    }

    /// Ends an actor whose handler panicked.
    pub(super) fn fail(&self, host: &mut dyn Lifecycle, message: String) -> Result<(), End> {
        self.in_hook(|| host.end(LastHook::Panic(&message), self))?;
        self.announce(EventKind::Panicked { message });
        Ok(())
    }

    /// Runs hooks, which the watchdog may find to hang.
    fn in_hook<R>(&self, hook: impl FnOnce() -> R) -> Result<R, End> {
        let stay = self.lease.begin_hook(self.clock.now());
        let result = hook();
        if self.lease.end(stay) { Ok(result) } else { Err(End::Lost) }
    }

    /// What the user's code may know while this thread calls it for a task with this deadline.
    #[inline]
    pub(super) fn context<'a, A>(
        &'a self,
        deadline: u64,
        asker: Option<&'a dyn Asker>,
    ) -> Context<'a, A> {
        Context::new(&self.worker, &self.cancelling, &self.lease, deadline, asker)
    }

    /// Waits until a restart is due; not at all if the worker must leave.
    fn pause(&self, delay: u64) {
        let until = self.clock.now().saturating_add(delay);
        while let left @ 1.. = until.saturating_sub(self.clock.now())
            && !self.worker.stats().is_closed()
        {
            self.notify.wait_timeout(Some(Duration::from_nanos(left)));
        }
    }

    fn announce(&self, kind: EventKind) {
        self.overseer.announce(&self.worker, kind);
    }

    /// Ends a thread whose worker was given to another.
    pub(super) fn end_lost(self, host: &mut dyn Lifecycle) {
        // No lease: no thread waits for this one, however long it takes.
        host.end(LastHook::Stop, &self);
        // Another thread writes the worker's statistics.
        self.recorder.disown();
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
