//! What is measured, and of which contenders.

mod ask;
mod awaits;
mod definition;
mod pool;
mod select;
mod tell;

use crate::error::{PeersError, in_range};
use crate::{harness, process};

pub use definition::{Contender, Scenario, Settings};

/// Measures one contender of one scenario.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// For example `tell/1`.
    scenario: String,
    /// For example `raddle`.
    contender: String,
    /// The approximate duration of the measurement.
    #[arg(long, default_value_t = 0.4)]
    seconds: f64,
    /// Rounds of arithmetic per microsecond [default: calibrated].
    #[arg(long)]
    rounds_per_us: Option<f64>,
}

/// Returns all scenarios.
pub fn all() -> Vec<Scenario> {
    [
        tell::scenarios(),
        ask::scenarios(),
        awaits::scenarios(),
        pool::scenarios(),
        select::scenarios(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Takes one sample and prints its figures as a line of JSON.
///
/// # Errors
/// If there is no such scenario or contender, or a number is out of range.
pub fn run(arguments: &Arguments) -> Result<(), PeersError> {
    let scenarios = all();
    let scenario = scenarios.iter().find(|known| known.name == arguments.scenario);
    let scenario = scenario.ok_or_else(|| {
        PeersError::NoScenario(arguments.scenario.clone(), list(scenarios.iter().map(|s| &s.name)))
    })?;
    let contender = scenario.contenders.iter().find(|known| known.name == arguments.contender);
    let contender = contender.ok_or_else(|| PeersError::NoContender {
        scenario: scenario.name.clone(),
        contender: arguments.contender.clone(),
        known: list(scenario.contenders.iter().map(|c| &c.name)),
    })?;
    let settings = Settings {
        seconds: in_range("--seconds", arguments.seconds, 0.001, 60.0)?,
        rounds_per_us: arguments.rounds_per_us.unwrap_or_else(harness::calibrate),
    };
    process::answer(&contender.measure(&settings));
    Ok(())
}

fn list<'n>(names: impl Iterator<Item = &'n String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_raddle_comes_first() {
        let scenarios = all();
        let names: HashSet<_> = scenarios.iter().map(|scenario| &scenario.name).collect();
        assert_eq!(names.len(), scenarios.len());
        for Scenario { name, contenders, .. } in &scenarios {
            let names: HashSet<_> = contenders.iter().map(|contender| &contender.name).collect();
            assert_eq!(names.len(), contenders.len(), "{name}");
            assert!(contenders[0].name.starts_with("raddle"), "{name}");
        }
    }
}
