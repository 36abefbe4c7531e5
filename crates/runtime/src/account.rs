use raddle_core::{Counts, Roster};
use raddle_strategies::BalancerStats;
use serde::Serialize;

/// What became of every task that a pool was given (law 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The admitted tasks, and how they ended.
    #[serde(flatten)]
    pub counts: Counts,
    /// Tasks whose message was handed back to the caller.
    pub rejected: u64,
}

impl Account {
    pub(crate) fn of(roster: &Roster, rejected: u64) -> Self {
        let mut account = Self { rejected, ..Self::default() };
        for member in roster.workers() {
            account.counts += member.worker.stats().counts();
        }
        account
    }

    /// Whether every admitted task has ended, and just once: true at any quiet moment.
    pub fn is_balanced(&self) -> bool {
        self.counts.is_balanced()
    }
}

/// A pool at one moment. Serialisable.
#[derive(Clone, Debug, Serialize)]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// What became of its tasks.
    pub account: Account,
    /// Its strategy and its workers.
    #[serde(flatten)]
    pub balancer: BalancerStats,
}
