use std::time::Duration;

use thiserror::Error;

/// When a second copy of a task is sent to another worker, if there is no reply by then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge(pub(crate) When);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    After(Duration),
    Quantile(f64),
}

/// Why a [`Hedge`] cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum HedgeError {
    /// The quantile is out of bounds.
    #[error("hedging quantile is {0}; more than 0 and less than 1 is allowed")]
    Quantile(f64),
    /// The pool does not measure how long tasks take.
    #[error("hedging at a quantile has no meaning: the pool's tracking is off")]
    Untracked,
}

impl Hedge {
    /// Hedges after a fixed time.
    pub fn after(delay: Duration) -> Self {
        Self(When::After(delay))
    }

    /// Hedges after a quantile, such as 0.95, of the time that the pool's tasks have taken so far,
    /// measured about once a second: the sum of that quantile of the wait and of that of the service
    /// time, which for most distributions is at least the quantile of their sum. No copy is sent while no task has been
    /// measured.
    ///
    /// The quantile must be more than 0 and less than 1, and the pool's tracking on; otherwise the task
    /// is refused.
    pub fn at_quantile(quantile: f64) -> Self {
        Self(When::Quantile(quantile))
    }

    /// Checks a hedge of a pool whose tracking is on or off.
    pub(crate) fn validate(self, is_tracked: bool) -> Result<(), HedgeError> {
        match self.0 {
            When::Quantile(quantile) if !(quantile > 0.0 && quantile < 1.0) => {
                Err(HedgeError::Quantile(quantile))
            }
            When::Quantile(_) if !is_tracked => Err(HedgeError::Untracked),
            _ => Ok(()),
        }
    }
}
