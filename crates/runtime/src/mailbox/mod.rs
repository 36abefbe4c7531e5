//! A worker's mailbox: crossbeam channels, one per lane, and how it is closed without losing a task.
//!
//! # Order
//! A lane is first come, first served. The lanes take turns, except that in a [boosted](MailboxOrder)
//! mailbox, the first tasks of the normal lane and of the lanes of each size compete.
//!
//! # Protocol
//! A task is sent in three steps: the caller *reserves* (raises the worker's admissions, which is
//! refused once the worker is closed), *sends*, and consumes the reservation. The worker lowers its
//! in-flight count only when the task has ended. [`Mailbox::close`] first closes the worker, then
//! wakes it. The worker leaves when it is closed *and* nothing is in flight.
//!
//! Why nothing is lost: admissions and the closed bit are one atomic word, so each reservation
//! comes either before the close or after it. One that comes before is counted, and the worker
//! stays until its task has ended or it is released. One that comes after is refused, and the
//! caller still has the message. `loom-tests` explores this.
//!
//! Why no wake-up is lost: before it parks, the worker sets a flag, then reads its admissions by a
//! read-modify-write. An admission that precedes that read is seen by it, and the worker does not
//! park. The caller of a later admission sees the flag and, after sending, [notifies](Notify) the
//! worker, which ends its sleep whether it has begun or not.

mod alarm;
mod attention;
mod backoff;
mod capacity;
mod lane;
mod lanes;
mod line;
mod notify;
mod overflow;
mod owed;
mod wait;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use raddle_core::internal::{ClockInternals, WorkerInternals};
use raddle_core::{MailboxOrder, Reservation, SerialRecorder, Worker};
use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};
use raddle_sync::channel::TryRecvError;
use raddle_sync::lock::ColdLock;
use raddle_sync::{hint, thread, time};

pub use alarm::{Alarm, Alarms};
pub(crate) use attention::Attention;
pub(crate) use backoff::Backoff;
pub(crate) use capacity::{Capacity, TooLarge};
pub use lane::Lane;
pub use line::{Left, Wakers};
pub use notify::Notify;
pub use overflow::{NoRoom, Overflow};
pub use owed::{Debt, Debtor, OwedEnd, OwedTask};
pub use wait::{ParkedWorkers, WaitStrategy};

use crate::blocking;
use crate::deadline::NEVER;
use lanes::{Boosting, Lanes, Turn};
use line::{Holder, Ticket};
use owed::OwedTasks;
use wait::{PAUSES, Step, Waiter};

/// A worker's mailbox, as callers, siblings that steal and the watchdog see it. Clones share the
/// mailbox.
pub struct Mailbox<T>(Arc<Shared<T>>);

struct Shared<T> {
    worker: Arc<Worker>,
    notify: Notify,
    lanes: Lanes<T>,
    deferred: Deferred<T>,
    owed: OwedTasks,
}

/// Tasks that were taken from a lane and cannot run yet, or that a checkpoint has passed over, in
/// order.
struct Deferred<T> {
    count: AtomicUsize,
    /// Locked only while keys or tasks move, and by checkpoints.
    tasks: ColdLock<VecDeque<T>>,
}

impl<T> Shared<T> {
    /// Changes the deferred tasks.
    fn change_deferred<R>(&self, change: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let mut tasks = self.deferred.tasks.lock();
        let was_empty = tasks.is_empty();
        let result = change(&mut tasks);
        // Relaxed: a worker that misses it is notified, or checks again before it parks.
        self.deferred.count.store(tasks.len(), Relaxed);
        match (was_empty, tasks.is_empty()) {
            (true, false) => self.attention().raise(),
            (false, true) => self.attention().lower(),
            _ => {}
        }
        result
    }

    /// Takes the first deferred task that is `wanted`.
    fn take_deferred(&self, wanted: impl FnMut(&T) -> bool) -> Option<T> {
        let remove = |tasks: &mut VecDeque<T>| {
            tasks.iter().position(wanted).and_then(|index| tasks.remove(index))
        };
        self.change_deferred(remove)
    }

    fn attention(&self) -> &Attention {
        &self.lanes.attention
    }
}

/// The mailbox as its worker's thread sees it.
pub struct Inbox<T> {
    mailbox: Mailbox<T>,
    turn: Turn,
    waiter: Waiter,
    parked: Arc<ParkedWorkers>,
    /// In a boosted mailbox.
    boosting: Option<Box<Boosting>>,
}

/// A task that found no room.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// A task that was not sent, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsent<T> {
    pub task: T,
    pub why: NoRoom,
}

/// While this many tasks are deferred and some are owed, tasks with keys stay in their lanes: behind an
/// owed task of its key, a task would leave its lane, and make room there beyond the mailbox's capacity.
const MAX_KEPT_BACK: usize = 64;

