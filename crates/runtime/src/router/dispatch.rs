//! The way of a task from its caller, or from a worker that gives it up, into an inlet.

use raddle_core::internal::WorkerInternals;
use raddle_core::{Reservation, TaskProfile, Worker, WorkerId};
use raddle_strategies::{Strategy, reserve, reserve_other};

use super::routing::Routing;
use super::{Routed, Router};
use crate::error::{Refusal, SendError};
use crate::inlet::Inlet;
use crate::keys::ShortId;
use crate::mailbox::{Full, Overflow};
use crate::settings::{Policy, ShedReason};

/// Where a task went: the position of its worker, or `None` if it was shed.
pub(crate) type Placed = Option<usize>;

/// One task's dispatch by one routing.
pub(super) struct Dispatch<'a, T> {
    pub(super) router: &'a Router<T>,
    pub(super) routing: &'a Routing<T>,
    /// The strategy for this task alone.
    pub(super) strategy: Option<&'a dyn Strategy>,
    pub(super) profile: TaskProfile,
    pub(super) policy: &'a Policy,
}

impl<T: Routed> Router<T> {
    /// Sends a task to the worker that the strategy picks, or that its key belongs to.
    ///
    /// Only the path of a task that is admitted at once is in this function; everything else is out
    /// of line. So it is small enough to be inlined, and the task is not copied on the way.
    ///
    /// # Errors
    /// Returns the task if it was not admitted. The caller then passes it to
    /// [`refused`](Self::refused).
    #[inline(always)]
    pub(crate) fn dispatch(
        &self,
        routing: &Routing<T>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        task: T,
        policy: &Policy,
    ) -> Result<Placed, SendError<T>> {
        let picker = strategy.unwrap_or(&*routing.strategy);
        let cold = move || Dispatch { router: self, routing, strategy, profile: *profile, policy };
        if profile.key.is_some() {
            return cold().retrying(None, task);
        }
        let Ok(reservation) = reserve(picker, profile, &routing.roster) else {
            return cold().retrying(None, task);
        };
        let position = reservation.position();
        let inlet = &routing.inlets[position];
        match inlet.try_send(task.label().lane(), task) {
            Ok(()) => {
                inlet.hand_over(reservation);
                self.consider_waking_thief(routing, position);
                Ok(Some(position))
            }
            Err(Full(task)) => cold().retrying(Some(reservation), task),
        }
    }

    pub(super) fn put(
        &self,
        routing: &Routing<T>,
        reservation: Reservation<'_>,
        task: T,
        overflow: Overflow,
    ) -> Result<(), Full<T>> {
        let inlet = &routing.inlets[reservation.position()];
        let lane = task.label().lane();
        inlet.put(reservation, lane, task, overflow, |oldest| {
            self.shed_oldest(inlet.worker(), oldest);
        })
    }

    #[cold]
    fn shed_oldest(&self, worker: &Worker, oldest: T) {
        worker.withdraw_work_of(oldest.expected_duration());
        if let Some(partition) = oldest.label().partition() {
            self.control.release_key(partition, worker.id().short_id());
        }
        self.shed(oldest, ShedReason::Oldest);
    }

    /// Sends a task to a worker other than `except` that has room: the one that the strategy picks
    /// if it is another, or else the first with room from a random one on. Returns its position.
    ///
    /// # Errors
    /// Returns the task if no other worker has room.
    pub(super) fn put_elsewhere(
        &self,
        routing: &Routing<T>,
        profile: &TaskProfile,
        except: WorkerId,
        mut task: T,
    ) -> Result<usize, T> {
        let Ok(picked) = reserve_other(&*routing.strategy, profile, &routing.roster, except) else {
            return Err(task);
        };
        let tried = picked.position();
        let candidates = routing.roster.candidates(profile.capability);
        let count = candidates.len();
        let first = fastrand::usize(..count);
        let others = (first..count).chain(0..first).filter(|index| {
            candidates.position(*index) != tried && candidates.worker(*index).id() != except
        });
        let others = others.filter_map(|index| candidates.take(index, profile.capability));
        for reservation in std::iter::once(picked).chain(others) {
            let position = reservation.position();
            let reservation = reservation.expecting(profile.expected_duration);
            match self.put(routing, reservation, task, Overflow::Reject) {
                Ok(()) => return Ok(position),
                Err(Full(back)) => task = back,
            }
        }
        Err(task)
    }

    /// Sends a copy of a task to a worker other than `except`, which has the task.
    ///
    /// # Errors
    /// Returns the copy if no other worker has room.
    pub(crate) fn send_copy(
        &self,
        profile: &TaskProfile,
        except: WorkerId,
        copy: T,
    ) -> Result<(), T> {
        self.put_elsewhere(&self.routing().load(), profile, except, copy).map(drop)
    }

