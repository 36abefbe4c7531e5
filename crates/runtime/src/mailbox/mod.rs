//! A worker's mailbox: crossbeam channels, one per lane, and how it is closed without losing a task.
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

mod backoff;
mod lanes;
mod notify;
mod overflow;
mod wait;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use raddle_core::internal::WorkerInternals;
use raddle_core::{Reservation, SerialRecorder, Worker};
use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};
use raddle_sync::channel::TryRecvError;
use raddle_sync::lock::ColdLock;
use raddle_sync::{hint, thread};

pub(crate) use backoff::Backoff;
pub use lanes::Lane;
pub use notify::Notify;
pub use overflow::Overflow;
pub use wait::{ParkedWorkers, WaitStrategy};

use lanes::{Lanes, Turn};
use wait::{PAUSES, Step, Waiter};

/// A worker's mailbox, as callers, siblings that steal and the watchdog see it. Clones share the
/// mailbox.
pub struct Mailbox<T>(Arc<Shared<T>>);

struct Shared<T> {
    worker: Arc<Worker>,
    notify: Notify,
    lanes: Lanes<T>,
    deferred: Deferred<T>,
}

/// Tasks that were taken from a lane and cannot run yet, in order.
struct Deferred<T> {
    count: AtomicUsize,
    /// Locked only while keys or tasks move.
    tasks: ColdLock<VecDeque<T>>,
}

impl<T> Deferred<T> {
    fn change<R>(&self, change: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let mut tasks = self.tasks.lock();
        let result = change(&mut tasks);
        // Relaxed: a worker that misses it is notified, or checks again before it parks.
        self.count.store(tasks.len(), Relaxed);
        result
    }
}

/// The mailbox as its worker's thread sees it.
pub struct Inbox<T> {
    mailbox: Mailbox<T>,
    turn: Turn,
    waiter: Waiter,
    parked: Arc<ParkedWorkers>,
}

/// A task that found no room.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// Creates a mailbox for at most `capacity` tasks per lane; the control lane is unbounded.
/// Allocates the normal lane, and each other lane at its first task.
///
/// # Panics
/// If the capacity is 0.
pub fn bounded<T>(worker: Arc<Worker>, capacity: usize) -> Mailbox<T> {
    assert!(capacity > 0, "mailbox capacity is 0; at least 1 is allowed");
    let deferred = Deferred { count: AtomicUsize::new(0), tasks: ColdLock::default() };
    let (notify, lanes) = (Notify::default(), Lanes::new(capacity));
    Mailbox(Arc::new(Shared { worker, notify, lanes, deferred }))
}

impl<T> Mailbox<T> {
    /// Returns the mailbox's worker.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.0.worker
    }

    /// Sends a task if there is room. The caller holds a reservation, and [hands it over] next.
    /// Allocates a lane at its first task, and now and then in the control lane. Never blocks.
    ///
    /// # Errors
    /// Returns the task if the lane is full.
    ///
    /// [hands it over]: Self::hand_over
    #[inline(always)]
    pub fn try_send(&self, lane: Lane, task: T) -> Result<(), Full<T>> {
        // The mailbox owns both ends of its channels, so none is ever disconnected.
        self.0.lanes.sender(lane).try_send(task).map_err(|refused| Full(refused.into_inner()))
    }

    /// Sends a task and hands `reservation` over; waits or makes room as `overflow` says. Tasks that
    /// make room under [`Overflow::DropOldest`] go to `shed`.
    ///
    /// # Errors
    /// Returns the task if there was no room, and releases the reservation.
    pub fn put(
        &self,
        reservation: Reservation<'_>,
        lane: Lane,
        mut task: T,
        overflow: Overflow,
        mut shed: impl FnMut(T),
    ) -> Result<(), Full<T>> {
        let Shared { lanes, worker, .. } = &*self.0;
        while let Err(Full(refused)) = self.try_send(lane, task) {
            match overflow {
                Overflow::Block => {
                    lanes.await_room(lane, || true);
                    lanes.sender(lane).send(refused).map_err(|error| Full(error.0))?;
                    break;
                }
                Overflow::BlockFor(limit) => {
                    let begun = Instant::now();
                    lanes.await_room(lane, || begun.elapsed() < limit);
                    let left = limit.saturating_sub(begun.elapsed());
                    let sent = lanes.sender(lane).send_timeout(refused, left);
                    sent.map_err(|error| Full(error.into_inner()))?;
                    break;
                }
                Overflow::DropOldest => {
                    if let Some(oldest) = lanes.take(lane) {
                        worker.withdraw();
                        shed(oldest);
                    }
                    task = refused;
                }
                Overflow::Reject | Overflow::DropNewest => return Err(Full(refused)),
            }
        }
        self.hand_over(reservation);
        Ok(())
    }

    /// Consumes the reservation of a task that was sent, and wakes the worker if it is parked.
    #[inline(always)]
    pub fn hand_over(&self, reservation: Reservation<'_>) {
        debug_assert!(Arc::ptr_eq(reservation.worker(), &self.0.worker));
        if reservation.hand_over() {
            self.wake();
        }
    }

    /// Closes the worker: it takes no more tasks, and leaves when those it has have ended.
    pub fn close(&self) {
        self.0.worker.close();
        self.wake();
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
        Lane::FREE.into_iter().find_map(|lane| self.0.lanes.take(lane))
    }

    /// Returns whether there is a task to steal.
    #[inline]
    pub fn has_free(&self) -> bool {
        Lane::FREE.into_iter().any(|lane| !self.0.lanes.is_empty(lane))
    }

    /// Takes the next task of any kind, deferred ones first.
    pub fn take_any(&self) -> Option<T> {
        self.0
            .deferred
            .change(VecDeque::pop_front)
            .or_else(|| Lane::ALL.into_iter().find_map(|lane| self.0.lanes.take(lane)))
    }

    /// Returns the number of tasks that wait.
    #[allow(clippy::len_without_is_empty, reason = "the watchdog needs the number alone")]
    pub fn len(&self) -> usize {
        Lane::ALL.into_iter().map(|lane| self.0.lanes.len(lane)).sum::<usize>() + self.deferred()
    }

    /// Returns the receiving end, for one thread at a time.
    pub fn inbox(&self, wait: WaitStrategy, parked: Arc<ParkedWorkers>) -> Inbox<T> {
        Inbox { mailbox: self.clone(), turn: Turn::default(), waiter: Waiter::new(wait), parked }
    }

    /// Defers a task that was taken and cannot run yet, behind those deferred before. A thread that is
    /// not the worker's must [wake](Self::wake) the worker afterwards.
    pub fn defer(&self, task: T) {
        self.0.deferred.change(|deferred| deferred.push_back(task));
    }

    /// Returns the number of deferred tasks.
    #[inline]
    pub fn deferred(&self) -> usize {
        self.0.deferred.count.load(Relaxed)
    }

    /// Returns whether no task waits in this lane.
    #[inline]
    pub fn is_lane_empty(&self, lane: Lane) -> bool {
        self.0.lanes.is_empty(lane)
    }
}

