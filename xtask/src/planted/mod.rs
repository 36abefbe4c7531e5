//! Plants bugs in the runtime, and checks that exploring finds each of them.
//!
//! All bugs are in one build: a copy of the workspace, in which an environment variable selects the one
//! that is there. So the sources stay free of them, and a bug whose place has changed is noticed.

mod bugs;

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use xshell::{Shell, cmd};

use crate::tree;
use bugs::{BUGS, Bug};

/// The copy, and the target folder of its build.
const TREE: &str = "target/planted/tree";
const BUILD: &str = "target/planted/build";
/// The variable that names the bug.
const PLANTED: &str = "RADDLE_PLANTED";
/// For how long each is searched for.
const SECONDS: u32 = 10;
/// What the test says before a failure that exploring has found, and how it was.
const FAILED: &str = "called `Result::unwrap()` on an `Err` value: ";
const FOUND: &str = "found under seed";
/// The crate that tells which bug is there, and how.
const FACADE: &str = "crates/sync/src/lib.rs";
const PROBE: &str = r#"
/// Returns whether the bug of this name is planted.
#[doc(hidden)]
pub fn planted(bug: &str) -> bool {
    static PLANTED: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("RADDLE_PLANTED").ok());
    PLANTED.as_deref() == Some(bug)
}
"#;

/// Searches for each bug, and for none.
///
/// # Errors
/// When a bug is not found in time, is found for another reason, or something is found where there is
/// no bug.
pub(crate) fn run(shell: &Shell) -> Result<(), Box<dyn Error>> {
    tree::copy(shell, TREE, with_bugs)?;
    let program = build(shell)?;
    let (found, text) = explore(&program, None)?;
    if let Some(seconds) = found {
        return Err(format!("without a bug, after {seconds:.1} s:\n{text}").into());
    }
    println!("nothing is found without a bug");
    let mut missed = Vec::new();
    for Bug { name, what, .. } in &BUGS {
        let (ended, text) = explore(&program, Some(name))?;
        let failure = text.lines().find_map(|line| line.strip_prefix(FAILED));
        let how = text.lines().find(|line| line.starts_with(FOUND));
        match (ended, failure.zip(how)) {
            (Some(seconds), Some((failure, how))) => {
                println!("{name} ({what}), after {seconds:.1} s:\n  {failure}\n  {how}");
            }
            (Some(_), _) => missed.push(format!("{name}: the test fails otherwise:\n{text}")),
            (None, _) => missed.push(format!("{name} is not found in {SECONDS} s")),
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(missed.join("\n").into()) }
}

/// The content of a file, with the bugs that belong there.
fn with_bugs(path: &str, content: Vec<u8>) -> Result<Vec<u8>, Box<dyn Error>> {
    let here: Vec<_> = BUGS.iter().filter(|bug| bug.file == path).collect();
    if here.is_empty() && path != FACADE {
        return Ok(content);
    }
    let mut text = String::from_utf8(content)?;
    for Bug { name, correct, wrong, .. } in here {
        if text.matches(correct).count() != 1 {
            return Err(format!("{path}: {name} belongs where exactly one `{correct}` is").into());
        }
        let planted = format!("raddle_sync::planted(\"{name}\")");
        text = text.replace(correct, &wrong.replace("PLANTED", &planted));
    }
    if path == FACADE {
        text.push_str(PROBE);
    }
    Ok(text.into_bytes())
}

/// Builds the test that explores.
fn build(shell: &Shell) -> Result<PathBuf, Box<dyn Error>> {
    let build = shell.current_dir().join(BUILD);
    let _folder = shell.push_dir(TREE);
    let test = ["-praddle-runtime", "--features=test", "--test=explored", "--no-run"];
    let command = cmd!(shell, "cargo test {test...} --message-format=json");
    let messages = command.env("CARGO_TARGET_DIR", build).quiet().read()?;
    for message in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(message)?;
        if let (Some("explored"), Some(program)) =
            (message["target"]["name"].as_str(), message["executable"].as_str())
        {
            return Ok(program.into());
        }
    }
    Err("the build has no program of the test `explored`".into())
}

/// Explores. Returns after how many seconds something was found, and what the test says.
fn explore(program: &PathBuf, bug: Option<&str>) -> Result<(Option<f64>, String), Box<dyn Error>> {
    let begun = Instant::now();
    let mut command = Command::new(program);
    command.args(["--exact", "what_a_pool_promises_holds_in_every_run"]);
    command.env("RADDLE_EXPLORE_SECONDS", SECONDS.to_string()).env("RUST_BACKTRACE", "0");
    if let Some(bug) = bug {
        command.env(PLANTED, bug);
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(((!output.status.success()).then(|| begun.elapsed().as_secs_f64()), text))
}
