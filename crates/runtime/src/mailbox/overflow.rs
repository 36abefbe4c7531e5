use std::time::Duration;

/// What happens to a task whose worker's mailbox is full.
///
/// It also decides about a task with a key whose previous worker is leaving the pool and still has
/// tasks of that key, which must end before another worker may have more of them:
/// [`DropOldest`](Self::DropOldest) then sheds the new task.
///
/// [`PoolBuilder::reroute`](crate::PoolBuilder::reroute) makes another worker with room take the
/// task first, where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The task waits until there is room, its deadline has passed, or the worker takes no more tasks. In the
    /// last case the task goes to another worker, or the message back to the caller if the pool is closed.
    /// [`tell`](crate::Pool::tell) blocks its thread meanwhile, [`tell_async`](crate::Pool::tell_async) and
    /// [`ask`](crate::Pool::ask) do not. Those who wait for room of one worker get it in the order in which
    /// they came. A handler that waits for its own pool may wait for itself.
    #[default]
    Block,
    /// As [`Block`](Self::Block), for no longer than this; then the caller gets the message back. For an
    /// [`Ask`](crate::Ask), the time begins when it is made.
    BlockFor(Duration),
    /// The caller gets the message back.
    Reject,
    /// The oldest task of the lane is shed to make room.
    DropOldest,
    /// The task is shed: the caller continues as if it had been admitted, and an asker gets
    /// [`AskError::Shed`](crate::AskError::Shed).
    DropNewest,
}

impl Overflow {
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::Block | Self::BlockFor(_))
    }

    /// This policy if it does not wait, otherwise [`Reject`](Self::Reject).
    pub(crate) fn without_waiting(self) -> Self {
        if self.waits() { Self::Reject } else { self }
    }
}

/// Why a task was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The lane is full, and the policy does not wait (any longer).
    Full,
    /// The worker takes no more tasks.
    Closed,
    /// The task's deadline passed while its caller waited.
    Expired,
}
