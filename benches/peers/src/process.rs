//! Samples in processes of their own, so that none finds what another left behind.

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
    /// It took too long and was ended.
    #[error("had not ended after {0:?} and was killed")]
    Stuck(Duration),
    /// It ended with an error.
    #[error("ended with {0}")]
    Failed(ExitStatus),
    /// What it printed is no sample.
    #[error("printed no sample: {0}")]
    Garbled(serde_json::Error),
    /// The system would not tell of it.
    #[error("could not be watched: {0}")]
    Unwatched(std::io::Error),
}

/// Between two looks whether a process has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Prints what the process that started this one waits for.
pub fn answer<T: Serialize>(sample: &T) {
    println!("{}", serde_json::to_string(sample).expect("figures have names"));
}

/// Starts this program with these arguments.
///
/// # Errors
/// When no process could be started.
pub fn start(arguments: &[String]) -> Result<Child, PeersError> {
    let program = std::env::current_exe().map_err(PeersError::Spawn)?;
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(PeersError::Spawn)
}

/// What the process has answered, which is to be within the limit; later it is ended.
///
/// # Errors
/// Why it has not.
pub fn wait<T: DeserializeOwned>(mut child: Child, limit: Duration) -> Result<T, Lost> {
    let begin = Instant::now();
    let status = loop {
        match child.try_wait().map_err(Lost::Unwatched)? {
            Some(status) => break status,
            None if begin.elapsed() >= limit => {
                child.kill().and_then(|()| child.wait()).map_err(Lost::Unwatched)?;
                return Err(Lost::Stuck(limit));
            }
            None => thread::sleep(LOOK),
        }
    };
    if !status.success() {
        return Err(Lost::Failed(status));
    }
    let mut printed = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut printed).map_err(Lost::Unwatched)?;
    }
    serde_json::from_str(&printed).map_err(Lost::Garbled)
}