/// The place of a task in the line of callers that wait for room. Its holder must
/// [leave](Self::leave) the line in the end.
pub struct Place<T> {
    mailbox: Mailbox<T>,
    ticket: Ticket,
}

impl<T> Place<T> {
    /// Returns the worker that the task waits for.
    pub fn worker(&self) -> &Arc<Worker> {
        self.mailbox.worker()
    }

    /// Sets what is woken when the task waits no more. Returns whether it still waits.
    pub fn wake_by(&self, waker: &Waker) -> bool {
        self.mailbox.0.lanes.lines.wake_by(self.ticket, waker)
    }

    /// Takes the task from the line, if it is there. A task that still waited must be taken off the
    /// worker's account; one that was returned already is.
    pub fn leave(&self) -> Left<T> {
        let Lanes { lines, attention, .. } = &self.mailbox.0.lanes;
        lines.leave(self.ticket, attention)
    }
}

/// Creates a mailbox for at most `capacity` tasks per lane, for the checkers and tests.
///
/// # Panics
/// If the capacity is 0.
#[cfg(any(test, loom, shuttle))]
pub fn bounded<T>(worker: Arc<Worker>, capacity: usize) -> Mailbox<T> {
    ordered(worker, capacity, MailboxOrder::Fifo)
}

/// Creates a boosted mailbox for at most `capacity` tasks per lane, for the checkers and tests.
///
/// # Panics
/// If the capacity is 0.
#[cfg(any(test, loom, shuttle))]
pub fn boosted<T>(worker: Arc<Worker>, capacity: usize) -> Mailbox<T> {
    ordered(worker, capacity, MailboxOrder::Boost)
}

#[cfg(any(test, loom, shuttle))]
fn ordered<T>(worker: Arc<Worker>, capacity: usize, order: MailboxOrder) -> Mailbox<T> {
    assert!(capacity > 0, "mailbox capacity is 0; at least 1 is allowed");
    Mailbox::new(worker, Capacity::Bounded(capacity), order)
}

impl<T> Mailbox<T> {
    /// Creates a mailbox with lanes of this capacity; that of control messages is unbounded, and that
    /// of tasks with keys bounded. Allocates the normal lane, and each other lane at its first task.
    pub(crate) fn new(worker: Arc<Worker>, capacity: Capacity, order: MailboxOrder) -> Self {
        let deferred = Deferred { count: AtomicUsize::new(0), tasks: ColdLock::default() };
        let (notify, lanes) = (Notify::default(), Lanes::new(capacity, order));
        let owed = OwedTasks::default();
        Self(Arc::new(Shared { worker, notify, lanes, deferred, owed }))
    }

