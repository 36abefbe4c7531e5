//! A weakened ordering and what became of it.

use std::fmt;

use super::explanations::Explanation;
use super::sites::{Ordering, Site};

/// An ordering to weaken.
pub(super) struct Mutant<'s> {
    /// The number of its site.
    pub(super) number: usize,
    pub(super) site: &'s Site,
    pub(super) weaker: Ordering,
    pub(super) explanation: Option<&'s Explanation>,
}

pub(super) enum Verdict {
    Killed {
        test: String,
        /// How the test failed, unless by one of its own checks.
        how: Option<&'static str>,
    },
    Survives {
        /// The number of models that reach it.
        models: usize,
        /// Those of them that took too long.
        stopped: Vec<String>,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed { test, how: None } => write!(f, "killed by {test}"),
            Self::Killed { test, how: Some(how) } => write!(f, "killed by {test}, {how}"),
            Self::Survives { models, stopped } if stopped.is_empty() => {
                write!(f, "SURVIVES {models} models")
            }
            Self::Survives { models, stopped } => {
                write!(
                    f,
                    "SURVIVES {models} models, of which took too long: {}",
                    stopped.join(", ")
                )
            }
        }
    }
}
