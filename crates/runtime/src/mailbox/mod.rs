//! A worker's own mailbox: crossbeam channels, one a lane, and how it is closed without losing a
//! task.
//!
//! # Protocol
//! A task is put in three steps: the dispatcher *reserves* (raises the worker's admissions, refused
//! once the worker is closed), *sends*, and hands the reservation over; the worker lowers the
//! in-flight count only when the task has ended. [`Mailbox::close`] first closes the worker, then
//! wakes it. The worker goes when it is closed *and* nothing is in flight.
//!
//! Why nothing is lost: admissions and the closed bit are one atomic word. A dispatcher whose
//! reservation comes before the closing is counted, so the worker stays until that task was
//! received and ended, or the reservation given back. One whose reservation comes after is refused
//! and has its message still. There is no third case. `loom-tests` explores it.
//!
//! Why no wake-up is lost: the worker raises a flag, then looks at its admissions by a
//! read-modify-write. An admission that comes before that look is seen by it, and the worker does
//! not sleep. One that comes after sees the flag, and its dispatcher, having sent, leaves a token in
//! a channel with room for one, which ends the worker's sleep whether it has begun or not.

mod lanes;
mod overflow;
mod wait;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use raddle_core::internal::WorkerInternals;
use raddle_core::{Recorder, Reservation, Worker};
use raddle_sync::atomic::{AtomicUsize, Ordering::Relaxed};
use raddle_sync::channel::{self, Receiver, SendTimeoutError, Sender, TryRecvError, TrySendError};
use raddle_sync::{hint, lock, thread};

pub use lanes::Lane;
pub use overflow::Overflow;
pub use wait::{Sleepers, WaitStrategy};

use lanes::{Lanes, Turn};
use wait::{Step, Waiter};

/// A worker's mailbox, as dispatchers, siblings that steal and the watchdog have it. Clones are
/// the same mailbox.
pub struct Mailbox<T> {
    lanes: Lanes<T>,
    /// With room for one token: the worker is to look around.
    token: (Sender<()>, Receiver<()>),
    held: Arc<Held<T>>,
    worker: Arc<Worker>,
}

/// Tasks that were taken and could not be run at once, in order.
struct Held<T> {
    count: AtomicUsize,
    #[allow(clippy::disallowed_types, reason = "locked only while keys or tasks move")]
    tasks: lock::Mutex<VecDeque<T>>,
}

impl<T> Held<T> {
    fn new() -> Self {
        Self { count: AtomicUsize::new(0), tasks: lock::mutex(VecDeque::new()) }
    }

    fn change<R>(&self, change: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        // No code panics while it holds the lock.
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut tasks);
        // Relaxed: who looks late is woken, or looks again before it sleeps.
        self.count.store(tasks.len(), Relaxed);
        result
    }
}

/// The mailbox as its worker's thread has it.
pub struct Inbox<T> {
    mailbox: Mailbox<T>,
    turn: Turn,
    waiter: Waiter,
    sleepers: Arc<Sleepers>,
}

/// A task that found no room.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// A mailbox for at most `capacity` tasks a lane, at least 1; the control lane has no limit.
/// Allocates the normal lane, and the others at their first task.
///
/// # Panics
/// When the capacity is 0.
pub fn bounded<T>(worker: Arc<Worker>, capacity: usize) -> Mailbox<T> {
    assert!(capacity > 0, "mailbox capacity is 0, allowed is at least 1");
    Mailbox {
        lanes: Lanes::new(capacity),
        token: channel::bounded(1),
        held: Arc::new(Held::new()),
        worker,
    }
}

impl<T> Mailbox<T> {
    /// The worker that the mailbox is of.
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// Puts a task whose place is reserved at this mailbox's worker. Allocates nothing but the
    /// lane at its first task, and now and then in the control lane; waits for room under
    /// [`Overflow::Block`] and [`Overflow::BlockFor`]. Tasks that make room under
    /// [`Overflow::DropOldest`] go to `shed`.
    ///
    /// # Errors
    /// Hands the task back when there was no room; the reservation is given back then too.
    #[inline(always)]
    pub fn put(
        &self,
        reservation: Reservation<'_>,
        lane: Lane,
        task: T,
        overflow: &Overflow,
        shed: impl FnMut(T),
    ) -> Result<(), Full<T>> {
        debug_assert!(Arc::ptr_eq(reservation.worker(), &self.worker));
        if let Err(refused) = self.lanes.sender(lane).try_send(task) {
            self.put_in_full(lane, refused.into_inner(), overflow, shed)?;
        }
        if reservation.hand_over() {
            self.wake();
        }
        Ok(())
    }

