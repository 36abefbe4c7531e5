//! Mutants of core and strategies: each must fail a test of its own package, or be excluded in
//! `.cargo/mutants.toml`, which says why.

use std::collections::BTreeMap;
use std::error::Error;

use xshell::{Shell, cmd};

use crate::tools;

/// What can become of a mutant that is not looked at again: each has a list in `target/mutants.out`.
const KNOWN: [&str; 2] = ["caught", "unviable"];
/// And of one that is, unless those were all tests.
const OPEN: [&str; 2] = ["missed", "timeout"];

/// How many of each file came to which end.
type Files = BTreeMap<String, BTreeMap<&'static str, usize>>;

/// Runs cargo-mutants and prints a table of its lists, by file.
///
/// First with the unit tests alone, which are built in a second and find most, then the rest with all
/// tests. Those in docs are left out: each is a program to be linked, and none tells more.
///
/// # Errors
/// When a mutant survives, or takes too long.
pub fn run(shell: &Shell, options: &[String]) -> Result<(), Box<dyn Error>> {
    tools::need(shell, "mutants")?;
    let packages = ["-p", "raddle-core", "-p", "raddle-strategies"];
    let mutants = |tests: &[&str]| {
        cmd!(shell, "cargo mutants --output target {packages...} {tests...} {options...}")
    };
    let mut files = Files::new();
    shell.remove_path("target/mutants.out")?;
    // The status tells whether one is open, which the next run is for.
    mutants(&["--cargo-arg=--lib"]).ignore_status().run()?;
    count(shell, &KNOWN, &mut files)?;
    let all = mutants(&["--iterate", "--cargo-arg=--lib", "--cargo-arg=--tests"]).run();
    count(shell, &KNOWN, &mut files)?;
    count(shell, &OPEN, &mut files)?;
    println!("| file | mutants | caught | survived | too slow | do not compile |");
    println!("|---|---|---|---|---|---|");
    for (file, ends) in files {
        let [caught, missed, timeout, unviable] = ["caught", "missed", "timeout", "unviable"]
            .map(|end| ends.get(end).copied().unwrap_or_default());
        let sum = caught + missed + timeout + unviable;
        println!("| {file} | {sum} | {caught} | {missed} | {timeout} | {unviable} |");
    }
    Ok(all?)
}

/// Counts the mutants of the last run that came to one of these ends.
fn count(shell: &Shell, ends: &[&'static str], files: &mut Files) -> Result<(), Box<dyn Error>> {
    for end in ends {
        for mutant in shell.read_file(format!("target/mutants.out/{end}.txt"))?.lines() {
            let file = mutant.split(':').next().unwrap_or_default();
            *files.entry(file.to_owned()).or_default().entry(end).or_default() += 1;
        }
    }
    Ok(())
}
