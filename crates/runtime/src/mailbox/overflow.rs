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
    /// The caller waits for room. A handler that sends to its own pool may then wait for itself.
    #[default]
    Block,
    /// The caller waits for room for no longer than this, then gets the message back.
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
    /// This policy if it does not wait, otherwise [`Reject`](Self::Reject).
    pub(crate) fn without_waiting(self) -> Self {
        match self {
            Self::Block | Self::BlockFor(_) => Self::Reject,
            other => other,
        }
    }
}
