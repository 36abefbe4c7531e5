//! What the tests of the program share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The header of raddle's own trace.
pub const HEADER: &str = "arrival_us,capability,service_us\n";

/// Runs it.
pub fn raddle(arguments: &[&str]) -> Output {
    Command::cargo_bin("raddle").unwrap().args(arguments).output().unwrap()
}

/// What it said.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs it, wants exit code 2 and nothing printed but the error, which is returned.
pub fn refused(arguments: &[&str]) -> String {
    let output = raddle(arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    error
}

/// A trace of this content.
pub fn trace(folder: &TempDir, content: &str) -> PathBuf {
    let path = folder.path().join("trace.csv");
    fs::write(&path, content).unwrap();
    path
}

/// A report.
pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
