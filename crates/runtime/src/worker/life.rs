//! How the actor of a worker starts, restarts and ends.

use std::sync::Arc;
use std::time::Duration;

use raddle_core::internal::{ClockInternals, RecorderInternals};
use raddle_core::{Clock, SerialRecorder, Worker};
use raddle_sync::channel::Sender;

use super::{Overseer, Start};
use crate::actor::StartError;
use crate::blocking::{self, Here};
use crate::cores;
use crate::deadlock::Waiter;
use crate::error::SpawnError;
use crate::event::{DropReason, EventKind};
use crate::keys::{KeyState, MovedKeys};
use crate::lease::SerialLease;
use crate::log;
use crate::mailbox::Notify;
use crate::panics;
use crate::restart::{Cause, RestartHistory, RetireReason};
use crate::settings::Settings;

/// Starts and ends what a host runs. Every panic is caught.
pub(crate) trait Lifecycle {
    /// Creates the actor, unless the last one was kept, and calls its first hook: `on_restart` if it is
    /// not the worker's first. Returns whether the actor stopped itself.
    fn start(&mut self, is_restart: bool) -> Result<bool, StartError>;
    /// Takes the state of these keys from the actor; `None` if there is none.
    fn lose_keys(&mut self, keys: &MovedKeys) -> Option<KeyState>;
    /// Gives the actor the state of these keys. Returns whether it has taken it.
    fn gain_keys(&mut self, keys: &MovedKeys, state: Option<KeyState>) -> bool;
    /// Calls the actor's last hook and drops it, if there is one and it does not survive its panic.
    fn end(&mut self, hook: LastHook<'_>);
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
    /// Its handler was dropped while it waited.
    Dropped(DropReason),
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
    pub(super) waiter: Arc<Waiter>,
    /// Whether a watchdog checks the lease.
    pub(super) watched: bool,
    pub(super) restarts: RestartHistory,
    pub(super) settings: Arc<Settings>,
    pub(super) overseer: Arc<dyn Overseer>,
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
        notify: Notify,
    ) -> Self {
        let Start { worker, mut recorder, lease, waiter, started } = start;
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
            waiter,
            settings,
            overseer,
            notify,
            started,
        }
    }

    /// Starts this thread's first actor, on the worker's thread.
    pub(super) fn start(&mut self, host: &mut dyn Lifecycle) -> Result<(), End> {
        self.pin();
        let Some(started) = self.started.take() else { return self.try_restart(host) };
        // The caller waits for the start however long it takes, so no lease is begun for it.
        let first = host.start(false);
        self.lease.take_blocked();
        match first {
            Ok(stopping) => {
                let _ = started.send(Ok(()));
                if stopping { Err(End::Stopped) } else { Ok(()) }
            }
            Err(source) => {
                let worker = self.worker.name().to_owned();
                // Without a receiver, the user's error is dropped here.
                panics::contain(|| drop(started.send(Err(SpawnError::Actor { worker, source }))));
                Err(End::NotStarted)
            }
        }
    }

    /// Restarts the actor after it ended, when and if the restarts allow it.
    pub(super) fn restart(&mut self, host: &mut dyn Lifecycle, cause: Cause) -> Result<(), End> {
        let delay = self.restarts.next(cause, self.clock.now()).map_err(End::Retired)?;
        if delay > 0 {
            self.overseer.set_aside(&self.worker);
        }
        self.pause(delay);
        self.worker.next_generation();
        self.try_restart(host)
    }

    fn try_restart(&self, host: &mut dyn Lifecycle) -> Result<(), End> {
        let started = self.in_hook(|| host.start(true));
        match started.inspect_err(|_| host.end(LastHook::None))? {
            Ok(stopping) => {
                // Before the event, so that a subscriber finds the worker in rotation.
                self.overseer.reinstate(&self.worker);
                let generation = self.worker.generation();
                self.announce(EventKind::Restarted { generation });
                if stopping { Err(End::Stopped) } else { Ok(()) }
            }
            Err(error) => {
                // Before the event: a subscriber may close the worker, and that still leaves it one
                // more try.
                let closed = self.worker.stats().is_closed();
                self.overseer.set_aside(&self.worker);
                self.announce(EventKind::StartFailed { message: panics::text(error) });
                Err(match closed {
                    true => End::Retired(RetireReason::ClosedWithoutActor),
                    false => End::FailedStart,
                })
            }
        }
    }

    pub(super) fn stop(&self, host: &mut dyn Lifecycle) -> Result<(), End> {
        self.in_hook(|| host.end(LastHook::Stop))
    }

    /// Ends an actor whose handler panicked.
    pub(super) fn fail(&self, host: &mut dyn Lifecycle, message: String) -> Result<(), End> {
        self.in_hook(|| host.end(LastHook::Panic(&message)))?;
        self.announce(EventKind::Panicked { message });
        Ok(())
    }

    /// Drops an actor that survived its panic and is not restarted.
    pub(super) fn discard(&self, host: &mut dyn Lifecycle) -> Result<(), End> {
        self.in_hook(|| host.end(LastHook::None))
    }

    /// Ends an actor whose handler was dropped.
    pub(super) fn abandon(&self, host: &mut dyn Lifecycle, reason: DropReason) -> Result<(), End> {
        self.stop(host)?;
        self.announce(EventKind::Dropped { reason });
        Ok(())
    }

    /// Runs hooks, which the watchdog may find to hang.
    pub(super) fn in_hook<R>(&self, hook: impl FnOnce() -> R) -> Result<R, End> {
        let stay = self.lease.begin_hook(self.clock.now());
        let result = hook();
        self.lease.take_blocked();
        if self.lease.end(stay) { Ok(result) } else { Err(End::Lost) }
    }

    /// Waits until a restart is due; not at all if the worker must leave.
    fn pause(&self, delay: u64) {
        let until = self.clock.now().saturating_add(delay);
        while let left = self.clock.sleep_until(until)
            && !left.is_zero()
            && !self.worker.stats().is_closed()
        {
            self.notify.wait_timeout(Some(left));
        }
    }

    pub(super) fn announce(&self, kind: EventKind) {
        self.overseer.announce(&self.worker, kind);
    }

    /// Ends a thread whose worker was given to another.
    pub(super) fn end_lost(self, host: &mut dyn Lifecycle) {
        // No lease: no thread waits for this one, however long it takes.
        host.end(LastHook::Stop);
        // Another thread writes the worker's statistics.
        self.recorder.disown();
    }

    /// Notes whose thread this is, for the waits of the user's code.
    pub(super) fn enter(&self) {
        let (overseer, worker) = (Arc::clone(&self.overseer), Arc::clone(&self.worker));
        blocking::enter(Here {
            worker: Arc::clone(&self.worker),
            lease: Arc::clone(&self.lease),
            waiter: Arc::clone(&self.waiter),
            announce: Box::new(move |workers| {
                overseer.announce(&worker, EventKind::Deadlock { workers });
            }),
        });
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
