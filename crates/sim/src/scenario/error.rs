use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::WorkersError;

/// An error in loading a scenario file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read the scenario {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file does not contain a scenario.
    #[error("{} is not a scenario", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ParseError,
    },
}

/// An error in the TOML of a scenario.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ParseError {
    /// The text is not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// An unknown key.
    #[error("line {line}: unknown key `{key}`, expected one of {known}")]
    Unknown {
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The keys known in the same table.
        known: String,
    },
    /// A required key is missing.
    #[error("line {line}: {key} is missing, allowed is {allowed}")]
    Missing {
        /// The line on which its table starts, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The allowed values.
        allowed: String,
    },
    /// A value that is not allowed.
    #[error("line {line}: {key} is `{value}`, allowed is {allowed}")]
    Value {
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// The allowed values.
        allowed: String,
    },
    /// An error in the text of `workers`.
    #[error("line {line}: invalid workers")]
    Workers {
        /// The line, from 1.
        line: usize,
        /// The cause.
        source: WorkersError,
    },
}
