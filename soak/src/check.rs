//! The check at the end of a round: compares the accounts of its pools with what happened.

use raddle::Account;

use crate::fate::{Fate, Mark, Step};
use crate::findings::{Findings, Wrong};
use crate::judge::Allowed;
use crate::outcomes::Possible;

/// What happened to the tasks of a pool, counted from their fates.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    refused: u64,
    shed: u64,
    /// Tasks that were run.
    pub ran: u64,
    pub handed_back: u64,
    /// Clones of hedged tasks.
    clones: u64,
    possible: Possible,
}

impl Count {
    /// Adds a task.
    pub fn add(&mut self, fate: Fate, allowed: Allowed) {
        let one = u64::from;
        self.refused += one(fate.is(Mark::Refused));
        for copy in (0..2).filter(|copy| fate.did(Step::Made, *copy)) {
            self.ran += one(fate.did(Step::Run, copy));
            self.shed += one(fate.did(Step::Shed, copy));
            self.handed_back += one(fate.did(Step::HandedBack, copy));
            self.clones += one(copy == 1);
            self.possible.add(fate.outcomes(copy, allowed));
        }
    }

    /// Returns the contradictions with the pool's account; `hedges` is the number of clones that
    /// the pool submitted.
    fn contradicts(&self, account: &Account, hedges: u64) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut equal = |what: &str, pool: u64, tasks: u64| {
            if pool != tasks {
                wrong.push(format!("{what}: {pool} by the pool, {tasks} by the tasks"));
            }
        };
        equal("rejected", account.rejected, self.refused);
        equal("shed", account.shed, self.shed);
        equal("admitted", account.counts.admitted, account.counts.ended());
        wrong.extend(self.possible.contradictions(account, self.clones, hedges));
        wrong
    }

    /// Reports the contradictions with the pool's account.
    pub fn check(&self, findings: &Findings, account: &Account, hedges: u64) {
        for wrong in self.contradicts(account, hedges) {
            findings.report(Wrong::Account, || format!("{wrong}; {account:?}, {hedges} hedges"));
        }
    }
}

#[cfg(test)]
mod tests {
    use raddle::Counts;

    use super::*;
    use crate::fate::Way;
    use crate::kind::Kind;

    const STRICT: Allowed =
        Allowed { retires: false, cancels: false, like: crate::outcomes::Outcomes::NONE };

    /// A task run, one shed, one refused, one expired, and a hedged task whose clone was run.
    fn five() -> (Count, Account) {
        let task = |kind, way, bits: u64| Fate(Fate::new(kind, way, 0).0 | bits);
        let (admitted, run) = (Mark::Admitted.bit(), Step::Run.bit(0));
        let clone = Step::Made.bit(1) | Step::Run.bit(1);
        let tasks = [
            task(Kind::Fail, Way::Tell, admitted | run),
            task(Kind::Ok, Way::Tell, admitted | Step::Shed.bit(0)),
            task(Kind::Ok, Way::Tell, Mark::Refused.bit()),
            task(Kind::Ok, Way::Tell, admitted).with_deadline(),
            task(Kind::Panic, Way::Hedged, admitted | run | clone),
        ];
        let mut count = Count::default();
        tasks.into_iter().for_each(|task| count.add(task, STRICT));
        let counts =
            Counts { admitted: 4, completed: 1, failed: 1, panicked: 1, expired: 1, cancelled: 0 };
        (count, Account { counts, rejected: 1, shed: 1 })
    }

    #[test]
    fn a_correct_account_is_accepted() {
        let (count, account) = five();
        assert_eq!(count.contradicts(&account, 1), [""; 0]);
    }

    #[test]
    fn every_figure_of_the_account_is_checked() {
        let (count, account) = five();
        let spoils: [fn(&mut Account); 8] = [
            |account| account.rejected += 1,
            |account| account.shed += 1,
            |account| account.counts.admitted += 1,
            |account| account.counts.completed += 1,
            |account| account.counts.failed += 1,
            |account| account.counts.panicked += 1,
            |account| account.counts.expired += 1,
            |account| account.counts.cancelled += 1,
        ];
        for spoil in spoils {
            let mut spoilt = account;
            spoil(&mut spoilt);
            assert!(!count.contradicts(&spoilt, 1).is_empty(), "{spoilt:?}");
        }
        assert!(!count.contradicts(&account, 2).is_empty());
        assert!(!count.contradicts(&account, 0).is_empty());
    }
}
