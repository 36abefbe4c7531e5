//! Runs cargo-mutants on core and strategies. Each mutant must fail a test of its own package, or
//! be excluded in `.cargo/mutants.toml` with a reason.

use std::collections::BTreeMap;
use std::error::Error;

use xshell::{Shell, cmd};

use crate::tools;

/// Outcomes that are final. Each outcome has a list in `target/mutants.out`.
const KNOWN: [&str; 2] = ["caught", "unviable"];
/// Outcomes after which the mutant is run again, with all tests.
const OPEN: [&str; 2] = ["missed", "timeout"];

/// For each file, the number of mutants by outcome.
type Files = BTreeMap<String, BTreeMap<&'static str, usize>>;

/// Runs cargo-mutants and prints a table of its lists, by file.
///
/// The first run uses the unit tests only, which are built in a second and catch most mutants. The
/// second runs the rest with all tests but those in the documentation, each of which is a program
/// to link and catches nothing more.
///
/// # Errors
/// When a mutant survives or takes too long, or the options select none.
pub(crate) fn run(shell: &Shell, options: &[String]) -> Result<(), Box<dyn Error>> {
    tools::install(shell, "mutants")?;
    let packages = ["-p", "raddle-core", "-p", "raddle-strategies"];
    let mutants = |tests: &[&str]| {
        cmd!(shell, "cargo mutants --output target {packages...} {tests...} {options...}")
    };
    let mut files = Files::new();
    shell.remove_path("target/mutants.out")?;
    // Fails when mutants are left, which the next run is for.
    mutants(&["--cargo-arg=--lib"]).ignore_status().run()?;
    count(shell, &KNOWN, &mut files)?;
    let all = mutants(&["--iterate", "--cargo-arg=--lib", "--cargo-arg=--tests"]).run();
    count(shell, &KNOWN, &mut files)?;
    count(shell, &OPEN, &mut files)?;
    if files.is_empty() {
        return Err("no mutant was run".into());
    }
    println!("| file | mutants | caught | survived | too slow | do not compile |");
    println!("|---|---|---|---|---|---|");
    for (file, outcomes) in files {
        let [caught, missed, timeout, unviable] = ["caught", "missed", "timeout", "unviable"]
            .map(|outcome| outcomes.get(outcome).copied().unwrap_or_default());
        let sum = caught + missed + timeout + unviable;
        println!("| {file} | {sum} | {caught} | {missed} | {timeout} | {unviable} |");
    }
    Ok(all?)
}

/// Counts the mutants of the last run with one of these outcomes.
fn count(
    shell: &Shell,
    outcomes: &[&'static str],
    files: &mut Files,
) -> Result<(), Box<dyn Error>> {
    for outcome in outcomes {
        for mutant in shell.read_file(format!("target/mutants.out/{outcome}.txt"))?.lines() {
            let file = mutant.split(':').next().unwrap_or_default();
            *files.entry(file.to_owned()).or_default().entry(outcome).or_default() += 1;
        }
    }
    Ok(())
}
