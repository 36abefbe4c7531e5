//! What can be wrong with a trace.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a trace could not be loaded.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The file could not be read.
    #[error("cannot read the trace {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the file holds is not a trace.
    #[error("{}: {fault}", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        fault: Fault,
    },
}

/// What is wrong inside a trace, whatever file it came from.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// Nothing in it, not even a header.
    #[error("the trace is empty: expected a header, one of {headers}", headers = super::HEADERS)]
    Empty,
    /// A header and no request.
    #[error("the trace is empty: expected at least one request after the header")]
    NoRequest,
    /// A header of neither kind.
    #[error("line 1: expected one of the headers {headers}, found `{found}`", headers = super::HEADERS)]
    UnknownHeader {
        /// The first line.
        found: String,
    },
    /// A line with too few or too many columns.
    #[error("line {line}, column {column}: expected {expected} columns ({header}), found {found}")]
    ColumnCount {
        /// Where.
        line: u64,
        /// The first column that is missing or not expected.
        column: usize,
        /// How many there should be.
        expected: usize,
        /// Their names.
        header: &'static str,
        /// How many there are.
        found: usize,
    },
    /// A value that is not what its column holds.
    #[error("line {line}, column {column} ({name}): expected {expected}, found `{found}`")]
    Value {
        /// Where.
        line: u64,
        /// The column, from 1.
        column: usize,
        /// The column's name.
        name: &'static str,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
}
