use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong in a comparison.
#[derive(Debug, Error)]
pub enum PeersError {
    /// There is no such scenario.
    #[error("there is no scenario `{0}`; there are {1}")]
    NoScenario(String, String),
    /// The scenario has no such contender.
    #[error("`{scenario}` has no contender `{contender}`; it has {known}")]
    NoContender {
        /// The scenario.
        scenario: String,
        /// Who was asked for.
        contender: String,
        /// Who there is.
        known: String,
    },
    /// Nothing is left to measure.
    #[error("nothing to measure: no scenario and contender has `{0}` in its name")]
    Nothing(String),
    /// A number is out of its range.
    #[error("{what} is {value}, allowed is {least} to {most}")]
    Range {
        /// The option.
        what: &'static str,
        /// What was given.
        value: f64,
        /// The least that is allowed.
        least: f64,
        /// The most.
        most: f64,
    },
    /// This program could not start itself.
    #[error("no process could be started: {0}")]
    Spawn(#[source] std::io::Error),
    /// A file could not be written.
    #[error("{path} could not be written: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A picture could not be drawn.
    #[error("{path} could not be drawn: {reason}")]
    Draw {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The value, when it is between these.
pub fn in_range(what: &'static str, value: f64, least: f64, most: f64) -> Result<f64, PeersError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(PeersError::Range { what, value, least, most })
    }
}
