//! Fuzzes everything that parses user input.
//!
//! The stable compiler is enough: libFuzzer's counters are ordinary options of code generation. Its
//! sanitizers would need a nightly compiler, but there is no `unsafe` code for them to check.

use std::error::Error;

use std::path::PathBuf;

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

/// Checks that every target is fuzzed and compiles, with the planted bugs and without, from the
/// committed versions of its dependencies.
///
/// # Errors
/// When a target is missing from the list, or does not pass rustfmt or clippy.
pub(crate) fn lint(shell: &Shell) -> Result<(), Box<dyn Error>> {
    check_targets(&shell.read_dir("fuzz/targets")?)?;
    let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
    cmd!(shell, "cargo fmt {manifest...} --check").run()?;
    for features in [&[][..], &["--features", "planted"]] {
        let lint = cmd!(shell, "cargo clippy --locked {manifest...} --bins {features...}");
        lint.args(["--", "--deny", "warnings"]).run()?;
    }
    Ok(())
}

/// Checks that these are the files of [`TARGETS`].
fn check_targets(files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let names: Vec<_> = files
        .iter()
        .filter_map(|file| file.file_stem())
        .map(|name| name.to_string_lossy())
        .collect();
    if let Some(name) = names.iter().find(|name| TARGETS.iter().all(|(target, _)| target != *name))
    {
        return Err(format!("fuzz/targets/{name}.rs is not in xtask/src/fuzz.rs").into());
    }
    match TARGETS.iter().find(|(target, _)| names.iter().all(|name| name != target)) {
        Some((target, _)) => Err(format!("fuzz/targets/{target}.rs is missing").into()),
        None => Ok(()),
    }
}

/// Runs each target for `seconds`, after the planted bugs have been found.
///
/// # Errors
/// When a planted bug is not found, a target has a finding, or one has run no input.
pub(crate) fn run(shell: &Shell, seconds: u64) -> Result<(), Box<dyn Error>> {
    check_targets(&shell.read_dir("fuzz/targets")?)?;
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
        let count: u64 = count.trim().parse()?;
        if count <= seeds_of(shell, seeds)? {
            return Err(
                format!("{target}: the fuzzer has run {count} inputs, only the seeds").into()
            );
        }
        println!("{target}: {count} inputs in {seconds} s, no finding");
    }
    Ok(())
}

fn seeds_of(shell: &Shell, folder: &str) -> Result<u64, Box<dyn Error>> {
    match shell.read_dir(folder)?.len() as u64 {
        0 => Err(format!("{folder} has no seeds").into()),
        seeds => Ok(seeds),
    }
}

fn fuzz<'s>(shell: &'s Shell, target: &str, options: &[&str]) -> Cmd<'s> {
    cmd!(shell, "cargo fuzz run --sanitizer none {options...} {target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_fuzzed() {
        let files = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().map(|name| format!("fuzz/targets/{name}.rs").into()).collect()
        };
        let mut names = TARGETS.map(|(target, _)| target).to_vec();
        assert!(check_targets(&files(&names)).is_ok());
        names.push("forgotten");
        let error = check_targets(&files(&names)).unwrap_err().to_string();
        assert_eq!(error, "fuzz/targets/forgotten.rs is not in xtask/src/fuzz.rs");
        names.pop();
        let error = check_targets(&files(&names[1..])).unwrap_err().to_string();
        assert_eq!(error, "fuzz/targets/trace.rs is missing");
    }
}
