use std::collections::TryReserveError;

use raddle_sync::channel::{self, Receiver, Sender};

/// How many tasks each lane of a mailbox can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    Bounded(usize),
    Unbounded,
}

/// Mailboxes that cannot be allocated.
pub(crate) struct TooLarge {
    /// Tasks per lane.
    pub(crate) capacity: usize,
    /// What the first lanes of all new mailboxes take.
    pub(crate) bytes: u128,
    pub(crate) source: TryReserveError,
}

impl Capacity {
    /// The most tasks per lane. A lane of as many tasks takes 1 GiB at least.
    pub(crate) const MAX: usize = 1 << 24;

    /// The capacity as a number; the largest one if it is unbounded.
    pub(super) fn tasks(self) -> usize {
        match self {
            Self::Bounded(tasks) => tasks,
            Self::Unbounded => usize::MAX,
        }
    }

    /// Creates the channel of a lane.
    pub(super) fn channel<T>(self) -> (Sender<T>, Receiver<T>) {
        match self {
            Self::Bounded(tasks) => channel::bounded(tasks),
            Self::Unbounded => channel::unbounded(),
        }
    }

    /// Checks that the first lanes of this many mailboxes fit into memory: a channel that cannot be
    /// allocated aborts the process.
    pub(crate) fn probe<T>(self, mailboxes: usize) -> Result<(), TooLarge> {
        let Self::Bounded(capacity) = self else { return Ok(()) };
        // A slot of crossbeam's channel holds a stamp beside the task.
        let bytes = capacity as u128 * mailboxes as u128 * size_of::<(usize, T)>() as u128;
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
        let probed = Vec::<u8>::new().try_reserve_exact(wanted);
        probed.map_err(|source| TooLarge { capacity, bytes, source })
    }
}
