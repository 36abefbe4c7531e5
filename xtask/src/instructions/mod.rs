//! The instructions of each step of a task's way, counted by callgrind and held against a baseline
//! that is committed.
//!
//! Times vary by half between runs on a shared machine, counts do not. They say what the compiler
//! made of the code and nothing of caches, branches and waiting: for those there are the benches.

mod baseline;
mod callgrind;
mod verdict;

use std::error::Error;

use xshell::{Shell, cmd};

use baseline::Baseline;
use callgrind::Count;
use verdict::Verdict;

/// Counts, and prints each step beside its baseline; or makes the counts the baseline.
///
/// # Errors
/// When valgrind is missing, a step takes more than it did, or the steps are not the baseline's.
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
        println!(
            "\nThe baseline is of {}, this is {compiler}: counts differ between compilers, so that \
             nothing fails. `cargo xtask instructions --update` takes a baseline here.",
            baseline.compiler
        );
        return Ok(());
    }
    if verdicts.iter().any(Verdict::is_better) {
        println!("\nSome steps take less than the baseline: `cargo xtask instructions --update`.");
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = wrong.iter().map(|verdict| verdict.step.as_str()).collect();
    Err(format!(
        "not as in {}: {}; where that is meant, `cargo xtask instructions --update`",
        Baseline::PATH,
        names.join(", ")
    )
    .into())
}

fn print_table(verdicts: &[Verdict]) {
    println!("{:<32} {:>8} {:>8} {:>7}", "instructions a step", "count", "baseline", "change");
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
}

/// The compiler's version and target.
fn compiler(shell: &Shell) -> xshell::Result<String> {
    let told = cmd!(shell, "rustc --version --verbose").quiet().read()?;
    let of = |field| told.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("?").trim();
    Ok(format!("rustc {} {}", of("release:"), of("host:")))
}
