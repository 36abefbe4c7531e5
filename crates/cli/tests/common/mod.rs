//! What the tests of the program share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The header of raddle's own trace.
pub const HEADER: &str = "arrival_us,capability,service_us\n";

/// Runs the program.
pub fn raddle(arguments: &[&str]) -> Output {
    Command::cargo_bin("raddle").unwrap().args(arguments).output().unwrap()
}

/// Decodes output.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs the program, which must print only an error and exit with code 2; returns the error.
pub fn refused(arguments: &[&str]) -> String {
    let output = raddle(arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    error
}

/// Writes a trace.
pub fn trace(folder: &TempDir, content: &str) -> PathBuf {
    let path = folder.path().join("trace.csv");
    fs::write(&path, content).unwrap();
    path
}

/// Reads a report.
pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
