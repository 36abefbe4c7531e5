use std::sync::Arc;

use raddle_core::{Reservation, Worker};

use crate::Overflow;
use crate::mailbox::{self, Full, Lane, Mailbox};

/// Where a dispatched task is put: a worker's mailbox. A worker on another machine will have an
/// outbox here.
pub(crate) enum Inlet<T> {
    Local(Mailbox<T>),
}

impl<T> Inlet<T> {
    /// Opens the mailbox of a worker of this process.
    pub(crate) fn local(worker: &Arc<Worker>, capacity: usize) -> Self {
        Self::Local(mailbox::bounded(Arc::clone(worker), capacity))
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
        shed: impl FnMut(T),
    ) -> Result<(), Full<T>> {
        match self {
            Self::Local(mailbox) => mailbox.put(reservation, lane, task, overflow, shed),
        }
    }

    /// Lets the worker take no more tasks.
    pub(crate) fn close(&self) {
        match self {
            Self::Local(mailbox) => mailbox.close(),
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
