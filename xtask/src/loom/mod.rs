//! Runs the loom models and prints how many executions each has. The numbers are compared with a
//! committed file, so that a model that collapses or is no longer run is noticed.

mod executions;
mod report;
mod table;

use std::error::Error;

use xshell::{Shell, cmd};

use crate::checker::with_loom;
use crate::document;
use crate::test_run::{self, Skipped};
use executions::Executions;

/// The numbers of executions of deep runs.
const DEEP: &str = "loom-tests/executions-deep.csv";

/// Runs every model and returns the tests that were skipped. With `deep`, all but one run with
/// three preemptions per execution. `update` writes the numbers of executions,
/// and without `deep` the table, instead of checking them.
///
/// # Errors
/// When a model fails, a twin does not, two have the same name, a file has no model, a number of
/// executions differs. Numbers of deep runs that are out of date are printed: a deep run takes too long
/// to be made with each change.
pub(crate) fn run(shell: &Shell, deep: bool, update: bool) -> Result<Skipped, Box<dyn Error>> {
    let path = shell.current_dir().join("target/loom/report.tsv");
    shell.create_dir("target/loom")?;
    shell.remove_path(&path)?;
    let test = ["test", "--profile", "loom", "--package", "raddle-loom-tests", "--no-fail-fast"];
    let mut command =
        with_loom(cmd!(shell, "cargo {test...} -- --nocapture")).env("RADDLE_LOOM_REPORT", &path);
    if deep {
        command = command.env("LOOM_MAX_PREEMPTIONS", "3");
    }
    let skipped = test_run::run(command);
    let models = report::read(&shell.read_file(&path)?)?;
    table::print(&models);
    let skipped = skipped?;
    report::check_files(&models, &shell.read_dir("loom-tests/tests")?)?;
    let committed = if deep { DEEP } else { "loom-tests/executions.csv" };
    if update {
        shell.write_file(committed, Executions::of(&models).to_string())?;
        if !deep {
            let (path, table) = (document::PATH, table::of(&models));
            let document = document::replaced(&shell.read_file(path)?, "loom", &table);
            shell.write_file(path, document.ok_or("the document has no table to replace")?)?;
        }
        println!("\nwritten to {committed}");
        return Ok(skipped);
    }
    let expected: Executions = shell.read_file(committed)?.parse()?;
    let differences = expected.differences(&Executions::of(&models));
    if !deep {
        let outdated = expected.outdated(&shell.read_file(DEEP)?.parse()?);
        if !outdated.is_empty() {
            let outdated = outdated.join("\n  ");
            println!("\n{DEEP} is older than these models:\n  {outdated}");
            println!("`cargo xtask loom --deep --update`");
        }
    }
    if differences.is_empty() {
        return Ok(skipped);
    }
    let deep = if deep { " --deep" } else { "" };
    Err(format!(
        "differs from {committed}:\n  {}\nIf this is intended: `cargo xtask loom{deep} --update`",
        differences.join("\n  ")
    )
    .into())
}
