//! A worker's thread: runs tasks, and makes the actor anew when it must be.

mod life;
mod steal;
mod task;

use std::sync::Arc;
use std::time::Duration;

use raddle_core::{Clock, Recorder, Worker};
use raddle_sync::channel::Sender;
use raddle_sync::thread;

use crate::codel::Controller;
use crate::envelope::Envelope;
use crate::keys::Slot;
use crate::lease::Lease;
use crate::mailbox::{Inbox, Mailbox};
use crate::pool::Shared;
use crate::restart::{Cause, RestartHistory, RetireReason};
use crate::{Actor, SpawnError};

use life::Lost;
use task::Ended;

/// A worker as its thread has it.
pub(crate) struct WorkerThread<A: Actor> {
    shared: Arc<Shared<A>>,
    worker: Arc<Worker>,
    seat: u16,
    clock: Clock,
    inbox: Inbox<Envelope<A>>,
    recorder: Recorder,
    lease: Arc<Lease>,
    /// Whether a watchdog looks at the lease.
    watched: bool,
    /// Tasks taken since there was none.
    in_a_row: u32,
    beginning: Beginning,
    restarts: RestartHistory,
    /// One for each lane of data, where shedding by sojourn time was asked for.
    codel: Option<[Controller; 4]>,
}

/// How a thread comes to be a worker.
pub(crate) enum Beginning {
    /// The worker is new: whether its actor could be made is reported.
    First(Sender<Result<(), SpawnError>>),
    /// It takes the place of a thread that hangs.
    Again,
}

/// Why an actor serves no more.
enum End {
    /// The mailbox is closed and empty.
    Drained,
    /// Its handler panicked.
    Panicked(String),
    /// Its handler asked for it.
    Stopped,
    /// The worker was taken from this thread.
    Lost,
}

/// What has become of making an actor.
enum Renewal<A> {
    Made(A),
    /// It could not be made, this time.
    Failed,
    /// It is not to be made any more.
    Retired(RetireReason),
    /// The worker was taken from this thread.
    Lost,
}

/// A thread that is a worker, until it is dropped, whatever ends the thread.
struct Presence<A: Actor> {
    shared: Arc<Shared<A>>,
    worker: Arc<Worker>,
    lost: bool,
}

impl<A: Actor> Drop for Presence<A> {
    fn drop(&mut self) {
        match self.lost {
            true => self.shared.threads.returned(),
            false => self.shared.threads.ended(self.worker.name()),
        }
        self.shared.desk.look();
    }
}

/// Tasks that end within so short a time are told of together. Longer ones are each told of at their
/// end: that a thread reads what another has just written takes a tenth of that time.
const PUBLISHED_WITHIN: Duration = Duration::from_micros(1);

/// A worker that has caught up with a stream of tasks, so many without a break, lets some gather: close
/// behind its dispatcher the two take from each other the cache line that one writes and the other
/// reads, at every task, and so stay close (one worker: 207 ns a task, 77 with the wait).
const STREAM: u32 = 8;
/// For how many yields, of a quarter to half a microsecond each.
const GATHERING: u32 = 4;

impl<A: Actor> WorkerThread<A> {
    pub(crate) fn new(
        shared: Arc<Shared<A>>,
        mailbox: &Mailbox<Envelope<A>>,
        mut recorder: Recorder,
        lease: Arc<Lease>,
        beginning: Beginning,
    ) -> Self {
        recorder.publish_within(PUBLISHED_WITHIN);
        let worker = Arc::clone(mailbox.worker());
        let settings = &shared.settings;
        let inbox = mailbox.inbox(settings.wait, Arc::clone(&shared.sleepers));
        let seed = u64::from(worker.id().0) ^ shared.clock.now();
        Self {
            seat: worker.id().short_id(),
            clock: worker.clock().clone(),
            restarts: RestartHistory::new(settings.restarts, seed),
            codel: settings.codel.map(|codel| std::array::from_fn(|_| Controller::new(codel))),
            inbox,
            recorder,
            lease,
            watched: settings.watchdog.is_some(),
            in_a_row: 0,
            beginning,
            worker,
            shared,
        }
    }

