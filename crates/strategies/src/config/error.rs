use std::fmt;

use thiserror::Error;

/// A setting has a value that is not allowed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{setting} is `{value}`, allowed is {allowed}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting's key, or the name of its environment variable.
    pub setting: String,
    /// Its value, as it was written.
    pub value: String,
    /// The values that are allowed.
    pub allowed: String,
}

impl ConfigError {
    pub(super) fn new(setting: &str, value: impl fmt::Display, allowed: &str) -> Self {
        Self { setting: setting.to_owned(), value: value.to_string(), allowed: allowed.to_owned() }
    }
}
