use std::fmt;

use crate::{Run, SimError};

/// The figure by which strategies are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Objective {
    /// This percentile of the sojourn, from 1 to 99; lower is better.
    Percentile(u8),
    /// The mean sojourn; lower is better.
    Mean,
    /// Completed tasks per second; higher is better.
    Throughput,
}

/// The least number of tasks beyond a percentile that a recommendation may rest on.
pub const TASKS_BEYOND: u64 = 100;

/// The least percentile that takes the place of a higher one for which there are too few tasks.
const LEAST_PERCENTILE: u8 = 90;

impl Objective {
    /// The 99th percentile of the sojourn, the default.
    pub const P99: Self = Self::Percentile(99);

    /// The objectives that `raddle advise` offers.
    pub const ALL: [Self; 3] = [Self::P99, Self::Mean, Self::Throughput];

    /// Returns the figure of a run: nanoseconds, or tasks per second.
    pub fn of(self, run: &Run) -> f64 {
        match self {
            Self::Percentile(percent) => {
                run.sojourn.quantile(f64::from(percent) / 100.0).as_nanos() as f64
            }
            Self::Mean => run.sojourn.mean_nanos(),
            Self::Throughput => run.throughput(),
        }
    }

    /// Turns a figure into a cost: lower is better for every objective.
    pub(crate) fn cost(self, figure: f64) -> f64 {
        match self {
            Self::Percentile(_) | Self::Mean => figure,
            Self::Throughput => -figure,
        }
    }

    /// Returns the number of tasks from which on this objective supports a recommendation: those
    /// that leave [`TASKS_BEYOND`] beyond the percentile. A mean and a throughput need as many as
    /// the 90th percentile.
    pub fn tasks_needed(self) -> u64 {
        let percent = match self {
            Self::Percentile(percent) => percent,
            Self::Mean | Self::Throughput => LEAST_PERCENTILE,
        };
        (TASKS_BEYOND * 100).div_ceil(100_u64.saturating_sub(percent.into()).max(1))
    }

    /// Returns the objective that this number of tasks supports in place of this one: the highest
    /// percentile with [`TASKS_BEYOND`] tasks beyond it, if that is at least the 90th; otherwise
    /// `None`.
    pub fn supported_by(self, tasks: u64) -> Option<Self> {
        if tasks >= self.tasks_needed() {
            return Some(self);
        }
        let Self::Percentile(percent) = self else { return None };
        let lower = (LEAST_PERCENTILE..percent).rev().map(Self::Percentile);
        lower.into_iter().find(|lower| tasks >= lower.tasks_needed())
    }

    pub(crate) fn validate(self) -> Result<(), SimError> {
        let Self::Percentile(percent) = self else { return Ok(()) };
        let right = (1..=99).contains(&percent);
        SimError::unless(right, "percentile of the objective", percent, || "1 to 99".into())
    }
}

impl Default for Objective {
    fn default() -> Self {
        Self::P99
    }
}

/// Writes the name used in text: `p99`, `mean` or `throughput`.
impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "p{percent}"),
            Self::Mean => f.pad("mean"),
            Self::Throughput => f.pad("throughput"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_a_hundred_tasks_beyond_it() {
        let percentile = |tasks| match Objective::P99.supported_by(tasks) {
            Some(Objective::Percentile(percent)) => Some(percent),
            _ => None,
        };
        let tasks = [u64::MAX, 10_000, 9_999, 8_819, 5_000, 1_999, 1_000, 999, 0];
        let expected =
            [Some(99), Some(99), Some(98), Some(98), Some(98), Some(94), Some(90), None, None];
        assert_eq!(tasks.map(percentile), expected);
        for objective in [Objective::Mean, Objective::Throughput] {
            assert_eq!(objective.supported_by(1_000), Some(objective));
            assert_eq!(objective.supported_by(999), None);
        }
        let median = Objective::Percentile(50);
        assert_eq!((median.supported_by(200), median.supported_by(199)), (Some(median), None));
    }
}
