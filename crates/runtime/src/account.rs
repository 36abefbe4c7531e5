use raddle_core::{Counts, Outcome, Roster};
use raddle_strategies::BalancerStats;
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};
use serde::Serialize;

/// What became of every task that a pool was given (law 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The admitted tasks, and how they ended.
    #[serde(flatten)]
    pub counts: Counts,
    /// Tasks whose message was handed back to the caller.
    pub rejected: u64,
    /// Tasks that were dropped as the pool was overloaded: they are not among the admitted.
    pub shed: u64,
}

impl Account {
    /// Whether every admitted task has ended, and just once: true at any quiet moment.
    pub fn is_balanced(&self) -> bool {
        self.counts.is_balanced()
    }
}

/// What is counted for the pool as a whole, and not for one of its workers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rejected: AtomicU64,
    shed: AtomicU64,
    /// Tasks of workers that are gone, and those whose thread was given up as hung.
    admitted: AtomicU64,
    outcomes: [AtomicU64; 5],
}

const OUTCOMES: [Outcome; 5] =
    [Outcome::Completed, Outcome::Failed, Outcome::Panicked, Outcome::Expired, Outcome::Cancelled];

impl Ledger {
    #[cold]
    pub(crate) fn reject(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    #[cold]
    pub(crate) fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// Takes over a task from its worker, to be [ended](Self::end) here.
    pub(crate) fn adopt(&self) {
        self.admitted.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Takes over what a worker that is gone has counted.
    pub(crate) fn inherit(&self, counts: &Counts) {
        let Counts { admitted, completed, failed, panicked, expired, cancelled } = *counts;
        self.admitted.fetch_add(admitted, Relaxed);
        let counts = [completed, failed, panicked, expired, cancelled];
        for (outcome, count) in OUTCOMES.into_iter().zip(counts) {
            self.outcomes[outcome as usize].fetch_add(count, Relaxed);
        }
    }

    pub(crate) fn account(&self, roster: &Roster) -> Account {
        let ended = |outcome: Outcome| self.outcomes[outcome as usize].load(Relaxed);
        let mut counts = Counts {
            admitted: 0,
            completed: ended(Outcome::Completed),
            failed: ended(Outcome::Failed),
            panicked: ended(Outcome::Panicked),
            expired: ended(Outcome::Expired),
            cancelled: ended(Outcome::Cancelled),
        };
        counts.admitted = self.admitted.load(Relaxed);
        for member in roster.members() {
            counts += member.worker.stats().counts();
        }
        Account { counts, rejected: self.rejected.load(Relaxed), shed: self.shed.load(Relaxed) }
    }
}

/// A pool at one moment. Serialisable.
#[derive(Clone, Debug, Serialize)]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// What became of its tasks.
    pub account: Account,
    /// Threads that were given up as hung and have not returned.
    pub lost_threads: usize,
    /// Copies of hedged tasks that were given.
    pub hedges: u64,
    /// Its strategy and its workers.
    #[serde(flatten)]
    pub balancer: BalancerStats,
}
