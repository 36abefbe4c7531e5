//! What is measured, and who takes part.

mod ask;
mod pool;
mod select;
mod tell;

use crate::error::PeersError;
use crate::figures::{Figure, Figures};
use crate::harness;

/// A scenario and its contenders.
pub struct Scenario {
    /// Its name: what is done, and how.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// What is measured.
    pub figures: &'static [Figure],
    /// Who takes part, in order.
    pub contenders: Vec<Contender>,
}

/// Takes part in a scenario.
pub struct Contender {
    /// Its name.
    pub name: String,
    measure: Box<dyn Fn(&Settings) -> Figures>,
}

/// How a sample is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// For about how long it is measured.
    pub seconds: f64,
    /// Rounds of arithmetic that a microsecond takes, the same in a whole comparison.
    pub rounds_per_us: f64,
}

/// Measures one contender of one scenario.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// For example `tell/1`.
    scenario: String,
    /// For example `raddle`.
    contender: String,
    /// For about how long.
    #[arg(long, default_value_t = 0.4)]
    seconds: f64,
    /// Rounds of arithmetic that a microsecond takes; found out when not given.
    #[arg(long)]
    rounds_per_us: Option<f64>,
}

impl Contender {
    fn new(name: impl Into<String>, measure: impl Fn(&Settings) -> Figures + 'static) -> Self {
        Self { name: name.into(), measure: Box::new(measure) }
    }

    /// One sample.
    pub fn measure(&self, settings: &Settings) -> Figures {
        (self.measure)(settings)
    }
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    [tell::scenarios(), ask::scenarios(), pool::scenarios(), select::scenarios()]
        .into_iter()
        .flatten()
        .collect()
}

/// Measures what is asked for and prints the figures as a line of JSON.
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
        seconds: crate::error::in_range("--seconds", arguments.seconds, 0.001, 60.0)?,
        rounds_per_us: arguments.rounds_per_us.unwrap_or_else(harness::calibrate),
    };
    crate::process::answer(&contender.measure(&settings));
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
    fn names_are_unique_and_every_scenario_has_raddle_in_it() {
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
