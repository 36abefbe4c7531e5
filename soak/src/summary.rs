use std::fmt;

use raddle::{Account, Counts};

use crate::round::Round;
use crate::tally::{Occurrence, Tally};

/// The results of all rounds together.
pub struct Summary {
    pub seed: u64,
    pub rounds: u64,
    pub tally: Tally,
    tasks: u64,
    account: Account,
    peak_lost: u64,
    checked_threads: bool,
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
            peak_lost: 0,
            checked_threads: true,
            findings: 0,
        }
    }

    /// Adds the results of a round.
    pub fn add(&mut self, round: &Round, tally: &Tally, tasks: u64, peak_lost: u64) {
        self.rounds += 1;
        self.tally.add_all(tally);
        self.tasks += tasks;
        self.account.counts += round.account.counts;
        self.account.rejected += round.account.rejected;
        self.account.shed += round.account.shed;
        self.peak_lost = self.peak_lost.max(peak_lost);
        self.checked_threads &= round.checked_threads;
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
        line("messages created", self.tasks)?;
        line("admitted", admitted)?;
        line("  completed", completed)?;
        line("  failed", failed)?;
        line("  panicked", panicked)?;
        line("  expired", expired)?;
        line("  cancelled", cancelled)?;
        line("shed", self.account.shed)?;
        line("rejected", self.account.rejected)?;
        line("threads lost at the same time, at most", self.peak_lost)?;
        for occurrence in Occurrence::ALL {
            line(occurrence.name(), self.tally.of(*occurrence))?;
        }
        if !self.checked_threads {
            writeln!(f, "leftover threads were not checked: this system does not list threads")?;
        }
        match self.findings {
            0 => writeln!(f, "seed {}: nothing lost, nothing doubled, nothing left", self.seed),
            wrong => writeln!(f, "seed {}: {wrong} failures", self.seed),
        }
    }
}