    #[cold]
    fn put_in_full(
        &self,
        lane: Lane,
        mut task: T,
        overflow: &Overflow,
        mut shed: impl FnMut(T),
    ) -> Result<(), Full<T>> {
        // The mailbox holds both ends of its channels, so that none is ever disconnected.
        let sender = self.lanes.sender(lane);
        match overflow {
            Overflow::Block => {
                self.lanes.await_room(lane, || true);
                sender.send(task).map_err(|error| Full(error.0))
            }
            Overflow::BlockFor(limit) => {
                let begun = Instant::now();
                self.lanes.await_room(lane, || begun.elapsed() < *limit);
                match sender.send_timeout(task, limit.saturating_sub(begun.elapsed())) {
                    Ok(()) => Ok(()),
                    Err(SendTimeoutError::Timeout(task) | SendTimeoutError::Disconnected(task)) => {
                        Err(Full(task))
                    }
                }
            }
            Overflow::DropOldest => loop {
                if let Some(oldest) = self.lanes.take(lane) {
                    self.worker.withdraw();
                    shed(oldest);
                }
                match sender.try_send(task) {
                    Ok(()) => return Ok(()),
                    Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => task = back,
                }
            },
            Overflow::Reject | Overflow::DropNewest | Overflow::Reroute(_) => Err(Full(task)),
        }
    }

    /// Lets the worker take no more tasks and go when it has ended those it has.
    pub fn close(&self) {
        self.worker.close();
        self.wake();
    }

    /// Lets the worker look around: at its mailbox, and at whether it is closed. Never blocks.
    pub fn wake(&self) {
        // Where there is no room, a token is there.
        let _ = self.token.0.try_send(());
    }

    /// The next task that is free to be run by another worker: no control message and none with
    /// a key. It stays in flight at this mailbox's worker until it was
    /// [adopted](Recorder::adopt).
    #[inline]
    pub fn steal(&self) -> Option<T> {
        Lane::FREE.into_iter().find_map(|lane| self.lanes.take(lane))
    }

    /// Whether a task waits that may be stolen.
    #[inline]
    pub fn has_free(&self) -> bool {
        Lane::FREE.into_iter().any(|lane| !self.lanes.is_empty(lane))
    }

    /// The next task of any kind, held ones first: for who ends them all.
    pub fn take_any(&self) -> Option<T> {
        self.held
            .change(VecDeque::pop_front)
            .or_else(|| Lane::ALL.into_iter().find_map(|lane| self.lanes.take(lane)))
    }

    /// Tasks that wait.
    pub fn len(&self) -> usize {
        Lane::ALL.into_iter().map(|lane| self.lanes.len(lane)).sum::<usize>() + self.held()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The worker's end. One thread at a time is to have it.
    pub fn inbox(&self, wait: WaitStrategy, sleepers: Arc<Sleepers>) -> Inbox<T> {
        Inbox { mailbox: self.clone(), turn: Turn::default(), waiter: Waiter::new(wait), sleepers }
    }

    /// Keeps a task that was taken and cannot be run yet, in the order of keeping. A worker that
    /// does not do so itself is to be [woken](Self::wake) afterwards.
    pub fn hold(&self, task: T) {
        self.held.change(|held| held.push_back(task));
    }

    /// How many tasks are kept so.
    #[inline]
    pub fn held(&self) -> usize {
        self.held.count.load(Relaxed)
    }

    /// Whether none waits in this lane.
    #[inline]
    pub fn is_lane_empty(&self, lane: Lane) -> bool {
        self.lanes.is_empty(lane)
    }
}

impl<T> Inbox<T> {
    /// The mailbox.
    pub fn mailbox(&self) -> &Mailbox<T> {
        &self.mailbox
    }

    /// The next task of a mailbox that has had tasks in its normal lane only and keeps none back; else
    /// an error, and there may be one by [`try_next`](Self::try_next).
    ///
    /// As the channel hands it out: a task that is put into an `Option` is copied once more.
    #[inline(always)]
    pub fn try_next_plain(&mut self) -> Result<T, TryRecvError> {
        if self.mailbox.held() > 0 {
            return Err(TryRecvError::Empty);
        }
        let next = self.mailbox.lanes.next_plain();
        if next.is_ok() {
            self.waiter.found();
        }
        next
    }

