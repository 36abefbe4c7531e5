//! The loom models: runs them, and prints what each explored. How many executions a model has is held
//! against a committed count, so that one which collapses, or is not run any more, is noticed.

mod executions;
mod report;
mod table;

use std::error::Error;

use xshell::{Shell, cmd};

use crate::document;
use executions::Executions;

/// Runs every model; with `deep`, the slow one too, and all others with three preemptions an execution.
/// `update` commits the executions, and without `deep` the table, instead of checking them.
///
/// # Errors
/// When a model fails, a twin does not, or the executions are not the committed ones.
pub(crate) fn run(shell: &Shell, deep: bool, update: bool) -> Result<(), Box<dyn Error>> {
    let path = shell.current_dir().join("target/loom/report.tsv");
    shell.create_dir("target/loom")?;
    shell.remove_path(&path)?;
    let tests = ["test", "--profile", "loom", "--package", "raddle-loom-tests", "--no-fail-fast"];
    let slow = deep.then_some("--include-ignored");
    let mut command = crate::with_loom(cmd!(shell, "cargo {tests...} -- --nocapture {slow...}"))
        .env("RADDLE_LOOM_REPORT", &path);
    if deep {
        command = command.env("LOOM_MAX_PREEMPTIONS", "3");
    }
    let passed = command.run();
    let models = report::read(&shell.read_file(&path)?)?;
    table::print(&models);
    passed?;
    let committed =
        if deep { "loom-tests/executions-deep.csv" } else { "loom-tests/executions.csv" };
    if update {
        shell.write_file(committed, Executions::of(&models).to_string())?;
        if !deep {
            let (path, table) = (document::PATH, table::of(&models));
            let document = document::replaced(&shell.read_file(path)?, "loom", &table);
            shell.write_file(path, document.ok_or("the document has no place for a table")?)?;
        }
        println!("\nwritten to {committed}");
        return Ok(());
    }
    let expected: Executions = shell.read_file(committed)?.parse()?;
    let differences = expected.differences(&Executions::of(&models));
    if differences.is_empty() {
        return Ok(());
    }
    let deep = if deep { " --deep" } else { "" };
    Err(format!(
        "not as in {committed}:\n  {}\nwhere that is meant, `cargo xtask loom{deep} --update`",
        differences.join("\n  ")
    )
    .into())
}
