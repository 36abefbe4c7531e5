use std::fmt;

use thiserror::Error;

/// A parameter of a strategy is outside its bounds.
///
/// Returned by [`Strategy::validate`](crate::Strategy::validate), which every call that puts a
/// strategy to use runs first.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{parameter} of {strategy} is {value}, allowed is {allowed}")]
#[non_exhaustive]
pub struct StrategyError {
    /// The strategy's [name](crate::Strategy::name).
    pub strategy: &'static str,
    /// The parameter.
    pub parameter: &'static str,
    /// Its value.
    pub value: String,
    /// The values that are allowed.
    pub allowed: &'static str,
}

impl StrategyError {
    /// Creates an error for a parameter with the value `value`.
    pub fn new(
        strategy: &'static str,
        parameter: &'static str,
        value: impl fmt::Display,
        allowed: &'static str,
    ) -> Self {
        Self { strategy, parameter, value: value.to_string(), allowed }
    }

    /// Returns why a strategy cannot be used with tracking off.
    pub fn untracked(strategy: &'static str) -> Self {
        Self::new(strategy, "tracking", "off", "on, since it picks by what is tracked")
    }

    /// Returns why a strategy that routes keys cannot be used by actors with state that moves with its keys.
    pub fn moves_keys(strategy: &'static str) -> Self {
        Self::new(
            strategy,
            "routing of keys",
            "on",
            "off, since the actors keep state that moves with its keys; use another strategy",
        )
    }

    /// Fails with the error of a parameter unless its value is `within` bounds.
    pub(crate) fn unless(
        within: bool,
        strategy: &'static str,
        parameter: &'static str,
        value: impl fmt::Display,
        allowed: &'static str,
    ) -> Result<(), Self> {
        if within { Ok(()) } else { Err(Self::new(strategy, parameter, value, allowed)) }
    }
}
