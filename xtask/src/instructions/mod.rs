//! Counts the instructions of each step of a task's path with callgrind, and compares them with a
//! committed baseline.
//!
//! On a shared machine times vary by half between runs, but counts do not. They show what the
//! compiler generated, and nothing about caches, branches and waiting, which the benches measure.

mod baseline;
mod callgrind;
mod verdict;

use std::error::Error;

use xshell::{Shell, cmd};

use baseline::Baseline;
use callgrind::Count;
use verdict::Verdict;

/// Prints the count of each step beside its baseline, or makes the counts the baseline.
///
/// # Errors
/// When valgrind is missing, the baseline is of another compiler, a step takes more instructions
/// than its baseline, or a step is new or missing.
pub(crate) fn run(shell: &Shell, update: bool) -> Result<(), Box<dyn Error>> {
    let compiler = compiler(shell)?;
    let counts = callgrind::count(shell)?;
    if update {
        let baseline = Baseline::new(compiler, &counts);
        shell.write_file(Baseline::PATH, baseline.to_string())?;
        println!("{} steps written to {}", counts.len(), Baseline::PATH);
        return Ok(());
    }
    let baseline: Baseline = shell.read_file(Baseline::PATH)?.parse()?;
    let verdicts = verdict::of_all(&counts, &baseline);
    print_table(&verdicts);
    let wrong: Vec<_> = verdicts.iter().filter(|verdict| verdict.is_wrong()).collect();
    if baseline.compiler != compiler {
        return Err(format!(
            "nothing was checked: {} is of {}, this is {compiler}, and counts differ between \
             compilers. `cargo xtask instructions --update` makes these the baseline",
            Baseline::PATH,
            baseline.compiler
        )
        .into());
    }
    if verdicts.iter().any(Verdict::is_better) {
        println!("\nSome steps take fewer instructions: `cargo xtask instructions --update`.");
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = wrong.iter().map(|verdict| verdict.step.as_str()).collect();
    Err(format!(
        "differs from {}: {}. If this is intended: `cargo xtask instructions --update`",
        Baseline::PATH,
        names.join(", ")
    )
    .into())
}

fn print_table(verdicts: &[Verdict]) {
    println!("{:<32} {:>8} {:>8} {:>7}", "instructions per step", "count", "baseline", "change");
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
}

/// Returns the compiler's version and target.
fn compiler(shell: &Shell) -> xshell::Result<String> {
    let output = cmd!(shell, "rustc --version --verbose").quiet().read()?;
    let of = |field| output.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("?").trim();
    Ok(format!("rustc {} {}", of("release:"), of("host:")))
}
