use std::path::PathBuf;

use thiserror::Error;

/// Why there is no comparison.
#[derive(Debug, Error)]
pub enum PeersError {
    /// There is no such scenario.
    #[error("there is no scenario `{0}`, allowed are {1}")]
    NoScenario(String, String),
    /// The scenario has no such contender.
    #[error("`{scenario}` has no contender `{contender}`, allowed are {known}")]
    NoContender {
        /// The scenario.
        scenario: String,
        /// The unknown name.
        contender: String,
        /// The names of its contenders.
        known: String,
    },
    /// A value of `--only` is part of no name.
    #[error("`{name}` is part of no name, allowed are parts of: {allowed}")]
    Unknown {
        /// The value.
        name: String,
        /// The names.
        allowed: String,
    },
    /// A number is out of range.
    #[error("{what} is {value}, allowed is {least} to {most}")]
    Range {
        /// The option.
        what: &'static str,
        /// The value.
        value: f64,
        /// The minimum.
        least: f64,
        /// The maximum.
        most: f64,
    },
    /// This program could not start itself.
    #[error("cannot start a process")]
    Spawn(#[source] std::io::Error),
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

/// Returns the value if it is in this range.
pub fn in_range(what: &'static str, value: f64, least: f64, most: f64) -> Result<f64, PeersError> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(PeersError::Range { what, value, least, most })
    }
}
