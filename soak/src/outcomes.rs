//! How the tasks of a round may have ended, and whether the pool's account can be theirs.

use std::ops::BitOr;

use raddle::Account;

/// A set of possible outcomes of one task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes(u8);

/// Names of the outcomes, by bit.
const NAMES: [&str; 7] =
    ["completed", "failed", "panicked", "expired", "cancelled", "not sent", "clones not sent"];

impl Outcomes {
    /// That of a task that was never admitted, or was shed: it is in no account.
    pub const NONE: Self = Self(0);
    pub const COMPLETED: Self = Self(1);
    pub const FAILED: Self = Self(1 << 1);
    pub const PANICKED: Self = Self(1 << 2);
    pub const EXPIRED: Self = Self(1 << 3);
    pub const CANCELLED: Self = Self(1 << 4);
    /// Not admitted after all: only the account tells.
    pub const UNSENT: Self = Self(1 << 5);
    /// The same of the clone of a hedged task.
    pub const CLONE_UNSENT: Self = Self(1 << 6);
    pub const ANY: Self = Self(u8::MAX);
    /// With a reply.
    pub const ANSWERED: Self = Self(0b11);

    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Returns `true` if `other` has all outcomes of this set.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns this set if `is_so`, and otherwise none.
    pub fn when(self, is_so: bool) -> Self {
        if is_so { self } else { Self::NONE }
    }

    fn describe(self) -> String {
        let names = NAMES.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 == 1);
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(" or ")
    }
}

impl BitOr for Outcomes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How many tasks have each set of possible outcomes.
#[derive(Debug, PartialEq, Eq)]
pub struct Possible([u64; 1 << NAMES.len()]);

impl Default for Possible {
    fn default() -> Self {
        Self([0; 1 << NAMES.len()])
    }
}

impl Possible {
    pub fn add(&mut self, outcomes: Outcomes) {
        self.0[usize::from(outcomes.0)] += 1;
    }

    /// Returns the number of tasks with a set of outcomes that `is_so`.
    pub fn count(&self, is_so: impl Fn(Outcomes) -> bool) -> u64 {
        let sets = self.0.iter().enumerate().skip(1);
        sets.filter(|(set, _)| is_so(Outcomes(*set as u8))).map(|(_, count)| count).sum()
    }

    /// Returns why these tasks cannot have ended as the account says; `hedges` is the number of clones
    /// that the pool submitted.
    ///
    /// Every task can be given one of its outcomes so that each outcome has the number in the account if
    /// and only if the numbers add up, and for every set of outcomes no more tasks have only those than
    /// the account has (Hall's theorem).
    pub fn contradictions(&self, account: &Account, clones: u64, hedges: u64) -> Vec<String> {
        let counts = account.counts;
        let ended = counts.ended();
        let all = self.count(|_| true);
        let unsent_clones = clones.saturating_sub(hedges);
        let unsent = all.saturating_sub(ended + unsent_clones);
        let actual = [
            counts.completed,
            counts.failed,
            counts.panicked,
            counts.expired,
            counts.cancelled,
            unsent,
            unsent_clones,
        ];
        let mut wrong = Vec::new();
        if hedges > clones {
            wrong.push(format!("{hedges} clones submitted, {clones} made"));
        }
        if ended + unsent + unsent_clones != all {
            wrong.push(format!("ended: {ended} by the pool, at most {all} by the tasks"));
        }
        for set in (1..self.0.len()).map(|set| Outcomes(set as u8)) {
            let by_tasks = self.count(|outcomes| outcomes.is_within(set));
            let by_pool: u64 = actual
                .iter()
                .enumerate()
                .filter(|(bit, _)| set.0 >> bit & 1 == 1)
                .map(|(_, n)| n)
                .sum();
            if by_tasks > by_pool {
                let what = set.describe();
                wrong.push(format!(
                    "{what}: {by_pool} by the pool, at least {by_tasks} by the tasks"
                ));
            }
        }
        // The smallest set that shows it says most.
        wrong.truncate(3);
        wrong
    }
}

#[cfg(test)]
mod tests {
    use raddle::Counts;

    use super::*;

    #[test]
    fn every_choice_of_outcomes_is_allowed_and_no_other() {
        let mut possible = Possible::default();
        possible.add(Outcomes::COMPLETED);
        possible.add(Outcomes::COMPLETED | Outcomes::EXPIRED);
        possible.add(Outcomes::EXPIRED | Outcomes::CANCELLED);
        possible.add(Outcomes::CANCELLED | Outcomes::UNSENT);
        let is_right = |completed, expired, cancelled| {
            let admitted = completed + expired + cancelled;
            let counts = Counts { admitted, completed, failed: 0, panicked: 0, expired, cancelled };
            possible.contradictions(&Account { counts, rejected: 0, shed: 0 }, 0, 0).is_empty()
        };
        for (completed, expired, cancelled) in
            [(2, 1, 1), (2, 0, 2), (1, 2, 1), (1, 1, 2), (1, 2, 0), (2, 1, 0), (1, 1, 1)]
        {
            assert!(is_right(completed, expired, cancelled), "{completed} {expired} {cancelled}");
        }
        for (completed, expired, cancelled) in
            [(3, 1, 0), (0, 2, 2), (1, 3, 0), (1, 0, 3), (1, 0, 1), (2, 2, 1)]
        {
            assert!(!is_right(completed, expired, cancelled), "{completed} {expired} {cancelled}");
        }
    }
}
