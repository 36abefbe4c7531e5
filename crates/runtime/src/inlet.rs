use std::sync::Arc;

use raddle_core::{MailboxOrder, Reservation, Worker};

use crate::Overflow;
use crate::mailbox::{Capacity, Full, Lane, Mailbox, Place, Unsent, Wakers};

/// Where a dispatched task is put: a worker's mailbox. A worker on another machine will have an
/// outbox here.
pub(crate) enum Inlet<T> {
    Local(Mailbox<T>),
}

impl<T> Inlet<T> {
    /// Opens the mailbox of a worker of this process.
    pub(crate) fn local(worker: &Arc<Worker>, capacity: Capacity, order: MailboxOrder) -> Self {
        Self::Local(Mailbox::new(Arc::clone(worker), capacity, order))
    }

    #[inline(always)]
    pub(crate) fn worker(&self) -> &Arc<Worker> {
        match self {
            Self::Local(mailbox) => mailbox.worker(),
        }
    }

    /// Sends a task if there is room; see [`Mailbox::try_send`].
    #[inline(always)]
    pub(crate) fn try_send(&self, lane: Lane, task: T) -> Result<(), Full<T>> {
        match self {
            Self::Local(mailbox) => mailbox.try_send(lane, task),
        }
    }

    /// Consumes the reservation of a task that was sent; see [`Mailbox::hand_over`].
    #[inline(always)]
    pub(crate) fn hand_over(&self, reservation: Reservation<'_>) {
        match self {
            Self::Local(mailbox) => mailbox.hand_over(reservation),
        }
    }

    /// Puts a task into the inlet; see [`Mailbox::put`].
    pub(crate) fn put(
        &self,
        reservation: Reservation<'_>,
        lane: Lane,
        task: T,
        overflow: Overflow,
        deadline: u64,
        shed: impl FnMut(T),
    ) -> Result<(), Unsent<T>> {
        match self {
            Self::Local(mailbox) => mailbox.put(reservation, lane, task, overflow, deadline, shed),
        }
    }

    /// Puts a task into the line of those that wait for room; see [`Mailbox::line_up`].
    pub(crate) fn line_up(
        &self,
        reservation: Reservation<'_>,
        lane: Lane,
        task: T,
    ) -> Result<Place<T>, Unsent<T>> {
        match self {
            Self::Local(mailbox) => mailbox.line_up(reservation, lane, task),
        }
    }

    /// Lets the worker take no more tasks; see [`Mailbox::close_returning`].
    pub(crate) fn close(&self, take_off: impl FnMut(&mut T)) -> Wakers {
        match self {
            Self::Local(mailbox) => mailbox.close_returning(take_off),
        }
    }

    /// Makes the worker check for work.
    pub(crate) fn wake(&self) {
        match self {
            Self::Local(mailbox) => mailbox.wake(),
        }
    }

    /// The mailbox, if the worker runs in this process.
    #[inline]
    pub(crate) fn mailbox(&self) -> Option<&Mailbox<T>> {
        match self {
            Self::Local(mailbox) => Some(mailbox),
        }
    }
}

impl<T> Clone for Inlet<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Local(mailbox) => Self::Local(mailbox.clone()),
        }
    }
}
