//! The errors of a trace.

use std::path::PathBuf;

use thiserror::Error;

/// The headers of the known formats.
pub const HEADERS: &str = "`arrival_us,capability,service_us`, `arrival_us,capability,service_us,key` \
                           and `TIMESTAMP,ContextTokens,GeneratedTokens`";

/// A file is not a valid trace.
#[derive(Debug, Error)]
#[error("invalid trace {}", path.display())]
pub struct TraceError {
    /// The file.
    pub path: PathBuf,
    /// The mistake in it.
    #[source]
    pub fault: Fault,
}

/// The first mistake in a trace.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// There is not even a header.
    #[error("the trace is empty: expected a header, one of {headers}", headers = HEADERS)]
    Empty,
    /// There is a header and no request.
    #[error("the trace is empty: expected at least one request after the header")]
    NoRequest,
    /// The header is not a known one.
    #[error(
        "line {line}, column {column}: expected one of the headers {headers}, found `{found}`",
        headers = HEADERS
    )]
    UnknownHeader {
        /// The line, from 1.
        line: u64,
        /// The first column that differs from the most similar header, from 1.
        column: usize,
        /// The first line that is not blank.
        found: String,
    },
    /// A value is malformed, so that it is not certain where it ends.
    #[error("line {line}, column {column}: expected {expected}")]
    Form {
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: usize,
        /// What is allowed.
        expected: String,
    },
    /// A line has too few or too many columns.
    #[error(
        "line {line}, column {column}: expected {} columns ({}), found {found}",
        columns.len(),
        columns.join(",")
    )]
    ColumnCount {
        /// The line, from 1.
        line: u64,
        /// The first column that is missing or superfluous, from 1.
        column: usize,
        /// The columns of the format.
        columns: &'static [&'static str],
        /// The number of columns found.
        found: usize,
    },
    /// A value is not valid in its column.
    #[error("line {line}, column {column} ({name}): expected {expected}, found `{found}`")]
    Value {
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: usize,
        /// The column's name.
        name: &'static str,
        /// What is allowed.
        expected: String,
        /// The value.
        found: String,
    },
}
