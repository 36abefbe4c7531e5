use raddle_core::MailboxOrder;

/// The order in which a simulated worker runs the tasks that wait for it.
///
/// Whatever the order, the tasks of one key that wait for a worker run in the order of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// First come, first served.
    #[default]
    Fifo,
    /// As a pool's boosted mailboxes: [`MailboxOrder::Boost`]. A task is in the size class of its
    /// expected duration, if [durations are known](crate::Scenario::durations_known), or of the mean
    /// that was learned for its capability.
    Boost,
    /// As [`Boost`](Self::Boost), with a boost for the exact service time of each task, known or not:
    /// the most that boosts can gain.
    BoostExact,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Fifo, Self::Boost, Self::BoostExact];

    /// Returns the name, as in scenario files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => MailboxOrder::Fifo.as_str(),
            Self::Boost => MailboxOrder::Boost.as_str(),
            Self::BoostExact => "boost_exact",
        }
    }
}

impl From<MailboxOrder> for Order {
    fn from(order: MailboxOrder) -> Self {
        match order {
            MailboxOrder::Boost => Self::Boost,
            _ => Self::Fifo,
        }
    }
}
