use std::time::Duration;

/// What happens to a task whose worker's mailbox is full.
///
/// So it is, too, for a task with a key whose worker is gone and has tasks of that key left, which
/// must end before another worker may have more of them: there [`DropOldest`](Self::DropOldest)
/// sheds the new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The caller waits for room. A handler that gives a task to its own pool may wait for itself:
    /// use another policy there.
    #[default]
    Block,
    /// The caller waits for room, so long at the most, and gets the message back then.
    BlockFor(Duration),
    /// The caller gets the message back.
    Reject,
    /// The oldest task of the lane makes room: it is shed.
    DropOldest,
    /// The task is shed: the caller goes on as if it had been taken, an asker is told.
    DropNewest,
    /// Another of the candidates that has room takes it, the strategy's next choice first; where none
    /// has, the policy behind decides, at the worker chosen first. A task with a key stays with its worker: for it the
    /// policy behind decides at once.
    Reroute(Box<Overflow>),
}

impl Overflow {
    /// [`Reroute`](Self::Reroute) with this policy behind it.
    ///
    /// ```
    /// use raddle_runtime::Overflow;
    ///
    /// let overflow = Overflow::Reject.after_reroute();
    /// assert_eq!(overflow, Overflow::Reroute(Box::new(Overflow::Reject)));
    /// ```
    #[must_use]
    pub fn after_reroute(self) -> Self {
        Self::Reroute(Box::new(self))
    }

    /// This policy where it does not wait, otherwise [`Reject`](Self::Reject) in its place.
    pub(crate) fn without_waiting(&self) -> Self {
        match self {
            Self::Block | Self::BlockFor(_) => Self::Reject,
            Self::Reroute(behind) => behind.without_waiting().after_reroute(),
            other => other.clone(),
        }
    }

    /// The policy that decides when no other worker has room.
    pub(crate) fn last(&self) -> &Self {
        match self {
            Self::Reroute(behind) => behind.last(),
            last => last,
        }
    }
}
