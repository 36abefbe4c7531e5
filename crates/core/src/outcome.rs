use crate::Capability;

/// How an admitted task ended. Every admitted task has exactly one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Outcome {
    /// The handler returned, and its reply is no failure.
    Completed,
    /// The handler returned a failure: an `Err`, or in a pool another reply that counts as one.
    Failed,
    /// The handler panicked.
    Panicked,
    /// The deadline had passed when the task's turn came, and it did not run; or it passed while the
    /// task's async handler waited, which was dropped.
    Expired,
    /// The task was cancelled before it ran, or its worker was retired and no other could take it. Or its
    /// async handler was dropped while it waited, because the task was cancelled or the handler hung.
    Cancelled,
}

impl Outcome {
    /// Every outcome, in the order of the variants: `ALL[outcome as usize] == outcome`.
    pub const ALL: [Self; 5] =
        [Self::Completed, Self::Failed, Self::Panicked, Self::Expired, Self::Cancelled];

    /// Returns whether the handler ran to its end, so that its time says something about the worker.
    pub fn ran(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Panicked)
    }
}

/// The number of admitted tasks and how they ended so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Counts {
    /// Tasks that the worker accepted.
    pub admitted: u64,
    /// Ended as [`Outcome::Completed`].
    pub completed: u64,
    /// Ended as [`Outcome::Failed`].
    pub failed: u64,
    /// Ended as [`Outcome::Panicked`].
    pub panicked: u64,
    /// Ended as [`Outcome::Expired`].
    pub expired: u64,
    /// Ended as [`Outcome::Cancelled`].
    pub cancelled: u64,
}

impl Counts {
    /// Creates counts with the ends that `of` returns for each outcome.
    pub fn new(admitted: u64, of: impl Fn(Outcome) -> u64) -> Self {
        let mut counts = Self { admitted, ..Self::default() };
        for outcome in Outcome::ALL {
            counts.add(outcome, of(outcome));
        }
        counts
    }

    /// Returns the number of tasks that ended in this way.
    pub fn get(&self, outcome: Outcome) -> u64 {
        // A copy, so that only `of_mut` lists the fields.
        let mut copy = *self;
        *copy.of_mut(outcome)
    }

    /// Counts `ends` more tasks that ended in this way.
    pub fn add(&mut self, outcome: Outcome, ends: u64) {
        *self.of_mut(outcome) += ends;
    }

    fn of_mut(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Completed => &mut self.completed,
            Outcome::Failed => &mut self.failed,
            Outcome::Panicked => &mut self.panicked,
            Outcome::Expired => &mut self.expired,
            Outcome::Cancelled => &mut self.cancelled,
        }
    }

    /// Returns the number of tasks that have ended.
    pub fn ended(&self) -> u64 {
        Outcome::ALL.into_iter().map(|outcome| self.get(outcome)).sum()
    }

    /// Returns whether every admitted task has ended exactly once, which holds at any quiescent
    /// moment.
    pub fn is_balanced(&self) -> bool {
        self.admitted == self.ended()
    }

    /// Returns the counts with `admitted` reduced to the tasks that ended.
    ///
    /// For workers that have left the pool, which each did with nothing in flight: a surplus
    /// admission belongs to a dispatcher that is about to be refused.
    pub fn settled(self) -> Self {
        Self { admitted: self.ended(), ..self }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.admitted += other.admitted;
        for outcome in Outcome::ALL {
            self.add(outcome, other.get(outcome));
        }
    }
}

/// The end of a task, as it is recorded. All times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// How the task ended.
    pub outcome: Outcome,
    /// Time in the mailbox; 0 when there is none.
    pub wait: u64,
    /// Time in the handler; ignored when the handler did not run.
    pub service: u64,
    /// The capability that the task named.
    pub capability: Option<Capability>,
    /// The [expected duration](crate::TaskProfile::expected_duration) that the task was admitted
    /// with; 0 when there was none.
    pub expected_duration: u64,
    /// The clock's time at the end; 0 when unknown, in which case the end does not enter the
    /// [peak latency](crate::WorkerStats::peak_latency).
    pub at: u64,
}

impl Completion {
    /// Creates the end of a task of which only the outcome is known.
    pub const fn new(outcome: Outcome) -> Self {
        Self { outcome, wait: 0, service: 0, capability: None, expected_duration: 0, at: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_listed_at_its_own_index() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        let counts = Counts::new(1, |outcome| 10u64.pow(outcome as u32));
        assert_eq!(counts.ended(), 11_111);
        assert_eq!(Outcome::ALL.map(|outcome| counts.get(outcome)), [1, 10, 100, 1_000, 10_000]);
    }
}
