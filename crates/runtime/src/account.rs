use raddle_core::{Counts, Outcome, Roster};
use raddle_strategies::BalancerStats;
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of every task that was sent to a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Account {
    /// Admitted tasks, and how they ended.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub counts: Counts,
    /// Refused tasks; their messages were returned to the caller.
    pub rejected: u64,
    /// Tasks dropped because the pool was overloaded; not counted as admitted.
    pub shed: u64,
}

impl Account {
    /// Returns whether every admitted task has ended exactly once, as at any quiescent moment.
    pub fn is_balanced(&self) -> bool {
        self.counts.is_balanced()
    }
}

/// Counts for the pool as a whole, and not for one of its workers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rejected: AtomicU64,
    shed: AtomicU64,
    /// Tasks taken over from workers whose thread was given up as hung.
    adopted: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

impl Ledger {
    #[cold]
    pub(crate) fn reject(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    #[cold]
    pub(crate) fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// Takes over a running task from its worker, to be [ended](Self::end) here.
    pub(crate) fn adopt(&self) {
        self.adopted.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    /// The account of the pool: this ledger, the workers of the roster and those that have left it.
    pub(crate) fn account(&self, roster: &Roster, departed: &Counts) -> Account {
        let mut counts = *departed;
        // Ends first: a task that ends meanwhile must not be counted as ended and not as admitted.
        for outcome in Outcome::ALL {
            counts.add(outcome, self.outcomes[outcome as usize].load(Relaxed));
        }
        counts.admitted += self.adopted.load(Relaxed);
        for member in roster.members() {
            counts += member.worker.stats().counts();
        }
        Account { counts, rejected: self.rejected.load(Relaxed), shed: self.shed.load(Relaxed) }
    }
}

/// A pool at one moment.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// What became of its tasks.
    pub account: Account,
    /// Threads that were given up as hung and have not returned.
    pub lost_threads: usize,
    /// Copies of hedged tasks that were sent.
    pub hedges: u64,
    /// Its strategy and its workers.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub balancer: BalancerStats,
}
