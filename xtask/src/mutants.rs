//! Mutants of core and strategies: each must fail a test of its own package, or be excluded in
//! `.cargo/mutants.toml`, which says why.

use std::collections::BTreeMap;
use std::error::Error;

use xshell::{Shell, cmd};

use crate::tools;

/// What can become of a mutant: each has a list in `target/mutants.out`.
const ENDS: [&str; 4] = ["caught", "missed", "timeout", "unviable"];

/// Runs cargo-mutants and prints a table of its lists, by file.
pub fn run(shell: &Shell, options: &[String]) -> Result<(), Box<dyn Error>> {
    tools::need(shell, "mutants")?;
    let packages = ["-p", "raddle-core", "-p", "raddle-strategies"];
    let tested = cmd!(shell, "cargo mutants --output target {packages...} {options...}").run();
    let mut files: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    for (number, end) in ENDS.iter().enumerate() {
        for mutant in shell.read_file(format!("target/mutants.out/{end}.txt"))?.lines() {
            let file = mutant.split(':').next().unwrap_or_default();
            files.entry(file.to_owned()).or_default()[number] += 1;
        }
    }
    println!("| file | mutants | caught | survived | too slow | do not compile |");
    println!("|---|---|---|---|---|---|");
    for (file, [caught, missed, timeout, unviable]) in files {
        let all = caught + missed + timeout + unviable;
        println!("| {file} | {all} | {caught} | {missed} | {timeout} | {unviable} |");
    }
    // It fails when one survived, or took too long.
    tested?;
    Ok(())
}
