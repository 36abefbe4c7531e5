use std::fmt;
use std::str::FromStr;

use raddle_core::{Roster, WorkerSpec};
use thiserror::Error;

use crate::SimWorker;

const SLOWEST: f64 = 0.001;
const FASTEST: f64 = 1_000.0;
const FORM: &str =
    "COUNTxSPEED or COUNTxSPEED:CAPABILITY+CAPABILITY, joined by commas, like `4x1.0:code,2x0.5`";

/// Groups of workers, parsed from text: `COUNTxSPEED` or `COUNTxSPEED:CAPABILITY+CAPABILITY`,
/// joined by commas. A worker without capabilities serves every task.
///
/// ```
/// use raddle_sim::Workers;
///
/// let workers: Workers = "4x1.0:code,2x0.5".parse()?;
/// assert_eq!((workers.count(), workers.capacity()), (6, 5.0));
/// # Ok::<(), raddle_sim::WorkersError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Workers(Vec<Group>);

/// Equal workers.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    count: usize,
    speed: f64,
    /// Empty for general workers.
    capabilities: Vec<String>,
}

/// One worker of [`Workers`].
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerPlan {
    /// Unique among the workers.
    pub name: String,
    /// Service times are divided by it.
    pub speed: f64,
    /// The capabilities it serves; empty for all.
    pub capabilities: Vec<String>,
}

/// An error in the text of [`Workers`].
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum WorkersError {
    /// A group does not have the expected form.
    #[error("`{part}` is not a group of workers: expected {FORM}")]
    Form {
        /// The group.
        part: String,
    },
    /// A count is not a number in range.
    #[error("`{count}` in `{part}` is not a number of workers: expected 1 to {most}", most = Workers::MAX_COUNT)]
    Count {
        /// The count.
        count: String,
        /// Its group.
        part: String,
    },
    /// A speed is not a number in range.
    #[error("`{speed}` in `{part}` is not a speed: expected a number from {SLOWEST} to {FASTEST}")]
    Speed {
        /// The speed.
        speed: String,
        /// Its group.
        part: String,
    },
    /// The groups have too many workers in total.
    #[error("{count} workers are too many: expected at most {most}", most = Workers::MAX_COUNT)]
    TooMany {
        /// The number of workers.
        count: usize,
    },
}

impl Workers {
    /// The largest number of workers.
    pub const MAX_COUNT: usize = Roster::MAX_WORKERS;

    /// Returns every worker, in order, with a unique name.
    pub fn plans(&self) -> Vec<WorkerPlan> {
        let each = self.0.iter().flat_map(|group| std::iter::repeat_n(group, group.count));
        each.enumerate()
            .map(|(index, Group { speed, capabilities, .. })| {
                let kind =
                    if capabilities.is_empty() { "any".into() } else { capabilities.join("+") };
                let name = format!("{kind}-{index}");
                WorkerPlan { name, speed: *speed, capabilities: capabilities.clone() }
            })
            .collect()
    }

    /// Returns every worker, ready to simulate.
    pub fn sim_workers(&self) -> Vec<SimWorker> {
        let worker = |plan: WorkerPlan| SimWorker { spec: plan.spec(), speed: plan.speed };
        self.plans().into_iter().map(worker).collect()
    }

    /// Returns the number of workers.
    pub fn count(&self) -> usize {
        self.0.iter().map(|group| group.count).sum()
    }

    /// Returns the sum of the speeds.
    pub fn capacity(&self) -> f64 {
        self.0.iter().map(|group| group.count as f64 * group.speed).sum()
    }

    /// Returns `true` if some worker serves tasks that require this capability.
    pub fn can_serve(&self, capability: &str) -> bool {
        self.plans().iter().any(|worker| worker.serves(capability))
    }
}

impl WorkerPlan {
    /// Returns `true` if it serves tasks that require this capability.
    pub fn serves(&self, capability: &str) -> bool {
        self.capabilities.is_empty() || self.capabilities.iter().any(|own| own == capability)
    }

    /// Returns a spec with the worker's name and capabilities.
    pub fn spec(&self) -> WorkerSpec {
        self.capabilities.iter().fold(WorkerSpec::new(&self.name), WorkerSpec::capability)
    }
}

impl FromStr for Workers {
    type Err = WorkersError;

    fn from_str(text: &str) -> Result<Self, WorkersError> {
        let groups: Vec<Group> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let count = groups.iter().map(|group| group.count).sum();
        if count > Workers::MAX_COUNT {
            return Err(WorkersError::TooMany { count });
        }
        Ok(Self(groups))
    }
}

impl FromStr for Group {
    type Err = WorkersError;

