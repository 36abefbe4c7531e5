use std::fmt;
use std::time::Duration;

use raddle_core::RosterError;
use thiserror::Error;

/// An error that prevents a run.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SimError {
    /// The scenario has a value out of bounds.
    #[error("{what} is {value}, allowed is {allowed}")]
    Scenario {
        /// The part of the scenario.
        what: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        allowed: String,
    },
    /// The workers do not form a roster.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The progress callback stopped the run.
    #[error("the simulation was stopped")]
    Stopped,
    /// A task was lost or counted twice, which is a bug of the simulator.
    #[error("tasks are unaccounted for: {0}")]
    Unaccounted(String),
}

/// The latest time of any event; adding to it does not overflow.
pub(crate) const LATEST: Duration = Duration::from_nanos(i64::MAX as u64);

impl SimError {
    /// Checks a time in nanoseconds since the start.
    #[inline]
    pub(crate) fn timely(what: &'static str, time: u64) -> Result<(), Self> {
        timely(what, Duration::from_nanos(time))
    }

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

/// Checks that a trace is not empty.
pub(crate) fn not_empty<T>(trace: &[T]) -> Result<(), SimError> {
    SimError::unless(!trace.is_empty(), "trace", "empty", || "at least one task".into())
}

/// Checks that a number is positive and finite.
pub(crate) fn positive(what: &'static str, number: f64) -> Result<(), SimError> {
    let right = number > 0.0 && number.is_finite();
    SimError::unless(right, what, number, || "a number above 0".into())
}

/// Checks that a number is between 0 and 1.
pub(crate) fn share(what: &'static str, number: f64) -> Result<(), SimError> {
    SimError::unless((0.0..=1.0).contains(&number), what, number, || "0 to 1".into())
}

/// Checks a time since the start.
#[inline]
pub(crate) fn timely(what: &'static str, time: Duration) -> Result<(), SimError> {
    if time <= LATEST { Ok(()) } else { Err(late(what, time)) }
}

#[cold]
fn late(what: &'static str, time: Duration) -> SimError {
    let years = LATEST.as_secs() / (365 * 24 * 3_600);
    SimError::Scenario {
        what,
        value: format!("{} s", time.as_secs()),
        allowed: format!("up to {years} years, in seconds {}", LATEST.as_secs()),
    }
}

/// Checks a duration, which must be above 0.
pub(crate) fn duration(what: &'static str, time: Duration) -> Result<(), SimError> {
    positive(what, time.as_secs_f64())?;
    timely(what, time)
}