    /// Returns the mailbox's worker.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.0.worker
    }

    /// Sends a task if there is room, and nobody waits for it. The caller holds a reservation, and
    /// [hands it over] next. Allocates a lane at its first task, and now and then in the control lane. Never
    /// blocks.
    ///
    /// # Errors
    /// Returns the task if the lane is full, or others wait for room there: they came before.
    ///
    /// [hands it over]: Self::hand_over
    #[inline(always)]
    pub fn try_send(&self, lane: Lane, task: T) -> Result<(), Full<T>> {
        if self.0.lanes.lines.may_wait() && self.0.lanes.lines.has(lane) {
            return Err(Full(task));
        }
        self.send_out_of_turn(lane, task)
    }

    #[inline(always)]
    fn send_out_of_turn(&self, lane: Lane, task: T) -> Result<(), Full<T>> {
        // The mailbox owns both ends of its channels, so none is ever disconnected.
        self.0.lanes.sender(lane).try_send(task).map_err(|refused| Full(refused.into_inner()))
    }

    /// Sends a task and hands `reservation` over; waits or makes room as `overflow` says, but no
    /// longer than to the clock's `deadline`, and not for a worker that is closed. Tasks that make
    /// room under [`Overflow::DropOldest`] go to `shed`, once the new one is sent.
    ///
    /// # Errors
    /// Returns the task if there was no room, and releases the reservation.
    pub fn put(
        &self,
        reservation: Reservation<'_>,
        lane: Lane,
        task: T,
        overflow: Overflow,
        deadline: u64,
        shed: impl FnMut(T),
    ) -> Result<(), Unsent<T>> {
        let mut oldest = Vec::new();
        if let Err(Full(task)) = self.try_send(lane, task) {
            match overflow {
                Overflow::Block => {
                    blocking::waiting(|| self.send_in_time(lane, task, None, deadline))?;
                }
                Overflow::BlockFor(limit) => {
                    blocking::waiting(|| self.send_in_time(lane, task, Some(limit), deadline))?;
                }
                Overflow::DropOldest => self.displace(lane, task, &mut oldest),
                Overflow::Reject | Overflow::DropNewest => {
                    return Err(Unsent { task, why: NoRoom::Full });
                }
            }
        }
        self.hand_over(reservation);
        oldest.into_iter().for_each(shed);
        Ok(())
    }

    /// Sends a task when there is room, on a thread that holds its reservation.
    #[cold]
    fn send_in_time(
        &self,
        lane: Lane,
        mut task: T,
        limit: Option<Duration>,
        deadline: u64,
    ) -> Result<(), Unsent<T>> {
        let Shared { worker, lanes, .. } = &*self.0;
        let begun = time::now();
        // `None` without a limit.
        let left = || {
            let to_deadline = (deadline != NEVER).then(|| worker.clock().sleep_until(deadline));
            let to_limit = limit.map(|limit| limit.saturating_sub(time::now() - begun));
            match (to_deadline, to_limit) {
                _ if worker.stats().is_closed() => Err(NoRoom::Closed),
                (Some(Duration::ZERO), _) => Err(NoRoom::Expired),
                (_, Some(Duration::ZERO)) => Err(NoRoom::Full),
                _ => Ok(to_deadline.into_iter().chain(to_limit).min()),
            }
        };
        lanes.await_room(lane, || left().is_ok());
        if let Err(why) = left() {
            return Err(Unsent { task, why });
        }
        match self.try_send(lane, task) {
            Ok(()) => return Ok(()),
            Err(Full(back)) => task = back,
        }
        let notify = Notify::default();
        let waker = notify.waker();
        let place = self.join_line(lane, task, waker.clone(), Holder::Caller)?;
        while place.wake_by(&waker) {
            match left() {
                Ok(left) => notify.wait_timeout(left),
                Err(why) => match place.leave() {
                    Left::Sent => return Ok(()),
                    Left::Waiting(task) | Left::Returned(task) => {
                        return Err(Unsent { task, why });
                    }
                },
            }
        }
        match place.leave() {
            Left::Sent => Ok(()),
            Left::Waiting(task) | Left::Returned(task) => Err(Unsent { task, why: NoRoom::Closed }),
        }
    }

    /// Whether callers wait, for whoever has taken a task.
    #[inline(always)]
    pub fn has_callers(&self) -> bool {
        self.0.lanes.lines.waiting() > 0
    }

    /// Sends the tasks of callers that wait, as far as there is room in this lane. For whoever has taken a
    /// task from it by [`try_next_plain`](Inbox::try_next_plain).
    pub fn give_room(&self, lane: Lane) {
        if self.has_callers() {
            self.0.lanes.serve(lane);
        }
    }

    /// Puts a task into the line of its lane, where it is sent as soon as there is room, and hands
    /// `reservation` over.
    ///
    /// # Errors
    /// Returns the task if the worker is closed, and releases the reservation.
    pub fn line_up(
        &self,
        reservation: Reservation<'_>,
        lane: Lane,
        task: T,
    ) -> Result<Place<T>, Unsent<T>> {
        let place = self.join_line(lane, task, Waker::noop().clone(), Holder::Closer)?;
        self.hand_over(reservation);
        Ok(place)
    }

    fn join_line(
        &self,
        lane: Lane,
        task: T,
        waker: Waker,
        holder: Holder,
    ) -> Result<Place<T>, Unsent<T>> {
        let lanes = &self.0.lanes;
        match lanes.lines.join(lane, task, waker, holder, &lanes.attention) {
            Ok(ticket) => {
                // Those before may not have had room either until now.
                lanes.serve(lane);
                Ok(Place { mailbox: self.clone(), ticket })
            }
            Err(task) => Err(Unsent { task, why: NoRoom::Closed }),
        }
    }

    /// Sends a task, and removes the oldest ones of a full lane until there is room.
    #[cold]
    fn displace(&self, lane: Lane, mut task: T, oldest: &mut Vec<T>) {
        while let Err(Full(refused)) = self.send_out_of_turn(lane, task) {
            if let Some(removed) = self.0.lanes.displace(lane) {
                self.0.worker.withdraw();
                oldest.push(removed);
            }
            task = refused;
        }
    }

    /// Consumes the reservation of a task that was sent, and wakes the worker if it is parked.
    #[inline(always)]
    pub fn hand_over(&self, reservation: Reservation<'_>) {
        debug_assert!(Arc::ptr_eq(reservation.worker(), &self.0.worker));
        if reservation.hand_over() {
            self.wake();
        }
    }

    /// Closes the worker: it takes no more tasks, and leaves when those it has have ended. The tasks that
    /// wait for room go back to their callers. Calls `take_off` with each of them that this thread must
    /// remove from the worker's account: those of futures.
    pub fn close_returning(&self, take_off: impl FnMut(&mut T)) -> Wakers {
        self.0.worker.close();
        let Lanes { lines, attention, .. } = &self.0.lanes;
        let wakers = lines.close(attention, take_off);
        self.wake();
        wakers
    }

    /// Closes the worker of a model, none of whose callers is a future.
    #[cfg(any(loom, shuttle))]
    pub fn close(&self) {
        self.close_returning(|_| unreachable!("no future waits")).wake();
    }

    /// [`line_up`](Self::line_up) by a caller that does not try to send, for a twin.
    #[cfg(any(loom, shuttle))]
    pub fn line_up_without_trying(
        &self,
        reservation: Reservation<'_>,
        lane: Lane,
        task: T,
    ) -> Result<Place<T>, Unsent<T>> {
        let lanes = &self.0.lanes;
        let (waker, holder) = (Waker::noop().clone(), Holder::Closer);
        let joined = lanes.lines.join(lane, task, waker, holder, &lanes.attention);
        let ticket = joined.map_err(|task| Unsent { task, why: NoRoom::Closed })?;
        self.hand_over(reservation);
        Ok(Place { mailbox: self.clone(), ticket })
    }

    /// The parts of [`take`](Self::take), for twins.
    #[cfg(any(loom, shuttle))]
    pub fn take_without_serving(&self, lane: Lane) -> Option<T> {
        self.0.lanes.displace(lane)
    }

    /// Makes the worker check its mailbox, its siblings' and whether it is closed. Never blocks.
    pub fn wake(&self) {
        self.0.notify.notify();
    }

    /// Returns what wakes the worker.
    pub fn notify(&self) -> &Notify {
        &self.0.notify
    }

    /// Takes the next task that any worker may run: no control message and none with a key. It stays
    /// in flight at this mailbox's worker until it is [adopted].
    ///
    /// [adopted]: raddle_core::internal::RecorderInternals::adopt
    #[inline]
    pub fn steal(&self) -> Option<T> {
        self.free_lanes().iter().find_map(|lane| self.take(*lane))
    }

    /// Takes the next task to [steal](Self::steal); of the deferred ones, the first that is `free`.
    pub fn steal_any(&self, free: impl FnMut(&T) -> bool) -> Option<T> {
        let deferred = if self.deferred() > 0 { self.0.take_deferred(free) } else { None };
        deferred.or_else(|| self.steal())
    }

    /// Returns whether there may be a task to steal.
    #[inline]
    pub fn has_free(&self) -> bool {
        self.free_lanes().iter().any(|lane| !self.0.lanes.is_empty(*lane)) || self.deferred() > 0
    }

    /// The lanes whose tasks any worker may run.
    pub fn free_lanes(&self) -> &'static [Lane] {
        self.0.lanes.free()
    }

    /// Takes the next task of a lane.
    pub fn take(&self, lane: Lane) -> Option<T> {
        self.0.lanes.take(lane)
    }

    /// Takes the first deferred task that is `wanted`.
    pub fn take_deferred_if(&self, wanted: impl FnMut(&T) -> bool) -> Option<T> {
        self.0.take_deferred(wanted)
    }

    /// Takes the next task of any kind, deferred ones first.
    pub fn take_any(&self) -> Option<T> {
        self.0
            .change_deferred(VecDeque::pop_front)
            .or_else(|| Lane::ALL.into_iter().find_map(|lane| self.0.lanes.take(lane)))
    }

    /// Returns the number of tasks that wait.
    #[allow(clippy::len_without_is_empty, reason = "the watchdog needs the number alone")]
    pub fn len(&self) -> usize {
        Lane::ALL.into_iter().map(|lane| self.0.lanes.len(lane)).sum::<usize>() + self.deferred()
    }

    /// Returns the receiving end, for one thread at a time.
    pub fn inbox(&self, wait: WaitStrategy, parked: Arc<ParkedWorkers>) -> Inbox<T> {
        let boosted = self.0.lanes.is_boosted();
        Inbox {
            mailbox: self.clone(),
            turn: Turn::default(),
            waiter: Waiter::new(wait),
            parked,
            boosting: boosted.then(|| Box::new(Boosting::new(self.worker().clock().now()))),
        }
    }

    /// Defers a task that was taken and cannot run yet, behind those deferred before. A thread that is
    /// not the worker's must [wake](Self::wake) the worker afterwards.
    pub fn defer(&self, task: T) {
        self.0.change_deferred(|deferred| deferred.push_back(task));
    }

    /// Defers a task that was taken and cannot run yet, before all others: it was the first of them that
    /// could. For the worker's thread.
    pub fn defer_first(&self, task: T) {
        self.0.change_deferred(|deferred| deferred.push_front(task));
    }

    /// Why the worker must look at more than its normal lane.
    #[inline(always)]
    pub(crate) fn attention(&self) -> &Attention {
        self.0.attention()
    }

    /// Returns the number of deferred tasks.
    #[inline]
    pub fn deferred(&self) -> usize {
        self.0.deferred.count.load(Relaxed)
    }

    /// Leaves a task in flight whose handler has returned and whose reply comes later: until its
    /// [end](Debtor::end) is recorded, or it is [cancelled](Self::cancel_owed). Returns its index. For
    /// the worker's thread.
    pub fn owe(&self, task: OwedTask, debt: Weak<dyn Debt>) -> usize {
        self.0.owed.add(task, debt)
    }

    /// Returns the number of tasks whose replies are owed.
    #[inline]
    pub fn owed(&self) -> usize {
        self.0.owed.count()
    }

    /// Returns whether the reply of a task of this key is owed.
    pub fn owes_key(&self, key: NonZeroU32) -> bool {
        self.0.owed.have_key(key)
    }

    /// Returns whether the worker has ends of owed tasks to record.
    #[inline]
    pub fn has_ends(&self) -> bool {
        self.0.owed.has_ends()
    }

    /// Notes that the worker's thread records all ends of owed tasks next, by [`take_end`](Self::take_end).
    pub fn begin_ends(&self) {
        if self.0.owed.begin_ends() {
            self.attention().lower();
        }
    }

    /// Takes the next end of an owed task, which is owed no longer.
    pub fn take_end(&self) -> Option<(OwedEnd, OwedTask)> {
        self.0.owed.take_end()
    }

    /// Tells the askers of owed tasks that the pool was shut down, and returns those that had no answer.
    /// The caller ends them, and then [wakes](Self::wake) the worker.
    pub fn cancel_owed(&self) -> Vec<OwedTask> {
        self.0.owed.cancel()
    }

    /// Whether tasks with keys stay in their lanes, because enough of them are deferred.
    fn holds_keys_back(&self) -> bool {
        self.owed() > 0 && self.deferred() >= MAX_KEPT_BACK
    }

    /// Returns the number of tasks in flight that the worker cannot run now.
    fn unrunnable(&self) -> usize {
        let lanes = &self.0.lanes;
        // Callers wait for room behind those, and are in flight, too.
        let held_back = || lanes.keyed_len() + lanes.lines.waiting();
        let held_back = if self.holds_keys_back() { held_back() } else { 0 };
        self.deferred() + self.owed() + held_back
    }

    /// Returns whether no task waits in this lane.
    #[inline]
    pub fn is_lane_empty(&self, lane: Lane) -> bool {
        self.0.lanes.is_empty(lane)
    }
}