    fn from_str(part: &str) -> Result<Self, WorkersError> {
        let form = || WorkersError::Form { part: part.to_owned() };
        let (size, names) = match part.split_once(':') {
            Some((size, names)) => (size, Some(names)),
            None => (part, None),
        };
        let (count_text, speed_text) = size.split_once('x').ok_or_else(form)?;
        let count = count_text
            .trim()
            .parse()
            .ok()
            .filter(|count| (1..=Workers::MAX_COUNT).contains(count))
            .ok_or_else(|| WorkersError::Count { count: count_text.into(), part: part.into() })?;
        let speed = speed_text
            .trim()
            .parse()
            .ok()
            .filter(|speed| (SLOWEST..=FASTEST).contains(speed))
            .ok_or_else(|| WorkersError::Speed { speed: speed_text.into(), part: part.into() })?;
        let mut capabilities: Vec<String> = Vec::new();
        for name in names.iter().flat_map(|names| names.split('+')).map(str::trim) {
            if name.is_empty() || name.contains(':') {
                return Err(form());
            }
            if !capabilities.iter().any(|known| known == name) {
                capabilities.push(name.to_owned());
            }
        }
        Ok(Self { count, speed, capabilities })
    }
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Group { count, speed, capabilities }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let colon = if capabilities.is_empty() { "" } else { ":" };
            write!(f, "{comma}{count}x{speed:?}{colon}{}", capabilities.join("+"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_become_workers_with_unique_names() {
        let workers: Workers = "2x1.5:code,1x1:code+chat, 2x0.5".parse().unwrap();
        assert_eq!(workers.count(), 5);
        assert_eq!(workers.capacity(), 5.0);
        let plans = workers.plans();
        let names: Vec<_> = plans.iter().map(|plan| plan.name.as_str()).collect();
        assert_eq!(names, ["code-0", "code-1", "code+chat-2", "any-3", "any-4"]);
        assert_eq!(plans[4].speed, 0.5);
        assert_eq!(plans[2].capabilities, ["code", "chat"]);
    }

    #[test]
    fn a_general_worker_serves_everything_and_a_specialist_its_capabilities() {
        let special: Workers = "1x1:code".parse().unwrap();
        assert!(special.can_serve("code") && !special.can_serve("chat"));
        let general: Workers = "1x1".parse().unwrap();
        assert!(general.can_serve("chat"));
    }

    #[test]
    fn every_invalid_text_is_refused_with_the_cause_and_what_is_allowed() {
        let form = |part| format!("`{part}` is not a group of workers: expected {FORM}");
        let count = |count, part| {
            format!("`{count}` in `{part}` is not a number of workers: expected 1 to 65535")
        };
        let speed = |speed, part| {
            format!("`{speed}` in `{part}` is not a speed: expected a number from 0.001 to 1000")
        };
        let cases = [
            ("", form("")),
            ("many", form("many")),
            ("4", form("4")),
            ("4x1,", form("")),
            ("4x1:", form("4x1:")),
            ("4x1:code+", form("4x1:code+")),
            ("4x1:a:b", form("4x1:a:b")),
            ("0x1", count("0", "0x1")),
            ("-1x1", count("-1", "-1x1")),
            ("1.5x1", count("1.5", "1.5x1")),
            ("x1", count("", "x1")),
            ("65536x1", count("65536", "65536x1")),
            ("99999999999999999999x1", count("99999999999999999999", "99999999999999999999x1")),
            ("2x0", speed("0", "2x0")),
            ("2x-1", speed("-1", "2x-1")),
            ("2xNaN", speed("NaN", "2xNaN")),
            ("2xinf", speed("inf", "2xinf")),
            ("2x1e9", speed("1e9", "2x1e9")),
            ("1x1,2xfast:code", speed("fast", "2xfast:code")),
            ("65535x1,1x2", "65536 workers are too many: expected at most 65535".into()),
        ];
        for (spec, expected) in cases {
            assert_eq!(spec.parse::<Workers>().unwrap_err().to_string(), expected, "for {spec:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Workers>();
        }

        #[test]
        fn a_valid_spec_round_trips(
            groups in prop::collection::vec(
                (1..100_usize, SLOWEST..=FASTEST, prop::collection::hash_set("[a-z]{1,5}", 0..3)),
                1..8,
            )
        ) {
            let group = |(count, speed, names): (usize, f64, HashSet<String>)| Group {
                count,
                speed,
                capabilities: names.into_iter().collect(),
            };
            let workers = Workers(groups.into_iter().map(group).collect());
            prop_assert_eq!(workers.to_string().parse::<Workers>().unwrap(), workers);
        }

        #[test]
        fn names_are_unique(count in 1..50_usize, other in 1..50_usize) {
            let workers: Workers = format!("{count}x1:a,{other}x2:a,1x1").parse().unwrap();
            let names: HashSet<_> = workers.plans().into_iter().map(|plan| plan.name).collect();
            prop_assert_eq!(names.len(), workers.count());
        }
    }
}
