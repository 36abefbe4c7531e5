//! Fuzzing whatever reads text of users, on the stable compiler: libFuzzer's counters are plain
//! options of code generation; only its sanitizers would need another compiler, and there is no
//! `unsafe` for them to look at.

use std::error::Error;

use xshell::{Cmd, Shell, cmd};

use crate::tools;

/// Each target, and where its first texts are.
const TARGETS: [(&str, &str); 4] = [
    ("trace", "fuzz/seeds/trace"),
    ("config", "fuzz/seeds/config"),
    ("workers", "fuzz/seeds/workers"),
    ("scenario", "docs/scenarios"),
];

/// The targets that have a planted bug, and what is said when it is found.
const PLANTED: [(&str, &str); 2] = [("trace", "not there: "), ("workers", "as it is shown")];

/// Tries each target for so many seconds, having found the planted bugs.
pub fn run(shell: &Shell, seconds: u64) -> Result<(), Box<dyn Error>> {
    tools::need(shell, "fuzz")?;
    for (target, words) in PLANTED {
        // The corpus of the real target would have to be searched for it; the seeds are enough.
        let corpus = shell.create_temp_dir()?;
        let found = fuzz(shell, target, &["--features", "planted"])
            .args([corpus.path(), format!("fuzz/seeds/{target}").as_ref()])
            .args(["--", "-max_total_time=300", "-max_len=2000"])
            .arg(format!("-artifact_prefix={}/", corpus.path().display()))
            .ignore_status()
            .output()?;
        let said = String::from_utf8_lossy(&found.stderr);
        let line = said.lines().find(|line| line.contains(words));
        let line =
            line.ok_or_else(|| format!("the bug planted in {target} was not found: {said}"))?;
        println!("{target}: the planted bug is found ({})", line.trim());
    }
    for (target, seeds) in TARGETS {
        let corpus = format!("fuzz/corpus/{target}");
        shell.create_dir(&corpus)?;
        let tried = fuzz(shell, target, &[])
            .args([&corpus, seeds])
            .args(["--", "-max_len=4000", "-print_final_stats=1"])
            .arg(format!("-max_total_time={seconds}"))
            .ignore_status()
            .output()?;
        let said = String::from_utf8_lossy(&tried.stderr);
        if !tried.status.success() {
            return Err(format!("{said}\n{target} has a finding").into());
        }
        let count =
            said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let count = count.ok_or("the fuzzer does not say how many texts it tried")?;
        println!("{target}: {} texts in {seconds} s and no finding", count.trim());
    }
    Ok(())
}

fn fuzz<'s>(shell: &'s Shell, target: &str, options: &[&str]) -> Cmd<'s> {
    cmd!(shell, "cargo fuzz run --sanitizer none {options...} {target}")
}