impl<T: Send + 'static> Mailbox<T> {
    /// Returns where the ends of owed tasks go.
    pub fn debtor(&self) -> Arc<dyn Debtor> {
        Arc::clone(&self.0) as _
    }
}

impl<T: Send> Debtor for Shared<T> {
    fn end(&self, end: OwedEnd) {
        if self.owed.keep_end(end) {
            self.attention().raise();
            self.notify.notify();
        }
    }
}

impl<T> Inbox<T> {
    /// Returns the mailbox.
    pub fn mailbox(&self) -> &Mailbox<T> {
        &self.mailbox
    }

    /// Takes the next task of a mailbox that needs no [attention](Attention): it has only ever used its
    /// normal lane, and has deferred none. After an error there may still be a task for
    /// [`try_next`](Self::try_next). After a success, the room belongs to those who
    /// [wait](Mailbox::give_room) for it.
    ///
    /// Returns what the channel returns: putting the task into an `Option` would copy it once more.
    #[inline(always)]
    pub fn try_next_plain(&mut self) -> Result<T, TryRecvError> {
        if self.mailbox.attention().is_raised() {
            return Err(TryRecvError::Empty);
        }
        let lanes = &self.mailbox.0.lanes;
        let next = lanes.next_plain();
        if next.is_ok() {
            self.waiter.found();
        }
        next
    }