    /// The next task, if one is there: control messages first, then by lane.
    pub fn try_next(&mut self) -> Option<T> {
        let lanes = &self.mailbox.lanes;
        let next =
            if lanes.is_plain() { lanes.take(Lane::Normal) } else { lanes.next(&mut self.turn) };
        if next.is_some() {
            self.waiter.found();
        }
        next
    }

    /// The first of the kept tasks whose key, or none, `may_run`.
    pub fn take_held<K: PartialEq>(
        &mut self,
        key: impl Fn(&T) -> K,
        mut may_run: impl FnMut(&K) -> bool,
    ) -> Option<T> {
        self.mailbox.held.change(|held| {
            let next = held.iter().map(&key).find(|key| may_run(key))?;
            // Another thread may have let go of the key after the look at an earlier one.
            let index = held.iter().position(|task| key(task) == next)?;
            held.remove(index)
        })
    }

    /// Whether a task like this is kept.
    pub fn holds(&self, alike: impl FnMut(&T) -> bool) -> bool {
        self.mailbox.held.change(|held| held.iter().any(alike))
    }

    /// Nothing is there that may be run: waits a step, as the wait strategy says.
    /// `false` when the mailbox is closed and nothing can come any more. To be called again, after
    /// another look for tasks, until it is or there is one.
    pub fn wait(&mut self, recorder: &mut Recorder) -> bool {
        let Self { mailbox, waiter, sleepers, .. } = self;
        let step = waiter.step();
        if let Step::Spin(pauses) = step {
            (0..pauses).for_each(|_| hint::spin_loop());
            return true;
        }
        let held = mailbox.held() as u64;
        let stats = mailbox.worker.stats();
        if stats.is_closed() {
            let in_flight = stats.in_flight();
            if in_flight == held && held > 0 {
                // Only who lets go of a key, or cancels, can change that, and leaves a token.
                let _ = mailbox.token.1.recv();
            } else if in_flight > 0 {
                // A dispatcher is between its reservation and its send: a few instructions.
                thread::yield_now();
            }
            return in_flight > 0;
        }
        match step {
            Step::Park if recorder.try_park(held) => {
                sleepers.enter();
                let since = Instant::now();
                let _ = mailbox.token.1.recv();
                sleepers.leave();
                recorder.unpark();
                waiter.woken(since.elapsed());
            }
            Step::Look => hint::spin_loop(),
            _ => thread::yield_now(),
        }
        true
    }

    /// Whether the worker is to [rest](Recorder::mark_idle) now: once after each task, when there has been
    /// nothing for a moment and before it does anything but spin.
    #[inline]
    pub fn is_to_rest(&mut self) -> bool {
        self.waiter.is_to_rest()
    }

    /// The worker rests already.
    #[inline]
    pub fn rested(&mut self) {
        self.waiter.rested();
    }

    /// Whether there has been nothing for so long that it is time for a look at siblings.
    pub fn looks_around(&self) -> bool {
        self.waiter.looks_around()
    }

    /// Whether even what would not have to wait there for long is welcome.
    pub fn is_eager(&self) -> bool {
        self.waiter.is_eager()
    }

    /// Waits until there is a token, or the time is over.
    pub fn pause(&mut self, time: Duration) {
        let _ = self.mailbox.token.1.recv_timeout(time);
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self {
            lanes: self.lanes.clone(),
            token: self.token.clone(),
            held: Arc::clone(&self.held),
            worker: Arc::clone(&self.worker),
        }
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("worker", &self.worker.name()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("worker", &self.mailbox.worker.name()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use raddle_core::{Roster, WorkerSpec};

    use super::*;

    #[test]
    fn of_the_kept_tasks_of_a_key_the_first_comes_first_when_the_key_is_let_go_meanwhile() {
        let roster = Roster::builder().worker(WorkerSpec::general()).build().unwrap();
        let mailbox = bounded(Arc::clone(&roster.members()[0].worker), 1);
        let mut inbox = mailbox.inbox(WaitStrategy::default(), Arc::default());
        let kept = [("a", 1), ("b", 1), ("a", 2), ("b", 2)];
        kept.into_iter().for_each(|task| mailbox.hold(task));
        let mut looks = 0;
        let a_at_the_second_look = |key: &&str| {
            looks += usize::from(*key == "a");
            *key == "a" && looks > 1
        };
        assert_eq!(inbox.take_held(|task| task.0, a_at_the_second_look), Some(("a", 1)));
        assert_eq!(inbox.take_held(|task| task.0, |key| *key == "b"), Some(("b", 1)));
        assert_eq!(mailbox.held(), 2);
    }
}
