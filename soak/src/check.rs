//! The end of a round: what the pool says beside what happened.

use raddle::prelude::Account;

use crate::fate::{Fate, Kind, Mark, Step, Told, Way};
use crate::findings::Wrong;
use crate::records::Records;
use crate::tally::Deed;

/// What happened to the tasks of a round, counted over their fates.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Originals that the pool took.
    pub given: u64,
    pub refused: u64,
    pub shed: u64,
    pub completed: u64,
    pub failed: u64,
    pub panicked: u64,
    pub kept: u64,
    /// Originals that the pool took and dropped without a run, a shedding or handing them back.
    idle: u64,
    /// Clones that were run, shed or handed back.
    moved_clones: u64,
    /// The other clones: given and dropped, or never given.
    idle_clones: u64,
    /// Of the idle ones, those that had a deadline.
    with_deadline: u64,
    /// Askers that were told of a deadline that had passed.
    told_expired: u64,
}

impl Count {
    /// How many were run.
    pub fn ran(&self) -> u64 {
        self.completed + self.failed + self.panicked
    }

    /// Counts a task in.
    fn add(&mut self, fate: Fate) {
        let one = u64::from;
        self.given += one(fate.was_given());
        self.refused += one(fate.is(Mark::Refused));
        self.told_expired += one(fate.told() == Told::Expired);
        for copy in (0..2).filter(|copy| fate.did(Step::Made, *copy)) {
            if fate.did(Step::Run, copy) {
                match fate.kind_of(copy) {
                    Kind::Fail => self.failed += 1,
                    Kind::Panic => self.panicked += 1,
                    Kind::Ok | Kind::Slow | Kind::Hang => self.completed += 1,
                }
            }
            self.shed += one(fate.did(Step::Shed, copy));
            self.kept += one(fate.did(Step::Kept, copy));
            if copy == 1 {
                self.moved_clones += one(!fate.is_idle(copy));
                self.idle_clones += one(fate.is_idle(copy));
            } else {
                self.idle += one(fate.is_idle(copy) && fate.was_given());
            }
            self.with_deadline += one(fate.is_idle(copy) && fate.has_deadline());
        }
    }

    /// What the pool's account cannot be beside this; `hedges` is how many clones it has given.
    fn contradicts(&self, account: &Account, hedges: u64) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut same = |what: &str, says: u64, is: u64| {
            if says != is {
                wrong.push(format!("{what}: the pool says {says}, the tasks say {is}"));
            }
        };
        let counts = account.counts;
        same("rejected", account.rejected, self.refused);
        same("shed", account.shed, self.shed);
        same("admitted", counts.admitted + account.shed, self.given + hedges);
        same("completed", counts.completed, self.completed);
        same("failed", counts.failed, self.failed);
        same("panicked", counts.panicked, self.panicked);
        // A clone that was given, and neither run, shed nor handed back, ended without a run.
        let idle_given = hedges.saturating_sub(self.moved_clones);
        same("not run", counts.expired + counts.cancelled, self.idle + self.kept + idle_given);
        same("ended", counts.ended(), counts.admitted);
        let mut holds = |what: &str, holds: bool| {
            if !holds {
                wrong.push(format!("{what}: {self:?} beside {account:?} and {hedges} hedges"));
            }
        };
        holds("more clones run than given", self.moved_clones <= hedges);
        holds("more clones given than made", hedges <= self.moved_clones + self.idle_clones);
        holds("more expired than had a deadline", counts.expired <= self.with_deadline);
        holds("fewer expired than were told so", counts.expired >= self.told_expired);
        holds("fewer cancelled than were handed back", counts.cancelled >= self.kept);
        wrong
    }
}

/// Looks at every task, and at the pool's account beside them.
pub fn all(records: &Records, account: &Account, hedges: u64) -> Count {
    let mut count = Count::default();
    let allowed = records.plan.allowed();
    for (id, fate) in records.fates.iter() {
        count.add(fate);
        if let Some(wrong) = fate.judge(allowed) {
            records.findings.report(wrong, || fate.describe(id));
        }
        match fate.way() {
            Way::Timer if fate.was_given() => records.tally.count(Deed::TimerFired),
            Way::Periodic if fate.was_given() => records.tally.count(Deed::PeriodicFired),
            _ => {}
        }
    }
    for wrong in count.contradicts(account, hedges) {
        records.findings.report(Wrong::Account, || wrong);
    }
    records.tally.add(Deed::Kept, count.kept);
    count
}

#[cfg(test)]
mod tests {
    use raddle::core::Counts;

    use super::*;

    /// A task run, one shed, one refused, one expired, and a hedged one whose clone was run.
    fn five() -> (Count, Account) {
        let task = |kind, way, bits: u64| Fate(Fate::new(kind, way, 0).0 | bits);
        let (given, run) = (Mark::Given.bit(), Step::Run.bit(0));
        let clone = Step::Made.bit(1) | Step::Run.bit(1);
        let mut count = Count::default();
        count.add(task(Kind::Fail, Way::Tell, given | run));
        count.add(task(Kind::Ok, Way::Tell, given | Step::Shed.bit(0)));
        count.add(task(Kind::Ok, Way::Tell, Mark::Refused.bit()));
        count.add(task(Kind::Ok, Way::Tell, given).with_deadline());
        count.add(task(Kind::Panic, Way::Hedged, given | run | clone));
        let counts =
            Counts { admitted: 4, completed: 1, failed: 1, panicked: 1, expired: 1, cancelled: 0 };
        (count, Account { counts, rejected: 1, shed: 1 })
    }

    #[test]
    fn a_right_account_is_not_contradicted() {
        let (count, account) = five();
        assert_eq!(count.contradicts(&account, 1), [""; 0]);
    }

    #[test]
    fn every_figure_of_the_account_counts() {
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