    /// Takes the next task, if there is one: control messages first, then lane by lane, and in a
    /// boosted mailbox by `submitted_at` minus boost.
    pub fn try_next_by(&mut self, submitted_at: impl Fn(&T) -> u64) -> Option<T> {
        let Some(boosting) = &mut self.boosting else { return self.try_next() };
        let lanes = &self.mailbox.0.lanes;
        let next = lanes.next_with(&mut self.turn, Some(boosting), submitted_at, true, |_| None);
        if next.is_some() {
            self.waiter.found();
        }
        next
    }

    /// Notes that a task of `lane` has occupied the worker for `service` nanoseconds, up to the
    /// clock's `now`. Returns the mean service time when it was computed again, for
    /// [`SizeClass::of`](raddle_core::internal::SizeClass::of): once a second.
    #[inline]
    pub fn served(&mut self, lane: Lane, service: u64, now: u64) -> Option<u64> {
        let boosts = &mut self.boosting.as_mut()?.boosts;
        boosts.record(lane.size(), service);
        boosts.refresh(now).then(|| boosts.mean())
    }

    /// As [`try_next_by`](Self::try_next_by), in a mailbox that is not boosted.
    pub fn try_next(&mut self) -> Option<T> {
        let lanes = &self.mailbox.0.lanes;
        let next = if lanes.attention.is_raised() {
            lanes.next(&mut self.turn)
        } else {
            lanes.take_sent(Lane::Normal)
        };
        if next.is_some() {
            self.waiter.found();
        }
        next
    }