    /// Moves a task that was taken from `worker`'s inlet to another worker with room. The task is
    /// then off `worker`'s account.
    ///
    /// # Errors
    /// Returns the task, still on `worker`'s account, if no other worker has room or the task may
    /// not move.
    pub(crate) fn relocate(&self, worker: &Worker, task: T) -> Result<(), T> {
        if !task.label().lane().is_free() {
            return Err(task);
        }
        let expected_duration = task.expected_duration();
        let mut profile = TaskProfile::default().submitted_at(self.clock.now());
        profile.capability = task.label().capability();
        profile.expected_duration = expected_duration;
        self.put_elsewhere(&self.routing().load(), &profile, worker.id(), task)?;
        worker.withdraw_work_of(expected_duration);
        worker.withdraw();
        Ok(())
    }

    /// Moves the free tasks of a worker to other workers with room.
    pub(crate) fn move_free_tasks(&self, worker: ShortId) {
        let routing = self.routing().load();
        let Some(mailbox) = routing.inlet_of(worker).and_then(Inlet::mailbox) else { return };
        // No more than are there now: some may come back.
        for _ in 0..mailbox.len() {
            let Some(task) = mailbox.steal() else { return };
            if let Err(task) = self.relocate(mailbox.worker(), task) {
                // No other worker has room: the task stays here, and runs first.
                mailbox.defer(task);
                mailbox.wake();
                return;
            }
        }
    }

    /// Wakes a parked worker that could steal the task which now waits at `position`, if that is
    /// worth it.
    #[inline(always)]
    fn consider_waking_thief(&self, routing: &Routing<T>, position: usize) {
        if routing.stealing
            && self.parked.any()
            && let Some(thief) = routing.thief_for(position)
        {
            routing.inlets[thief].wake();
        }
    }
}

impl<T: Routed> Dispatch<'_, T> {
    /// Sends the task, for which there may be a reservation already. If every worker that serves it
    /// has closed, tries again with the latest roster, as long as there is a newer one.
    #[cold]
    fn retrying(
        &self,
        reservation: Option<Reservation<'_>>,
        task: T,
    ) -> Result<Placed, SendError<T>> {
        let mut version = self.routing.roster.version();
        let mut sent = match reservation {
            Some(reservation) => self.place(reservation, task),
            None => self.attempt(task),
        };
        loop {
            let error = match sent {
                Err(error) if error.is_closed() => error,
                other => return other,
            };
            let routing = self.router.routing().load();
            if routing.roster.version() == version {
                return Err(error);
            }
            version = routing.roster.version();
            sent = Dispatch { routing: &routing, ..*self }.attempt(error.into_message());
        }
    }

    fn attempt(&self, task: T) -> Result<Placed, SendError<T>> {
        if let Some(hash) = self.profile.key {
            return self.send_keyed(hash, task);
        }
        let strategy = self.strategy.unwrap_or(&*self.routing.strategy);
        match reserve(strategy, &self.profile, &self.routing.roster) {
            Ok(reservation) => self.place(reservation, task),
            Err(error) => Err(SendError::new(error.into(), task)),
        }
    }

    /// Sends a task to the worker that is reserved for it or, if that has no room and the policy
    /// says so, to another one.
    fn place(&self, mut reservation: Reservation<'_>, mut task: T) -> Result<Placed, SendError<T>> {
        let Self { router, routing, profile, policy, .. } = *self;
        let (worker, position) = (reservation.worker(), reservation.position());
        if policy.reroute {
            match router.put(routing, reservation, task, Overflow::Reject) {
                Ok(()) => return Ok(Some(position)),
                Err(Full(back)) => task = back,
            }
            match router.put_elsewhere(routing, &profile, worker.id(), task) {
                Ok(position) => return Ok(Some(position)),
                Err(back) => task = back,
            }
            let Some(again) = Reservation::take(worker, position, profile.capability) else {
                return Err(SendError::new(Refusal::Closed, task));
            };
            reservation = again.expecting(profile.expected_duration);
        }
        match router.put(routing, reservation, task, policy.overflow) {
            Ok(()) => {
                router.consider_waking_thief(routing, position);
                Ok(Some(position))
            }
            Err(Full(task)) => self.without_room(task),
        }
    }

    /// Ends the attempt of a task for which there is no room, and no waiting for it.
    pub(super) fn without_room(&self, task: T) -> Result<Placed, SendError<T>> {
        match self.policy.overflow {
            // The oldest task always makes room, unless the worker is closed and takes no more.
            Overflow::DropOldest | Overflow::DropNewest => {
                self.router.shed(task, ShedReason::Newest);
                Ok(None)
            }
            _ => Err(SendError::new(Refusal::Full, task)),
        }
    }
}
