//! Gives an envelope to a worker's mailbox: for callers, timers, hedges, and for tasks that move.

use std::time::{Duration, Instant};

use raddle_core::internal::WorkerInternals;
use raddle_core::{Capability, Health, Reservation, Roster, TaskProfile, Worker, WorkerId};
use raddle_strategies::{SelectError, Strategy, reserve, reserve_other};
use raddle_sync::thread;

use super::routing::Routing;
use super::settings::ShedReason;
use super::shared::Shared;
use crate::envelope::{Envelope, Label, NEVER};
use crate::keys::{KeyTables, Slot};
use crate::mailbox::{Full, Lane};
use crate::reply::ReplySender;
use crate::{Actor, Overflow, SendError};

/// A task that is not to go to a sleeping worker's sibling for less than this, in nanoseconds of
/// work ahead of it: waking a thread costs its waker ten microseconds and takes thirty.
const WORTH_WAKING: u64 = 50_000;

impl<A: Actor> Shared<A> {
    /// Gives a message of which nothing else is said, without the detour over a [`Task`](super::TaskBuilder)
    /// that describes it.
    ///
    /// # Errors
    /// As [`dispatch`](Self::dispatch).
    #[inline(always)]
    pub(super) fn give(
        &self,
        routing: &Routing<A>,
        msg: A::Msg,
        reply: Option<ReplySender<A::Reply, A::Error>>,
    ) -> Result<(), SendError<A::Msg>> {
        let submitted_at = self.clock.now();
        let profile = TaskProfile::default().submitted_at(submitted_at);
        let label = Label::new(Lane::Normal, None);
        let envelope =
            Envelope { msg, reply, submitted_at, deadline: NEVER, expected_duration: 0, label };
        match self.dispatch(routing, None, &profile, envelope, &self.settings.overflow) {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a task to the worker that the strategy picks, or that its key belongs to; that
    /// worker's position, or [`NOWHERE`] when the task was shed.
    ///
    /// All but the way of a task that is admitted at once is elsewhere, so that this is compiled into
    /// its callers, and an envelope is written once.
    ///
    /// # Errors
    /// Hands the message back when the task was not admitted; it is counted as rejected.
    #[inline(always)]
    pub(crate) fn dispatch(
        &self,
        routing: &Routing<A>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<A::Msg>> {
        if profile.key.is_some() {
            return self.dispatch_again(routing, strategy, profile, envelope, overflow);
        }
        match self.dispatch_free(routing, strategy, profile, envelope, overflow) {
            Ok(position) => Ok(position),
            Err(Missed::Unselected(_, envelope)) => {
                self.dispatch_again(routing, strategy, profile, envelope, overflow)
            }
            Err(Missed::Full(position, envelope)) => self
                .overflowed(routing, profile, position, envelope, overflow)
                .map_err(|error| self.rejected(error)),
        }
    }

    /// Gives a task, and where every worker that could have had it has closed, gives it to those that
    /// have come meanwhile.
    #[cold]
    fn dispatch_again(
        &self,
        routing: &Routing<A>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<A::Msg>> {
        let mut version = routing.roster.version();
        let mut given = self.dispatch_by(routing, strategy, profile, envelope, overflow);
        while let Err(SendError::Closed(envelope)) = given {
            let routing = self.routing.load();
            if routing.roster.version() == version {
                return Err(self.rejected(SendError::Closed(envelope)));
            }
            version = routing.roster.version();
            given = self.dispatch_by(&routing, strategy, profile, envelope, overflow);
        }
        given.map_err(|error| self.rejected(error))
    }

    fn dispatch_by(
        &self,
        routing: &Routing<A>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        if let Some(hash) = profile.key {
            return self.dispatch_keyed(routing, profile, hash, envelope, overflow);
        }
        match self.dispatch_free(routing, strategy, profile, envelope, overflow) {
            Ok(position) => Ok(position),
            Err(Missed::Unselected(error, envelope)) => {
                Err(SendError::from_select(error, envelope))
            }
            Err(Missed::Full(position, envelope)) => {
                self.overflowed(routing, profile, position, envelope, overflow)
            }
        }
    }

    /// Gives a task without a key to the worker that the strategy picks, if there is one with room.
    #[inline(always)]
    fn dispatch_free(
        &self,
        routing: &Routing<A>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, Missed<A>> {
        let strategy = strategy.unwrap_or(&*routing.strategy);
        let reservation = match reserve(strategy, profile, &routing.roster) {
            Ok(reservation) => reservation,
            Err(error) => return Err(Missed::Unselected(error, envelope)),
        };
        let position = reservation.position();
        if let Err(Full(envelope)) = self.put(routing, reservation, envelope, overflow) {
            return Err(Missed::Full(position, envelope));
        }
        if routing.stealing && self.sleepers.any() {
            self.wake_thief(routing, position);
        }
        Ok(position)
    }

    #[inline(always)]
    fn put(
        &self,
        routing: &Routing<A>,
        reservation: Reservation<'_>,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<(), Full<Envelope<A>>> {
        let mailbox = &routing.mailboxes[reservation.position()];
        let lane = envelope.label.lane();
        mailbox.put(reservation, lane, envelope, overflow, |oldest| {
            self.shed_oldest(mailbox.worker(), oldest);
        })
    }

    #[cold]
    fn shed_oldest(&self, worker: &Worker, oldest: Envelope<A>) {
        worker.withdraw_work_of(oldest.expected_duration);
        if let Some(slot) = oldest.label.key() {
            self.release_key(slot, worker.id().short_id());
        }
        self.shed(oldest, ShedReason::Oldest);
    }

    /// The mailbox at `position` is full, and its worker's place was given back.
    #[cold]
    fn overflowed(
        &self,
        routing: &Routing<A>,
        profile: &TaskProfile,
        position: usize,
        mut envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        let Overflow::Reroute(_) = overflow else {
            return self.unplaced(envelope, overflow);
        };
        let worker = &routing.roster.members()[position].worker;
        match self.put_elsewhere(routing, profile, worker.id(), envelope) {
            Ok(position) => return Ok(position),
            Err(back) => envelope = back,
        }
        let last = overflow.last();
        match Reservation::take(worker, position, profile.capability) {
            None => Err(SendError::Closed(envelope)),
            Some(reservation) => {
                match self.put(
                    routing,
                    reservation.expecting(profile.expected_duration),
                    envelope,
                    last,
                ) {
                    Ok(()) => Ok(position),
                    Err(Full(envelope)) => self.unplaced(envelope, last),
                }
            }
        }
    }

    /// There was no room, and none is made or awaited.
    fn unplaced(
        &self,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        match overflow {
            // The oldest make room, unless they are a closed worker's, which takes no more.
            Overflow::DropOldest | Overflow::DropNewest => {
                self.shed(envelope, ShedReason::Newest);
                Ok(NOWHERE)
            }
            _ => Err(SendError::Full(envelope)),
        }
    }

    /// Gives a task to another of its candidates that has room: to the one that the strategy picks
    /// if that is another, or else to the first from a random one on; its position.
    fn put_elsewhere(
        &self,
        routing: &Routing<A>,
        profile: &TaskProfile,
        but: WorkerId,
        mut envelope: Envelope<A>,
    ) -> Result<usize, Envelope<A>> {
        let Ok(picked) = reserve_other(&*routing.strategy, profile, &routing.roster, but) else {
            return Err(envelope);
        };
        let full = picked.position();
        match self.put(routing, picked, envelope, &Overflow::Reject) {
            Ok(()) => return Ok(full),
            Err(Full(back)) => envelope = back,
        }
        let candidates = routing.roster.candidates(profile.capability);
        let count = candidates.len();
        let first = fastrand::usize(..count);
        for index in (first..count).chain(0..first) {
            let position = candidates.position(index);
            if position == full || candidates.worker(index).id() == but {
                continue;
            }
            let Some(reservation) = candidates.take(index, profile.capability) else { continue };
            let reservation = reservation.expecting(profile.expected_duration);
            match self.put(routing, reservation, envelope, &Overflow::Reject) {
                Ok(()) => return Ok(position),
                Err(Full(back)) => envelope = back,
            }
        }
        Err(envelope)
    }

    /// Gives a copy of a task to another worker than the one that has the task.
    ///
    /// # Errors
    /// Hands it back when none has room.
    pub(super) fn give_copy(
        &self,
        profile: &TaskProfile,
        first: WorkerId,
        envelope: Envelope<A>,
    ) -> Result<(), Envelope<A>> {
        let routing = self.routing.load();
        self.put_elsewhere(&routing, profile, first, envelope).map(drop)
    }

    /// Moves a task of `worker`, taken from its mailbox, to another that has room. The task is
    /// then no longer `worker`'s.
    ///
    /// # Errors
    /// Hands the task back, still `worker`'s, when none has room or the task is not free to move.
    pub(crate) fn relocate(
        &self,
        worker: &Worker,
        envelope: Envelope<A>,
    ) -> Result<(), Envelope<A>> {
        if !envelope.label.lane().is_free() {
            return Err(envelope);
        }
        let routing = self.routing.load();
        let mut profile = TaskProfile::default().submitted_at(self.clock.now());
        let expected_duration = envelope.expected_duration;
        (profile.capability, profile.expected_duration) =
            (envelope.label.capability(), expected_duration);
        self.put_elsewhere(&routing, &profile, worker.id(), envelope)?;
        worker.withdraw_work_of(expected_duration);
        worker.withdraw();
        Ok(())
    }

    /// Gives a task to the worker that its key belongs to.
    #[inline(never)]
    fn dispatch_keyed(
        &self,
        routing: &Routing<A>,
        profile: &TaskProfile,
        hash: u64,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        let capability = envelope.label.capability();
        let slot = match self.keys.slot(capability, hash) {
            Some(slot) => slot,
            None => match self.make_key_table(capability, hash) {
                Ok(slot) => slot,
                Err(error) => return Err(SendError::from_select(error, envelope)),
            },
        };
        let last = overflow.last();
        if routing.strategy.routes_keys()
            && let Some(reservation) = self.bind_free(routing, profile, slot)
        {
            return self.put_keyed(routing, reservation, slot, envelope, last);
        }
        let mut fresh = None;
        let mut patience = Patience::new(last);
        loop {
            if let Some(seat) = self.keys.bind(slot) {
                let current = fresh.as_deref().unwrap_or(routing);
                let routing = match current.position_of(seat) {
                    Some(_) => current,
                    // Keys move after the roster has been published that has their new owner.
                    None => fresh.insert(self.routing.load()),
                };
                if let Some(position) = routing.position_of(seat) {
                    let worker = &routing.roster.members()[position].worker;
                    if let Some(reservation) = Reservation::take(worker, position, capability) {
                        return self.put_keyed(routing, reservation, slot, envelope, last);
                    }
                }
                self.release_key(slot, seat);
                // Others get its keys, as far as it has no tasks of them that are to be run first.
                if !self.move_keys() {
                    return Err(SendError::Closed(envelope));
                }
                let now = self.routing.load();
                if now.roster.candidates(capability).is_empty() {
                    let error = none_for(capability, &now.roster);
                    return Err(SendError::from_select(error, envelope));
                }
                fresh = Some(now);
            }
            if !patience.wait() {
                return self.unplaced(envelope, last);
            }
        }
    }

    /// Gives a task to the worker that its key's slot is bound to, or releases it.
    fn put_keyed(
        &self,
        routing: &Routing<A>,
        reservation: Reservation<'_>,
        slot: Slot,
        mut envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        let (position, seat) = (reservation.position(), reservation.worker().id().short_id());
        let reservation = reservation.expecting(envelope.expected_duration);
        envelope.label = envelope.label.bound_to(Some(slot));
        match self.put(routing, reservation, envelope, overflow) {
            Ok(()) => Ok(position),
            Err(Full(mut envelope)) => {
                self.release_key(slot, seat);
                envelope.label = envelope.label.bound_to(None);
                self.unplaced(envelope, overflow)
            }
        }
    }

    /// Where no task of the slot is left, binds it to the worker that the strategy picks.
    fn bind_free<'r>(
        &self,
        routing: &'r Routing<A>,
        profile: &TaskProfile,
        slot: Slot,
    ) -> Option<Reservation<'r>> {
        if !self.keys.is_free(slot) {
            return None;
        }
        let profile = profile.key(KeyTables::key_of(slot));
        let reservation = reserve(&*routing.strategy, &profile, &routing.roster).ok()?;
        let seat = reservation.worker().id().short_id();
        self.keys.bind_free(slot, seat).then_some(reservation)
    }

    /// Wakes a sleeping worker that could take the task which now waits at `position`, where that
    /// is worth it.
    #[cold]
    fn wake_thief(&self, routing: &Routing<A>, position: usize) {
        let worker = &routing.roster.members()[position].worker;
        let ahead = worker.stats().in_flight().saturating_sub(1);
        if ahead.saturating_mul(worker.stats().recent_mean()) < WORTH_WAKING {
            return;
        }
        let count = routing.mailboxes.len();
        let is_ejected = |at: &usize| routing.roster.members()[*at].health == Health::Ejected;
        let siblings = (position + 1..count).chain(0..position).filter(|at| !is_ejected(at));
        for mailbox in siblings.map(|sibling| &routing.mailboxes[sibling]) {
            let sibling = mailbox.worker();
            if sibling.stats().is_parked() && sibling.capabilities() == worker.capabilities() {
                mailbox.wake();
                return;
            }
        }
    }
}

/// A task that did not get into a mailbox.
enum Missed<A: Actor> {
    Unselected(SelectError, Envelope<A>),
    /// The mailbox at this position has no room; its worker's place was given back.
    Full(usize, Envelope<A>),
}

/// The position of no worker.
pub(super) const NOWHERE: usize = usize::MAX;

/// How long a task may wait until its key's worker, which is closed and has tasks of the key before
/// it, has run those: as long as the policy lets it wait for room.
struct Patience {
    attempts: u32,
    until: Until,
}

enum Until {
    Moved,
    Time(Instant),
    Attempt(u32),
}

impl Patience {
    /// Attempts before the policies that do not wait decide: a worker is closed for a moment
    /// before its keys are others'.
    const ATTEMPTS: u32 = 1024;
    /// Attempts before the thread sleeps between two.
    const AWAKE: u32 = 64;
    const NAP: Duration = Duration::from_micros(100);

    fn new(policy: &Overflow) -> Self {
        let until = match policy {
            Overflow::Block => Until::Moved,
            Overflow::BlockFor(limit) => {
                Instant::now().checked_add(*limit).map_or(Until::Moved, Until::Time)
            }
            _ => Until::Attempt(Self::ATTEMPTS),
        };
        Self { attempts: 0, until }
    }

    /// Waits a moment; `false` when it has been long enough.
    fn wait(&mut self) -> bool {
        self.attempts += 1;
        if self.attempts < Self::AWAKE || matches!(self.until, Until::Attempt(_)) {
            thread::yield_now();
        } else {
            thread::sleep(Self::NAP);
        }
        match self.until {
            Until::Moved => true,
            Until::Time(time) => Instant::now() < time,
            Until::Attempt(last) => self.attempts < last,
        }
    }
}

impl<A: Actor> Shared<A> {
    /// A key's owner was found closed: gives the keys that such workers have to others, as far as
    /// those that had them have let go; `false` when the pool is closed.
    #[cold]
    fn move_keys(&self) -> bool {
        let mut membership = self.membership();
        if membership.closed {
            return false;
        }
        self.give_keys_again(&mut membership);
        true
    }

    /// Works out the owners of a capability's keys, as of its first task; where the key belongs.
    #[cold]
    fn make_key_table(
        &self,
        capability: Option<Capability>,
        hash: u64,
    ) -> Result<Slot, SelectError> {
        // Under the lock of membership, so that no change of it is missed.
        let _membership = self.membership();
        let routing = self.routing.load();
        self.keys.make(capability, &routing.roster);
        self.keys.slot(capability, hash).ok_or(none_for(capability, &routing.roster))
    }
}

/// Why nobody serves a capability.
fn none_for(capability: Option<Capability>, roster: &Roster) -> SelectError {
    match capability {
        Some(capability) if !roster.candidates(None).is_empty() => {
            SelectError::NoCapableWorker { capability }
        }
        _ => SelectError::NoWorker,
    }
}
