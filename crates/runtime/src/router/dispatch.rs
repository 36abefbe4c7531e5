//! The way of a task from its caller, or from a worker that gives it up, into an inlet.

use raddle_core::internal::WorkerInternals;
use raddle_core::{Reservation, TaskProfile, Worker, WorkerId};
use raddle_strategies::{Strategy, reserve, reserve_other};
use raddle_sync::fibers;

use super::routing::Routing;
use super::{Routed, Router};
use crate::error::{Refusal, SendError};
use crate::inlet::Inlet;
use crate::keys::ShortId;
use crate::mailbox::{Full, Left, NoRoom, Overflow, Place, Unsent};
use crate::settings::{Policy, ShedReason};

/// Where a task went.
pub(crate) enum Placed {
    /// To the worker at this position in the roster of the caller's routing.
    Position(usize),
    /// To this worker, by the caller's routing or a later one.
    Worker(WorkerId),
    Shed,
}

/// What became of a task that may wait without its caller.
pub(crate) enum Sent<T> {
    Placed(Placed),
    /// It waits for room.
    InLine(Place<T>),
    /// It must be dispatched again: the worker of its key is leaving, and has tasks of the key.
    KeyMoves(T),
}

impl<T> Sent<T> {
    /// Where a task went whose caller waited itself.
    pub(crate) fn on_thread(self) -> Placed {
        match self {
            Self::Placed(placed) => placed,
            Self::InLine(_) | Self::KeyMoves(_) => unreachable!("its caller waits itself"),
        }
    }
}

