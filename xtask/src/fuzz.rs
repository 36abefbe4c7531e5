//! Fuzzes everything that parses user input.
//!
//! The stable compiler is enough: libFuzzer's counters are ordinary options of code generation. Its
//! sanitizers would need a nightly compiler, but there is no `unsafe` code for them to check.

use std::error::Error;

use xshell::{Cmd, Shell, cmd};

use crate::tools;

/// Each target and its seed corpus.
const TARGETS: [(&str, &str); 4] = [
    ("trace", "fuzz/seeds/trace"),
    ("config", "fuzz/seeds/config"),
    ("workers", "fuzz/seeds/workers"),
    ("scenario", "docs/scenarios"),
];

/// Targets with a planted bug, and a part of the message that reports it.
const PLANTED: [(&str, &str); 2] =
    [("trace", "not at the stated position: "), ("workers", "round trip")];

/// Runs each target for `seconds`, after the planted bugs have been found.
///
/// # Errors
/// When a planted bug is not found, or a target has a finding.
pub(crate) fn run(shell: &Shell, seconds: u64) -> Result<(), Box<dyn Error>> {
    tools::install(shell, "fuzz")?;
    for (target, message) in PLANTED {
        // The seeds are enough to find it; the real target's corpus would only take longer.
        let corpus = shell.create_temp_dir()?;
        let found = fuzz(shell, target, &["--features", "planted"])
            .args([corpus.path(), format!("fuzz/seeds/{target}").as_ref()])
            .args(["--", "-max_total_time=300", "-max_len=2000"])
            .arg(format!("-artifact_prefix={}/", corpus.path().display()))
            .ignore_status()
            .output()?;
        let output = String::from_utf8_lossy(&found.stderr);
        let line = output.lines().find(|line| line.contains(message));
        let line =
            line.ok_or_else(|| format!("the bug planted in {target} was not found: {output}"))?;
        println!("{target}: found the planted bug ({})", line.trim());
    }
    for (target, seeds) in TARGETS {
        let corpus = format!("fuzz/corpus/{target}");
        shell.create_dir(&corpus)?;
        let result = fuzz(shell, target, &[])
            .args([&corpus, seeds])
            .args(["--", "-max_len=4000", "-print_final_stats=1"])
            .arg(format!("-max_total_time={seconds}"))
            .ignore_status()
            .output()?;
        let output = String::from_utf8_lossy(&result.stderr);
        if !result.status.success() {
            return Err(format!("{output}\n{target} has a finding").into());
        }
        let count =
            output.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let count = count.ok_or("the fuzzer does not print the number of inputs")?;
        println!("{target}: {} inputs in {seconds} s, no finding", count.trim());
    }
    Ok(())
}

fn fuzz<'s>(shell: &'s Shell, target: &str, options: &[&str]) -> Cmd<'s> {
    cmd!(shell, "cargo fuzz run --sanitizer none {options...} {target}")
}
