//! The errors of a trace.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The headers of the known formats.
pub const HEADERS: &str = "`arrival_us,capability,service_us`, `arrival_us,capability,service_us,key` \
                           and `TIMESTAMP,ContextTokens,GeneratedTokens`";

/// Why a trace could not be loaded.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The file could not be read.
    #[error("cannot read the trace {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not a valid trace.
    #[error("invalid trace {}", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// The mistake in it.
        #[source]
        fault: Fault,
    },
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
    #[error("line 1: expected one of the headers {headers}, found `{found}`", headers = HEADERS)]
    UnknownHeader {
        /// The first line.
        found: String,
    },
    /// A line has too few or too many columns.
    #[error("line {line}, column {column}: expected {expected} columns ({header}), found {found}")]
    ColumnCount {
        /// The line, from 1.
        line: u64,
        /// The first column that is missing or superfluous, from 1.
        column: usize,
        /// The number of columns of the format.
        expected: usize,
        /// Their names, joined by commas.
        header: &'static str,
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
