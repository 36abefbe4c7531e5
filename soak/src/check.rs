//! The check at the end of a round: compares the pool's account with what happened.

use raddle::Account;

use crate::fate::{AskEnd, Fate, Kind, Mark, Step, Way};
use crate::findings::Wrong;
use crate::records::Records;
use crate::tally::Occurrence;

/// What happened to the tasks of a round, counted from their fates.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Originals that the pool accepted.
    pub admitted: u64,
    pub refused: u64,
    pub shed: u64,
    pub completed: u64,
    pub failed: u64,
    pub panicked: u64,
    pub handed_back: u64,
    /// Those of them that a timer sent, or had yet to send when the pool closed.
    timers_handed_back: u64,
    /// Accepted originals that were neither run, shed nor handed back.
    idle: u64,
    /// Clones that were run, shed or handed back.
    moved_clones: u64,
    /// The other clones: submitted and dropped, or never submitted.
    idle_clones: u64,
    /// Idle originals and clones with a deadline.
    with_deadline: u64,
    /// Asks that ended as expired, and whose task or clone may have: others were shed or handed back
    /// afterwards.
    asks_expired: u64,
}

impl Count {
    /// Returns the number of tasks that were run.
    pub fn ran(&self) -> u64 {
        self.completed + self.failed + self.panicked
    }

    /// Adds a task.
    fn add(&mut self, fate: Fate) {
        let one = u64::from;
        self.admitted += one(fate.was_admitted());
        self.refused += one(fate.is(Mark::Refused));
        let idle = (0..2).any(|copy| fate.is_idle(copy));
        self.asks_expired += one(fate.ask_end() == AskEnd::Expired && idle);
        for copy in (0..2).filter(|copy| fate.did(Step::Made, *copy)) {
            if fate.did(Step::Run, copy) {
                match fate.kind_of(copy) {
                    Kind::Fail => self.failed += 1,
                    Kind::Panic => self.panicked += 1,
                    Kind::Ok | Kind::Slow | Kind::Hang => self.completed += 1,
                }
            }
            self.shed += one(fate.did(Step::Shed, copy));
            // A distant timer never sends its task.
            let handed_back = fate.did(Step::HandedBack, copy) && fate.way() != Way::Distant;
            self.handed_back += one(handed_back);
            self.timers_handed_back += one(handed_back && fate.way().is_timer());
            if copy == 1 {
                self.moved_clones += one(!fate.is_idle(copy));
                self.idle_clones += one(fate.is_idle(copy));
            } else {
                self.idle += one(fate.is_idle(copy) && fate.was_admitted());
            }
            self.with_deadline += one(fate.is_idle(copy) && fate.has_deadline());
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
        let counts = account.counts;
        equal("rejected", account.rejected, self.refused);
        equal("shed", account.shed, self.shed);
        // Whether a timer had sent the task that was handed back shows only in the account.
        let unsent = (self.admitted + hedges).saturating_sub(counts.admitted + account.shed);
        let unsent = unsent.min(self.timers_handed_back);
        let handed_back = self.handed_back - unsent;
        equal("admitted", counts.admitted + account.shed, self.admitted + hedges - unsent);
        equal("completed", counts.completed, self.completed);
        equal("failed", counts.failed, self.failed);
        equal("panicked", counts.panicked, self.panicked);
        // A submitted clone that was neither run, shed nor handed back ended without a run.
        let idle_submitted = hedges.saturating_sub(self.moved_clones);
        equal(
            "not run",
            counts.expired + counts.cancelled,
            self.idle + handed_back + idle_submitted,
        );
        equal("ended", counts.ended(), counts.admitted);
        let mut holds = |what: &str, holds: bool| {
            if !holds {
                wrong.push(format!("{what}: {self:?} and {account:?} and {hedges} hedges"));
            }
        };
        holds("more clones run than submitted", self.moved_clones <= hedges);
        holds("more clones submitted than made", hedges <= self.moved_clones + self.idle_clones);
        holds("more expired than had a deadline", counts.expired <= self.with_deadline);
        holds("fewer expired than asks that ended so", counts.expired >= self.asks_expired);
        holds("fewer cancelled than were handed back", counts.cancelled >= handed_back);
        wrong
    }
}

/// Checks every task, and the pool's account against them.
pub fn all(records: &Records, account: &Account, hedges: u64) -> Count {
    let mut count = Count::default();
    let allowed = records.plan.allowed();
    for (id, fate) in records.fates.iter() {
        count.add(fate);
        if let Some(wrong) = fate.judge(allowed) {
            records.findings.report(wrong, || fate.describe(id));
        }
        match fate.way() {
            Way::Timer if fate.was_admitted() => records.tally.count(Occurrence::TimerFired),
            Way::Periodic if fate.was_admitted() => records.tally.count(Occurrence::PeriodicFired),
            _ => {}
        }
    }
    for wrong in count.contradicts(account, hedges) {
        records.findings.report(Wrong::Account, || wrong);
    }
    records.tally.add(Occurrence::HandedBack, count.handed_back);
    count
}

#[cfg(test)]
mod tests {
    use raddle::Counts;

    use super::*;

    /// A task run, one shed, one refused, one expired, and a hedged task whose clone was run.
    fn five() -> (Count, Account) {
        let task = |kind, way, bits: u64| Fate(Fate::new(kind, way, 0).0 | bits);
        let (admitted, run) = (Mark::Admitted.bit(), Step::Run.bit(0));
        let clone = Step::Made.bit(1) | Step::Run.bit(1);
        let mut count = Count::default();
        count.add(task(Kind::Fail, Way::Tell, admitted | run));
        count.add(task(Kind::Ok, Way::Tell, admitted | Step::Shed.bit(0)));
        count.add(task(Kind::Ok, Way::Tell, Mark::Refused.bit()));
        count.add(task(Kind::Ok, Way::Tell, admitted).with_deadline());
        count.add(task(Kind::Panic, Way::Hedged, admitted | run | clone));
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
