use std::fmt;
use std::time::Duration;

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

/// No time is later: what is added to it does not overflow.
const LATEST: Duration = Duration::from_nanos(i64::MAX as u64);

impl SimError {
    /// Checks a time in nanoseconds.
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

/// Checks a number that must be above 0.
pub(crate) fn positive(what: &'static str, number: f64) -> Result<(), SimError> {
    let right = number > 0.0 && number.is_finite();
    SimError::unless(right, what, number, || "a number above 0".into())
}

/// Checks a number that is a part of a whole.
pub(crate) fn share(what: &'static str, number: f64) -> Result<(), SimError> {
    SimError::unless((0.0..=1.0).contains(&number), what, number, || "0 to 1".into())
}

/// Checks a time from the start.
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

/// Checks a time that something takes.
pub(crate) fn lasting(what: &'static str, time: Duration) -> Result<(), SimError> {
    positive(what, time.as_secs_f64())?;
    timely(what, time)
}