/// One task's dispatch by one routing.
pub(super) struct Dispatch<'a, T> {
    pub(super) router: &'a Router<T>,
    pub(super) routing: &'a Routing<T>,
    /// The strategy for this task alone.
    pub(super) strategy: Option<&'a dyn Strategy>,
    pub(super) profile: TaskProfile,
    pub(super) policy: &'a Policy,
    /// Whether the task waits without its caller, where the policy says that it waits.
    pub(super) in_line: bool,
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
        self.dispatch_or(
            routing,
            strategy,
            profile,
            task,
            |placed| placed,
            |reservation, task| {
                let (profile, in_line) = (*profile, false);
                Dispatch { router: self, routing, strategy, profile, policy, in_line }
                    .on_thread(reservation, task)
            },
        )
    }

    /// As [`dispatch`](Self::dispatch), but never blocks: where the policy says that the task waits, it
    /// does so without its caller.
    ///
    /// # Errors
    /// Returns the task if it was not admitted and does not wait.
    #[inline(always)]
    pub(crate) fn dispatch_in_line(
        &self,
        routing: &Routing<T>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        task: T,
        policy: &Policy,
    ) -> Result<Sent<T>, SendError<T>> {
        self.dispatch_or(routing, strategy, profile, task, Sent::Placed, |reservation, task| {
            let (profile, in_line) = (*profile, true);
            Dispatch { router: self, routing, strategy, profile, policy, in_line }
                .retrying(reservation, task)
        })
    }

    /// Sends a task that is admitted at once; otherwise calls `cold`, perhaps with a reservation at a
    /// worker that has no room.
    #[inline(always)]
    fn dispatch_or<R>(
        &self,
        routing: &Routing<T>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        mut task: T,
        sent: impl FnOnce(Placed) -> R,
        cold: impl FnOnce(Option<Reservation<'_>>, T) -> Result<R, SendError<T>>,
    ) -> Result<R, SendError<T>> {
        fibers::switch();
        let picker = strategy.unwrap_or(&*routing.strategy);
        if profile.key.is_some() {
            return cold(None, task);
        }
        self.sizes.sort(&mut task, profile, routing.roster.baseline());
        let Ok(reservation) = reserve(picker, profile, &routing.roster) else {
            return cold(None, task);
        };
        let position = reservation.position();
        let inlet = &routing.inlets[position];
        fibers::switch();
        match inlet.try_send(task.label().lane(), task) {
            Ok(()) => {
                inlet.hand_over(reservation);
                self.consider_waking_thief(routing, position);
                Ok(sent(Placed::Position(position)))
            }
            Err(Full(task)) => cold(Some(reservation), task),
        }
    }

    /// Takes a task from its line, and off its worker's account. `None` if it was sent.
    pub(crate) fn leave(&self, place: &Place<T>) -> Option<T> {
        match place.leave() {
            Left::Sent => None,
            Left::Returned(task) => Some(task),
            Left::Waiting(mut task) => {
                let (label, expected_duration) = (task.label(), task.expected_duration());
                self.control.take_off(place.worker(), label.partition(), expected_duration);
                task.set_label(label.bound_to(None));
                Some(task)
            }
        }
    }

    /// As [`dispatch`](Self::dispatch) or [`dispatch_in_line`](Self::dispatch_in_line), in fewer instructions
    /// of code and more of time.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn dispatch_out_of_line(
        &self,
        routing: &Routing<T>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        mut task: T,
        policy: &Policy,
        in_line: bool,
    ) -> Result<Sent<T>, SendError<T>> {
        if profile.key.is_none() {
            self.sizes.sort(&mut task, profile, routing.roster.baseline());
        }
        let profile = *profile;
        let dispatch = Dispatch { router: self, routing, strategy, profile, policy, in_line };
        dispatch.retrying(None, task)
    }

    pub(super) fn put(
        &self,
        routing: &Routing<T>,
        reservation: Reservation<'_>,
        task: T,
        overflow: Overflow,
    ) -> Result<(), Unsent<T>> {
        let inlet = &routing.inlets[reservation.position()];
        let (lane, deadline) = (task.label().lane(), task.deadline());
        inlet.put(reservation, lane, task, overflow, deadline, |oldest| {
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
    /// if it is another, or else the first with room from a random one on. Returns that worker.
    ///
    /// # Errors
    /// Returns the task if no other worker has room.
    pub(super) fn put_elsewhere(
        &self,
        routing: &Routing<T>,
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        except: WorkerId,
        mut task: T,
    ) -> Result<WorkerId, T> {
        let strategy = strategy.unwrap_or(&*routing.strategy);
        let Ok(picked) = reserve_other(strategy, profile, &routing.roster, except) else {
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
            let worker = reservation.worker().id();
            let reservation = reservation.expecting(profile.expected_duration);
            match self.put(routing, reservation, task, Overflow::Reject) {
                Ok(()) => return Ok(worker),
                Err(Unsent { task: back, .. }) => task = back,
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
        strategy: Option<&dyn Strategy>,
        profile: &TaskProfile,
        except: WorkerId,
        mut copy: T,
    ) -> Result<(), T> {
        let routing = self.routing().load();
        self.sizes.sort(&mut copy, profile, routing.roster.baseline());
        self.put_elsewhere(&routing, strategy, profile, except, copy).map(drop)
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
        self.put_elsewhere(&self.routing().load(), None, &profile, worker.id(), task)?;
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
            let free = |task: &T| task.label().lane().is_free();
            let Some(task) = mailbox.steal_any(free) else { return };
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
    /// [`retrying`](Self::retrying), for a caller that waits itself.
    #[cold]
    fn on_thread(
        &self,
        reservation: Option<Reservation<'_>>,
        task: T,
    ) -> Result<Placed, SendError<T>> {
        self.retrying(reservation, task).map(Sent::on_thread)
    }

    /// Sends the task, for which there may be a reservation already. If every worker that serves it
    /// has closed, tries again with the latest roster, as long as there is a newer one.
    #[cold]
    fn retrying(
        &self,
        reservation: Option<Reservation<'_>>,
        task: T,
    ) -> Result<Sent<T>, SendError<T>> {
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

    fn attempt(&self, task: T) -> Result<Sent<T>, SendError<T>> {
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
    fn place(
        &self,
        mut reservation: Reservation<'_>,
        mut task: T,
    ) -> Result<Sent<T>, SendError<T>> {
        let Self { router, routing, strategy, profile, policy, .. } = *self;
        let (worker, position) = (reservation.worker(), reservation.position());
        if policy.reroute {
            match router.put(routing, reservation, task, Overflow::Reject) {
                Ok(()) => return Ok(Sent::Placed(Placed::Worker(worker.id()))),
                Err(Unsent { task: back, .. }) => task = back,
            }
            match router.put_elsewhere(routing, strategy, &profile, worker.id(), task) {
                Ok(other) => return Ok(Sent::Placed(Placed::Worker(other))),
                Err(back) => task = back,
            }
            let Some(again) = Reservation::take(worker, position, profile.capability) else {
                return Err(SendError::new(Refusal::Closed, task));
            };
            reservation = again.expecting(profile.expected_duration);
        }
        match self.put(reservation, task) {
            Ok(sent) => {
                router.consider_waking_thief(routing, position);
                Ok(sent)
            }
            Err(unsent) => self.unsent(unsent),
        }
    }

    /// Puts the task into the inlet of the worker that is reserved, or into its line.
    pub(super) fn put(&self, reservation: Reservation<'_>, task: T) -> Result<Sent<T>, Unsent<T>> {
        let Self { router, routing, policy, in_line, .. } = *self;
        let worker = reservation.worker().id();
        if in_line && policy.overflow.waits() {
            let (inlet, lane) = (&routing.inlets[reservation.position()], task.label().lane());
            return match inlet.try_send(lane, task) {
                Ok(()) => {
                    inlet.hand_over(reservation);
                    Ok(Sent::Placed(Placed::Worker(worker)))
                }
                Err(Full(task)) => Ok(Sent::InLine(inlet.line_up(reservation, lane, task)?)),
            };
        }
        router.put(routing, reservation, task, policy.overflow)?;
        Ok(Sent::Placed(Placed::Worker(worker)))
    }

    /// Ends the attempt of a task for which there is no room, and no waiting for it.
    pub(super) fn unsent(&self, unsent: Unsent<T>) -> Result<Sent<T>, SendError<T>> {
        let Unsent { task, why } = unsent;
        match (why, self.policy.overflow) {
            // The oldest task always makes room, unless the worker is closed and takes no more.
            (NoRoom::Full, Overflow::DropOldest | Overflow::DropNewest) => {
                self.router.shed(task, ShedReason::Newest);
                Ok(Sent::Placed(Placed::Shed))
            }
            _ => Err(SendError::new(why.into(), task)),
        }
    }
}
