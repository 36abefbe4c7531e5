//! A worker's own channel, and how it is closed without losing a task.
//!
//! # Protocol
//! A task is put in three steps: the dispatcher *reserves* (raises the worker's admissions, refused
//! once the worker is closed), *sends*, and forgets the reservation; the worker lowers the
//! in-flight count only when the task has ended. [`Mailbox::close`] first closes the worker, then
//! wakes it. The worker goes when it is closed *and* nothing is in flight.
//!
//! Why nothing is lost: admissions and the closed bit are one atomic word. A dispatcher whose
//! reservation comes before the closing is counted, so the worker stays until that task was
//! received and ended, or the reservation given back. One whose reservation comes after is refused
//! and has its message still. There is no third case. `loom-tests` explores it.

use std::fmt;
use std::sync::Arc;

use raddle_core::sync::channel::{self, Receiver, Sender, TrySendError};
use raddle_core::sync::thread;
use raddle_core::{Reservation, Worker};

/// What happens to a task whose worker's mailbox is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The caller waits for room.
    #[default]
    Block,
    /// The caller gets the message back.
    Reject,
}

/// The dispatchers' end of a worker's mailbox.
pub struct Mailbox<T> {
    sender: Sender<Mail<T>>,
    worker: Arc<Worker>,
}

/// The worker's end.
pub struct Inbox<T> {
    receiver: Receiver<Mail<T>>,
    worker: Arc<Worker>,
}

/// A task that was not put, and why.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused<T> {
    /// The mailbox is full and the policy is [`Overflow::Reject`].
    Full(T),
    /// The worker is gone.
    Closed(T),
}

enum Mail<T> {
    Task(T),
    /// Look whether the worker is closed.
    Wake,
}

/// A mailbox for at most `capacity` tasks, at least 1. Allocates all of it.
///
/// # Panics
/// When the capacity is 0: a channel without room cannot keep the wake-up of a worker that is
/// about to wait.
pub fn bounded<T>(worker: Arc<Worker>, capacity: usize) -> (Mailbox<T>, Inbox<T>) {
    assert!(capacity > 0, "mailbox capacity is 0, allowed is at least 1");
    let (sender, receiver) = channel::bounded(capacity);
    (Mailbox { sender, worker: Arc::clone(&worker) }, Inbox { receiver, worker })
}

impl<T> Mailbox<T> {
    /// Puts a task whose place is reserved at this mailbox's worker. Allocates nothing; waits for
    /// room under [`Overflow::Block`].
    ///
    /// # Errors
    /// Hands the task back when it was not put; the reservation is given back then too.
    #[inline]
    pub fn put(
        &self,
        reservation: Reservation<'_>,
        task: T,
        overflow: Overflow,
    ) -> Result<(), Refused<T>> {
        debug_assert!(Arc::ptr_eq(reservation.worker(), &self.worker));
        let sent = match self.sender.try_send(Mail::Task(task)) {
            Err(TrySendError::Full(mail)) if overflow == Overflow::Block => {
                self.sender.send(mail).map_err(|error| TrySendError::Disconnected(error.0))
            }
            sent => sent,
        };
        match sent {
            Ok(()) => {
                reservation.hand_over();
                Ok(())
            }
            Err(TrySendError::Full(Mail::Task(task))) => Err(Refused::Full(task)),
            Err(TrySendError::Disconnected(Mail::Task(task))) => Err(Refused::Closed(task)),
            Err(_) => unreachable!("what comes back is the task that was sent"),
        }
    }

    /// Lets the worker take no more tasks and go when it has ended those it has.
    pub fn close(&self) {
        self.worker.close();
        // When the mailbox is full, the worker has tasks to end before it waits again.
        let _ = self.sender.try_send(Mail::Wake);
    }
}

impl<T> Inbox<T> {
    /// The next task, if one is there.
    #[inline]
    pub fn try_next(&mut self) -> Option<T> {
        loop {
            match self.receiver.try_recv() {
                Ok(Mail::Task(task)) => return Some(task),
                Ok(Mail::Wake) => {}
                Err(_) => return None,
            }
        }
    }

    /// Waits for the next task; `None` when the mailbox is closed and nothing can come any more.
    /// To be called when all tasks taken before have ended.
    pub fn wait_next(&mut self) -> Option<T> {
        loop {
            if let Some(task) = self.try_next() {
                return Some(task);
            }
            if self.worker.stats().is_closed() {
                if self.worker.stats().in_flight() == 0 {
                    return None;
                }
                // A dispatcher is between its reservation and its send: a few instructions.
                thread::yield_now();
            } else if let Ok(Mail::Task(task)) = self.receiver.recv() {
                return Some(task);
            }
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
        f.debug_struct("Inbox").field("worker", &self.worker.name()).finish_non_exhaustive()
    }
}
