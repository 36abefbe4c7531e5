use std::fmt;

use raddle_core::RosterError;
use thiserror::Error;

/// Why there is no run.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SimError {
    /// A scenario that cannot be.
    #[error("{what} is {value}, allowed is {allowed}")]
    Scenario {
        /// Which part of it.
        what: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// Workers that cannot be.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// It was told to stop.
    #[error("the simulation was stopped")]
    Stopped,
    /// A task is neither ended nor anywhere: a bug of the simulator.
    #[error("tasks went astray: {0}")]
    Astray(String),
}

impl SimError {
    pub(crate) fn unless(
        right: bool,
        what: &'static str,
        value: impl fmt::Display,
        allowed: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        if right {
            return Ok(());
        }
        Err(Self::Scenario { what, value: value.to_string(), allowed: allowed() })
    }
}

/// Checks a number that must be above 0.
pub(crate) fn positive(what: &'static str, number: f64) -> Result<(), SimError> {
    let right = number > 0.0 && number.is_finite();
    SimError::unless(right, what, number, || "a number above 0".into())
}

/// Checks a number that is a part of a whole.
pub(crate) fn share(what: &'static str, number: f64) -> Result<(), SimError> {
    SimError::unless((0.0..=1.0).contains(&number), what, number, || "0 to 1".into())
}
