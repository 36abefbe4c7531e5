use std::fmt;

use raddle::core::Counts;
use raddle::prelude::Account;

use crate::round::Round;
use crate::tally::{Deed, Tally};

/// All rounds together.
pub struct Summary {
    pub seed: u64,
    pub rounds: u64,
    pub tally: Tally,
    tasks: u64,
    account: Account,
    most_lost: u64,
    looked_for_threads: bool,
    findings: u64,
}

impl Summary {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rounds: 0,
            tally: Tally::new(),
            tasks: 0,
            account: Account::default(),
            most_lost: 0,
            looked_for_threads: true,
            findings: 0,
        }
    }

    /// Adds a round: what it brought, how many tasks it made, what it was found to do wrong.
    pub fn add(&mut self, round: &Round, tally: &Tally, tasks: u64, most_lost: u64) {
        self.rounds += 1;
        self.tally.add_all(tally);
        self.tasks += tasks;
        self.account.counts += round.account.counts;
        self.account.rejected += round.account.rejected;
        self.account.shed += round.account.shed;
        self.most_lost = self.most_lost.max(most_lost);
        self.looked_for_threads &= round.looked_for_threads;
    }

    pub fn found(&mut self, findings: u64) {
        self.findings += findings;
    }

    pub fn is_right(&self) -> bool {
        self.findings == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { admitted, completed, failed, panicked, expired, cancelled } =
            self.account.counts;
        let mut line = |name: &str, value: u64| writeln!(f, "{name:<46} {value:>12}");
        line("rounds", self.rounds)?;
        line("messages made", self.tasks)?;
        line("admitted", admitted)?;
        line("  completed", completed)?;
        line("  failed", failed)?;
        line("  panicked", panicked)?;
        line("  expired", expired)?;
        line("  cancelled", cancelled)?;
        line("shed", self.account.shed)?;
        line("rejected", self.account.rejected)?;
        line("threads lost at a time, at most", self.most_lost)?;
        for deed in Deed::ALL {
            line(deed.name(), self.tally.of(*deed))?;
        }
        if !self.looked_for_threads {
            writeln!(f, "not looked for threads that are left: this system does not tell")?;
        }
        match self.findings {
            0 => writeln!(f, "seed {}: nothing lost, nothing doubled, nothing left", self.seed),
            wrong => writeln!(f, "seed {}: {wrong} things are wrong", self.seed),
        }
    }
}