    /// Takes the next task as [`try_next_by`](Self::try_next_by) does; a deferred one for which `lane`
    /// returns a lane is the first of that lane. Leaves tasks with keys in their lanes while too many
    /// wait for owed ones.
    pub fn try_next_or_deferred(
        &mut self,
        submitted_at: impl Fn(&T) -> u64,
        lane: impl Fn(&T) -> Option<Lane>,
    ) -> Option<T> {
        let shared = &*self.mailbox.0;
        let first = |of| shared.take_deferred(|task| lane(task) == Some(of));
        let boosting = self.boosting.as_deref_mut();
        let keyed = !self.mailbox.holds_keys_back();
        let next = shared.lanes.next_with(&mut self.turn, boosting, submitted_at, keyed, first);
        if next.is_some() {
            self.waiter.found();
        }
        next
    }

    /// Takes the first deferred task whose `key` is one that `may_run`.
    pub fn take_deferred<K: PartialEq>(
        &mut self,
        key: impl Fn(&T) -> K,
        mut may_run: impl FnMut(&K) -> bool,
    ) -> Option<T> {
        self.mailbox.0.change_deferred(|deferred| {
            let next = deferred.iter().map(&key).find(|key| may_run(key))?;
            // Another thread may have released the key after an earlier task of it was checked.
            let index = deferred.iter().position(|task| key(task) == next)?;
            deferred.remove(index)
        })
    }

    /// Returns whether a task that `matches` is deferred.
    pub fn has_deferred(&self, matches: impl FnMut(&T) -> bool) -> bool {
        self.mailbox.0.change_deferred(|deferred| deferred.iter().any(matches))
    }

    /// Waits one step, as the wait strategy says. Call it after each poll that found no task to
    /// run, and poll again afterwards. Returns `false` if the mailbox is closed and no task can
    /// come any more.
    pub fn wait(&mut self, recorder: &mut SerialRecorder) -> bool {
        let Self { mailbox, waiter, parked, .. } = self;
        let step = waiter.step();
        if step == Step::Spin && !waiter.checks_all() {
            (0..PAUSES).for_each(|_| hint::spin_loop());
            return true;
        }
        let unrunnable = mailbox.unrunnable() as u64;
        let stats = mailbox.worker().stats();
        if stats.is_closed() {
            let in_flight = stats.in_flight();
            if in_flight == unrunnable && unrunnable > 0 {
                // Only the end of an owed task, releasing a key, or cancelling changes this, and all
                // of them notify.
                mailbox.0.notify.wait();
            } else if in_flight > 0 {
                // A caller is between its reservation and its send: a few instructions.
                thread::yield_now();
            }
            return in_flight > 0;
        }
        match step {
            Step::Park if recorder.try_park(unrunnable) => {
                parked.enter();
                let since = time::now();
                mailbox.0.notify.wait();
                parked.leave();
                recorder.unpark();
                waiter.woken(time::now() - since);
            }
            Step::Spin => hint::spin_loop(),
            _ => thread::yield_now(),
        }
        true
    }

    /// Waits for a notification, or for a task, while handlers run side by side: `beside` of them count as
    /// in flight for selections, and `aside` do not. Returns after `timeout` at the latest.
    pub fn wait_beside(
        &mut self,
        recorder: &mut SerialRecorder,
        beside: u64,
        aside: u64,
        timeout: Option<Duration>,
    ) {
        let Self { mailbox, parked, .. } = self;
        let unrunnable = mailbox.unrunnable() as u64;
        let stats = mailbox.worker().stats();
        if stats.is_closed() {
            if stats.in_flight() <= unrunnable + beside + aside {
                mailbox.0.notify.wait_timeout(timeout);
            } else {
                // A caller is between its reservation and its send: a few instructions.
                thread::yield_now();
            }
        } else if recorder.try_park(unrunnable + beside) {
            parked.enter();
            mailbox.0.notify.wait_timeout(timeout);
            parked.leave();
            recorder.unpark();
        } else {
            // A task is on its way.
            thread::yield_now();
        }
    }

