//! Takes each sample in its own process, so that none is affected by an earlier one.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::error::PeersError;

/// Why there is no sample.
#[derive(Debug, Error)]
pub enum Lost {
    /// It took too long and was killed.
    #[error("was killed, because it took longer than {0:?}")]
    Stuck(Duration),
    /// It failed.
    #[error("failed with {0}")]
    Failed(ExitStatus),
    /// It printed no sample.
    #[error("printed no sample: {0}")]
    Garbled(serde_json::Error),
    /// Its state is unknown.
    #[error("could not be waited for: {0}")]
    Unknown(std::io::Error),
}

/// The interval between checks whether a process has ended.
const CHECK: Duration = Duration::from_millis(10);

/// Prints a sample for the process that started this one.
pub fn answer<T: Serialize>(sample: &T) {
    println!("{}", serde_json::to_string(sample).expect("a sample can be written as JSON"));
}

/// Starts this program with these arguments.
///
/// # Errors
/// If no process can be started.
pub fn start(arguments: &[String]) -> Result<Child, PeersError> {
    let program = std::env::current_exe().map_err(PeersError::Spawn)?;
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(PeersError::Spawn)
}

/// Waits for the sample of a process, which is killed after `limit`.
///
/// # Errors
/// If there is no sample.
pub fn wait<T: DeserializeOwned>(mut child: Child, limit: Duration) -> Result<T, Lost> {
    let begin = Instant::now();
    let status = loop {
        match child.try_wait().map_err(Lost::Unknown)? {
            Some(status) => break status,
            None if begin.elapsed() >= limit => {
                child.kill().and_then(|()| child.wait()).map_err(Lost::Unknown)?;
                return Err(Lost::Stuck(limit));
            }
            None => thread::sleep(CHECK),
        }
    };
    if !status.success() {
        return Err(Lost::Failed(status));
    }
    let mut printed = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut printed).map_err(Lost::Unknown)?;
    }
    serde_json::from_str(&printed).map_err(Lost::Garbled)
}
