//! Gives an envelope to a worker's mailbox: for callers, timers, hedges, and for tasks that move.

use std::time::{Duration, Instant};

use raddle_core::sync::thread;
use raddle_core::{Capability, Health, Reservation, Roster, TaskProfile, Worker, WorkerId};
use raddle_strategies::{SelectError, Strategy, reserve, reserve_other};

use super::routing::{Loaded, Routing};
use super::settings::ShedReason;
use super::shared::Shared;
use crate::envelope::Envelope;
use crate::keys::{KeyTables, Slot};
use crate::mailbox::Full;
use crate::{Actor, Overflow, SendError};

/// A task that is not to go to a sleeping worker's sibling for less than this, in nanoseconds of
/// work ahead of it: waking a thread costs its waker ten microseconds and takes thirty.
const WORTH_WAKING: u64 = 50_000;

impl<A: Actor> Shared<A> {
    /// Gives a task to the worker that the strategy picks, or that its key belongs to; that
    /// worker's position, or [`NOWHERE`] when the task was shed.
    ///
    /// # Errors
    /// Hands it back when it was not admitted.
    #[inline]
    pub(crate) fn dispatch(
        &self,
        routing: &Loaded<'_, A>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        let given = self.dispatch_by(routing, strategy, profile, envelope, overflow);
        match given {
            Err(SendError::Closed(envelope)) => {
                self.dispatch_anew(routing, strategy, profile, envelope, overflow)
            }
            given => given,
        }
    }

    /// Every worker that could have had the task has closed: others may have come meanwhile.
    #[cold]
    fn dispatch_anew(
        &self,
        seen: &Loaded<'_, A>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        mut envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        let mut version = seen.roster.version();
        loop {
            let routing = Loaded::Now(self.routing.load());
            if routing.roster.version() == version {
                return Err(SendError::Closed(envelope));
            }
            version = routing.roster.version();
            match self.dispatch_by(&routing, strategy, profile, envelope, overflow) {
                Err(SendError::Closed(back)) => envelope = back,
                given => return given,
            }
        }
    }

    #[inline]
    fn dispatch_by(
        &self,
        routing: &Loaded<'_, A>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        if let Some(hash) = profile.key {
            return self.dispatch_keyed(routing, profile, hash, envelope, overflow);
        }
        let strategy = strategy.unwrap_or(&*routing.strategy);
        let reservation = match reserve(strategy, profile, &routing.roster) {
            Ok(reservation) => reservation,
            Err(error) => return Err(SendError::from_select(error, envelope)),
        };
        let position = reservation.position();
        match self.put(routing, reservation, envelope, overflow) {
            Ok(()) => {
                if routing.stealing && self.sleepers.any() {
                    self.wake_thief(routing, position);
                }
                Ok(position)
            }
            Err(Full(envelope)) => self.overflowed(routing, profile, position, envelope, overflow),
        }
    }

    #[inline]
    fn put(
        &self,
        routing: &Routing<A>,
        reservation: Reservation<'_>,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<(), Full<Envelope<A>>> {
        let mailbox = &routing.mailboxes[reservation.position()];
        let lane = envelope.lane;
        // Where a strategy picked the worker, it is already.
        let reservation = reservation.sized(envelope.size);
        mailbox.put(reservation, lane, envelope, overflow, |oldest| {
            self.shed_oldest(mailbox.worker(), oldest);
        })
    }

    #[cold]
    fn shed_oldest(&self, worker: &Worker, oldest: Envelope<A>) {
        worker.give_up_work(oldest.size);
        if let Some(slot) = oldest.key {
            self.release_key(slot, worker.id().seat());
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
            return self.refused(envelope, overflow);
        };
        let worker = &routing.roster.workers()[position].worker;
        match self.put_elsewhere(routing, profile, worker.id(), envelope) {
            Ok(position) => return Ok(position),
            Err(back) => envelope = back,
        }
        let last = overflow.last();
        match Reservation::take(worker, position, profile.capability) {
            None => Err(SendError::Closed(envelope)),
            Some(reservation) => match self.put(routing, reservation, envelope, last) {
                Ok(()) => Ok(position),
                Err(Full(envelope)) => self.refused(envelope, last),
            },
        }
    }

    /// There was no room, and none is made or awaited.
    fn refused(
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
        if !envelope.lane.is_free() {
            return Err(envelope);
        }
        let routing = self.routing.load();
        let mut profile = TaskProfile::default().given_at(self.clock.now());
        let size = envelope.size;
        (profile.capability, profile.size) = (envelope.capability, size);
        self.put_elsewhere(&routing, &profile, worker.id(), envelope)?;
        worker.give_up_work(size);
        worker.give_up();
        Ok(())
    }

    /// Gives a task to the worker that its key belongs to.
    fn dispatch_keyed(
        &self,
        routing: &Loaded<'_, A>,
        profile: &TaskProfile,
        hash: u64,
        envelope: Envelope<A>,
        overflow: &Overflow,
    ) -> Result<usize, SendError<Envelope<A>>> {
        let capability = envelope.capability;
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
                let current = fresh.as_ref().map_or(routing, |fresh| fresh);
                let routing = match current.position_of(seat) {
                    Some(_) => current,
                    // Keys move after the roster has been published that has their new owner.
                    None => fresh.insert(Loaded::Now(self.routing.load())),
                };
                if let Some(position) = routing.position_of(seat) {
                    let worker = &routing.roster.workers()[position].worker;
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
                fresh = Some(Loaded::Now(now));
            }
            if !patience.wait() {
                return self.refused(envelope, last);
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
        let (position, seat) = (reservation.position(), reservation.worker().id().seat());
        envelope.key = Some(slot);
        match self.put(routing, reservation, envelope, overflow) {
            Ok(()) => Ok(position),
            Err(Full(mut envelope)) => {
                self.release_key(slot, seat);
                envelope.key = None;
                self.refused(envelope, overflow)
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
        let seat = reservation.worker().id().seat();
        self.keys.bind_free(slot, seat).then_some(reservation)
    }

    /// Wakes a sleeping worker that could take the task which now waits at `position`, where that
    /// is worth it.
    #[cold]
    fn wake_thief(&self, routing: &Routing<A>, position: usize) {
        let worker = &routing.roster.workers()[position].worker;
        let ahead = worker.stats().in_flight().saturating_sub(1);
        let mean = worker.stats().latencies().mean().unwrap_or(0);
        if ahead == 0 || ahead.saturating_mul(mean) < WORTH_WAKING {
            return;
        }
        let count = routing.mailboxes.len();
        let is_ejected = |at: &usize| routing.roster.workers()[*at].health == Health::Ejected;
        let siblings = (position + 1..count).chain(0..position).filter(|at| !is_ejected(at));
        for mailbox in siblings.map(|sibling| &routing.mailboxes[sibling]) {
            let sibling = mailbox.worker();
            if sibling.stats().is_sleeping() && sibling.capabilities() == worker.capabilities() {
                mailbox.wake();
                return;
            }
        }
    }
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