    /// To be called on the worker's thread: makes the actor and runs tasks until the mailbox is
    /// closed and every admitted task has ended, the worker is retired or taken from the thread.
    pub(crate) fn run(mut self) {
        let (shared, worker) = (Arc::clone(&self.shared), Arc::clone(&self.worker));
        let mut presence = Presence { shared, worker, lost: false };
        self.pin();
        let mut renewal = self.begin();
        loop {
            let mut actor = match renewal {
                Renewal::Made(actor) => actor,
                Renewal::Retired(reason) => return self.retire(reason),
                Renewal::Lost => {
                    presence.lost = true;
                    return self.get_lost(presence);
                }
                Renewal::Failed => return,
            };
            renewal = match self.serve(&mut actor) {
                End::Drained => match self.stop(actor) {
                    Ok(()) => return self.leave(RetireReason::Asked),
                    Err(Lost) => Renewal::Lost,
                },
                End::Panicked(message) => match self.bury(actor, &message) {
                    Ok(()) => self.renew(Cause::Panicked),
                    Err(Lost) => Renewal::Lost,
                },
                End::Stopped => match self.stop(actor) {
                    Ok(()) => self.renew(Cause::Stopped),
                    Err(Lost) => Renewal::Lost,
                },
                End::Lost => {
                    self.part_from(actor);
                    Renewal::Lost
                }
            };
        }
    }

    fn serve(&mut self, actor: &mut A) -> End {
        let mut now = self.clock.now();
        loop {
            // Straight from the channel to where it is run: an envelope is copied where it is handed on.
            let ended = match self.inbox.try_next_plain() {
                Ok(envelope) => {
                    self.in_a_row += 1;
                    self.end(actor, envelope, now)
                }
                Err(_) => match self.next(&mut now) {
                    Some(envelope) => self.end_other(actor, envelope, now),
                    None => return End::Drained,
                },
            };
            // The end of one task is the start of the next: one clock reading a task.
            match ended {
                Ended::At(time) => now = time,
                Ended::Panicked(message) => return End::Panicked(message),
                Ended::Stopping => return End::Stopped,
                Ended::Lost => return End::Lost,
            }
        }
    }

    /// The next task to end; waits for one. `None` when nothing can come any more.
    #[inline(never)]
    fn next(&mut self, now: &mut u64) -> Option<Envelope<A>> {
        if let Some(envelope) = self.take() {
            return Some(envelope);
        }
        if std::mem::take(&mut self.in_a_row) >= STREAM {
            (0..GATHERING).for_each(|_| thread::yield_now());
        }
        let next = self.wait_next(*now);
        *now = self.clock.now();
        next
    }

    /// The same where there was none at the clock's time `since`.
    fn wait_next(&mut self, since: u64) -> Option<Envelope<A>> {
        loop {
            if self.inbox.is_to_rest() {
                self.recorder.mark_idle(since);
            }
            if let Some(envelope) = self.take() {
                return Some(envelope);
            }
            if self.inbox.looks_around()
                && let Some(envelope) = self.steal()
            {
                return Some(envelope);
            }
            if !self.inbox.wait(&mut self.recorder) {
                return None;
            }
        }
    }

    /// The next task of the worker's own that may be run.
    fn take(&mut self) -> Option<Envelope<A>> {
        if self.inbox.mailbox().held() > 0
            && let Some(envelope) = self.take_held()
        {
            return Some(envelope);
        }
        let envelope = self.inbox.try_next()?;
        if envelope.label.key().is_none() { Some(envelope) } else { self.take_keyed(envelope) }
    }

    /// The task of a key that was taken, or the next one that may be run.
    #[cold]
    fn take_keyed(&mut self, mut envelope: Envelope<A>) -> Option<Envelope<A>> {
        while let Some(slot) = envelope.label.key() {
            match self.hold_back(envelope, slot) {
                Some(envelope) => return Some(envelope),
                None => envelope = self.inbox.try_next()?,
            }
        }
        Some(envelope)
    }

    #[cold]
    fn take_held(&mut self) -> Option<Envelope<A>> {
        let Self { shared, seat, inbox, .. } = self;
        inbox.take_held(
            |envelope| envelope.label.key(),
            |key| key.is_none_or(|slot| shared.keys.may_run(slot, *seat)),
        )
    }

    /// The task, unless it must wait for another worker to let go of its key, or behind a task of
    /// its key that waits.
    fn hold_back(&mut self, envelope: Envelope<A>, slot: Slot) -> Option<Envelope<A>> {
        let must_wait = !self.shared.keys.may_run(slot, self.seat)
            || (self.inbox.mailbox().held() > 0
                && self.inbox.holds(|held| held.label.key() == Some(slot)));
        if !must_wait {
            return Some(envelope);
        }
        self.inbox.mailbox().hold(envelope);
        None
    }

    /// Pins the thread to its core, where that was asked for.
    fn pin(&self) {
        let cores = &self.shared.settings.cores;
        let core = cores.get(usize::from(self.seat) % cores.len().max(1));
        if core.is_some_and(|core| !core_affinity::set_for_current(*core)) {
            tracing::warn!(worker = self.worker.name(), "could not pin the worker to its core");
        }
    }
}