    /// Returns whether the worker must be [published as idle](SerialRecorder::mark_idle) now: once after
    /// each task, when there has been none for a moment and before it does anything but spin.
    #[inline]
    pub fn becomes_idle(&mut self) -> bool {
        self.waiter.becomes_idle()
    }

    /// Notes that the worker was published as idle.
    #[inline]
    pub fn set_idle(&mut self) {
        self.waiter.set_idle();
    }

    /// Returns whether it is time to check the siblings' mailboxes: always if the worker is closed,
    /// because [`wait`](Self::wait) may then wait for a key.
    pub fn checks_siblings(&self) -> bool {
        self.waiter.checks_siblings() || self.mailbox.worker().stats().is_closed()
    }

    /// Returns whether any task of a sibling is worth stealing, however soon it would run there.
    pub fn is_eager(&self) -> bool {
        self.waiter.is_eager()
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use raddle_core::{Clock, Roster, WorkerSpec};

    use super::*;

    #[test]
    fn the_first_deferred_task_of_a_key_runs_first_even_if_the_key_is_released_meanwhile() {
        let roster = Roster::builder().worker(WorkerSpec::general()).build().unwrap();
        let mailbox = bounded(Arc::clone(&roster.members()[0].worker), 1);
        let mut inbox = mailbox.inbox(WaitStrategy::default(), Arc::default());
        let deferred = [("a", 1), ("b", 1), ("a", 2), ("b", 2)];
        deferred.into_iter().for_each(|task| mailbox.defer(task));
        let mut checks = 0;
        let a_at_the_second_check = |key: &&str| {
            checks += usize::from(*key == "a");
            *key == "a" && checks > 1
        };
        assert_eq!(inbox.take_deferred(|task| task.0, a_at_the_second_check), Some(("a", 1)));
        assert_eq!(inbox.take_deferred(|task| task.0, |key| *key == "b"), Some(("b", 1)));
        assert_eq!(mailbox.deferred(), 2);
    }

    #[test]
    fn threads_and_futures_get_room_in_the_order_in_which_they_came() {
        let roster = Roster::builder().worker(WorkerSpec::general()).build().unwrap();
        let worker = Arc::clone(&roster.members()[0].worker);
        let mailbox = bounded(Arc::clone(&worker), 1);
        let reserve = || Reservation::take(&worker, 0, None).unwrap();
        let put = |task| {
            let sent = mailbox.put(reserve(), Lane::Normal, task, Overflow::Block, NEVER, |_| {});
            sent.unwrap();
        };
        put(0);
        std::thread::scope(|scope| {
            let mut places = Vec::new();
            for task in 1..=6 {
                if task % 2 == 0 {
                    scope.spawn(move || put(task));
                } else {
                    places.push(mailbox.line_up(reserve(), Lane::Normal, task).unwrap());
                }
                while mailbox.0.lanes.lines.waiting() < task {
                    thread::yield_now();
                }
            }
            assert!(mailbox.try_send(Lane::Normal, 7).is_err(), "others came before");
            let taken: Vec<usize> = std::iter::from_fn(|| mailbox.take(Lane::Normal)).collect();
            assert_eq!(taken, [0, 1, 2, 3, 4, 5, 6]);
            assert!(places.iter().all(|place| place.leave() == Left::Sent));
        });
        assert!(!mailbox.has_callers() && !mailbox.attention().is_raised());
        assert!(mailbox.try_send(Lane::Normal, 7).is_ok());
    }

    const MS: u64 = 1_000_000;

    /// A boosted mailbox whose worker has served 300 tiny tasks of 1 ms and 10 huge ones of 50 ms.
    fn learned(capacity: usize) -> (Mailbox<u64>, Inbox<u64>) {
        let (clock, _) = Clock::simulated();
        let roster = Roster::builder().worker(WorkerSpec::general()).clock(clock).build().unwrap();
        let mailbox = boosted(Arc::clone(&roster.members()[0].worker), capacity);
        let mut inbox = mailbox.inbox(WaitStrategy::default(), Arc::default());
        for number in 0..310 {
            let huge = number % 31 == 0;
            let (lane, service) =
                if huge { (Lane::KeyedHuge, 50 * MS) } else { (Lane::NormalTiny, MS) };
            assert_eq!(inbox.served(lane, service, 0), None, "a second has not passed");
        }
        let now = mailbox.worker().clock().now() + 1_000 * MS;
        assert_eq!(inbox.served(Lane::NormalTiny, MS, now), Some((301 + 10 * 50) * MS / 311 + 1));
        (mailbox, inbox)
    }

    fn send(mailbox: &Mailbox<u64>, tasks: &[(Lane, u64)]) {
        tasks.iter().for_each(|(lane, task)| mailbox.try_send(*lane, *task).unwrap());
    }

    fn rest(inbox: &mut Inbox<u64>) -> Vec<u64> {
        std::iter::from_fn(|| inbox.try_next_by(|submitted_at| *submitted_at)).collect()
    }

    #[test]
    fn a_short_task_overtakes_a_long_one_that_was_not_sent_long_before() {
        let (mailbox, mut inbox) = learned(8);
        let hour = 3_600_000 * MS;
        let long_ago = hour - 60_000 * MS;
        send(&mailbox, &[(Lane::KeyedHuge, long_ago), (Lane::KeyedHuge, hour)]);
        send(&mailbox, &[(Lane::NormalTiny, hour + MS), (Lane::NormalTiny, hour + 2 * MS)]);
        send(&mailbox, &[(Lane::Low, 1), (Lane::High, 2), (Lane::Control, 3)]);
        let boosted = [long_ago, hour + MS, hour + 2 * MS, hour];
        assert_eq!(rest(&mut inbox), [&[3, 2], &boosted[..], &[1]].concat());
    }

    #[test]
    fn lanes_that_nothing_is_known_of_are_one_queue() {
        let (mailbox, mut inbox) = learned(8);
        let lanes = [Lane::NormalShort, Lane::KeyedLong, Lane::KeyedShort, Lane::Normal];
        for (task, lane) in lanes.into_iter().cycle().take(12).enumerate() {
            send(&mailbox, &[(lane, 7 + task as u64)]);
        }
        assert_eq!(rest(&mut inbox), (7..19).collect::<Vec<_>>());
    }

    #[test]
    fn tasks_in_hand_are_stolen_taken_and_counted_like_the_others() {
        let (mailbox, mut inbox) = learned(2);
        let all = [
            (Lane::KeyedHuge, 10),
            (Lane::NormalHuge, 11),
            (Lane::NormalHuge, 12),
            (Lane::NormalTiny, 13),
            (Lane::Normal, 14),
        ];
        send(&mailbox, &all);
        mailbox.try_send(Lane::NormalHuge, 15).unwrap_err();
        assert_eq!(inbox.try_next_by(|submitted_at| *submitted_at), Some(13));
        assert_eq!(mailbox.len(), 4, "those in hand are among them");
        assert!(
            !mailbox.is_lane_empty(Lane::NormalHuge) && mailbox.is_lane_empty(Lane::NormalTiny)
        );
        send(&mailbox, &[(Lane::NormalHuge, 15)]);
        let stolen: Vec<_> = std::iter::from_fn(|| mailbox.steal()).collect();
        assert_eq!(stolen, [14, 11, 12, 15], "the one in hand first");
        assert!(!mailbox.has_free() && mailbox.len() == 1);
        assert_eq!((mailbox.take_any(), mailbox.take_any()), (Some(10), None));
        assert_eq!(rest(&mut inbox), [0; 0], "it notices that they are gone");
        send(&mailbox, &[(Lane::NormalHuge, 16), (Lane::KeyedTiny, 17)]);
        assert_eq!(rest(&mut inbox), [17, 16]);
    }

    #[test]
    fn another_thread_of_the_worker_continues_in_order() {
        let (mailbox, mut inbox) = learned(8);
        for task in 1..=4 {
            send(&mailbox, &[(Lane::KeyedTiny, 2 * task), (Lane::NormalHuge, 2 * task + 1)]);
        }
        assert_eq!(inbox.try_next_by(|submitted_at| *submitted_at), Some(2));
        let mut next = mailbox.inbox(WaitStrategy::default(), Arc::default());
        assert_eq!(rest(&mut next), [3, 4, 5, 6, 7, 8, 9], "without boosts, as sent");
    }

    #[test]
    fn the_oldest_task_that_makes_room_is_the_first_that_is_not_in_hand() {
        let (mailbox, mut inbox) = learned(2);
        send(&mailbox, &[(Lane::NormalHuge, 1), (Lane::NormalTiny, 2)]);
        assert_eq!(inbox.try_next_by(|submitted_at| *submitted_at), Some(2));
        send(&mailbox, &[(Lane::NormalHuge, 3), (Lane::NormalHuge, 4)]);
        let worker = Arc::clone(mailbox.worker());
        // The five that have been sent.
        (0..4).for_each(|_| _ = Reservation::take(&worker, 0, None).unwrap().hand_over());
        let reservation = Reservation::take(&worker, 0, None).unwrap();
        let mut shed = Vec::new();
        let lane = Lane::NormalHuge;
        mailbox
            .put(reservation, lane, 5, Overflow::DropOldest, u64::MAX, |task| shed.push(task))
            .unwrap();
        assert_eq!((shed, rest(&mut inbox)), (vec![3], vec![1, 4, 5]));
    }
}