impl<T> Inbox<T> {
    /// Returns the mailbox.
    pub fn mailbox(&self) -> &Mailbox<T> {
        &self.mailbox
    }

    /// Takes the next task of a mailbox that has only ever used its normal lane and has deferred
    /// none. After an error there may still be a task for [`try_next`](Self::try_next).
    ///
    /// Returns what the channel returns: putting the task into an `Option` would copy it once more.
    #[inline(always)]
    pub fn try_next_plain(&mut self) -> Result<T, TryRecvError> {
        if self.mailbox.deferred() > 0 {
            return Err(TryRecvError::Empty);
        }
        let next = self.mailbox.0.lanes.next_plain();
        if next.is_ok() {
            self.waiter.found();
        }
        next
    }

    /// Takes the next task, if there is one: control messages first, then lane by lane.
    pub fn try_next(&mut self) -> Option<T> {
        let lanes = &self.mailbox.0.lanes;
        let next =
            if lanes.is_plain() { lanes.take(Lane::Normal) } else { lanes.next(&mut self.turn) };
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
        self.mailbox.0.deferred.change(|deferred| {
            let next = deferred.iter().map(&key).find(|key| may_run(key))?;
            // Another thread may have released the key after an earlier task of it was checked.
            let index = deferred.iter().position(|task| key(task) == next)?;
            deferred.remove(index)
        })
    }

    /// Returns whether a task that `matches` is deferred.
    pub fn has_deferred(&self, matches: impl FnMut(&T) -> bool) -> bool {
        self.mailbox.0.deferred.change(|deferred| deferred.iter().any(matches))
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
        let deferred = mailbox.deferred() as u64;
        let stats = mailbox.worker().stats();
        if stats.is_closed() {
            let in_flight = stats.in_flight();
            if in_flight == deferred && deferred > 0 {
                // Only releasing a key, or cancelling, changes this, and both notify.
                mailbox.0.notify.wait();
            } else if in_flight > 0 {
                // A caller is between its reservation and its send: a few instructions.
                thread::yield_now();
            }
            return in_flight > 0;
        }
        match step {
            Step::Park if recorder.try_park(deferred) => {
                parked.enter();
                let since = Instant::now();
                mailbox.0.notify.wait();
                parked.leave();
                recorder.unpark();
                waiter.woken(since.elapsed());
            }
            Step::Spin => hint::spin_loop(),
            _ => thread::yield_now(),
        }
        true
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

    /// Returns whether it is time to check the siblings' mailboxes.
    pub fn checks_siblings(&self) -> bool {
        self.waiter.checks_siblings()
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
    use raddle_core::{Roster, WorkerSpec};

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
}
