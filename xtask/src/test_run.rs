//! Runs test commands so that no test is left out unnoticed.

use std::error::Error;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use xshell::Cmd;

/// The tests that a command left out, each with its reason.
pub(crate) type Skipped = Vec<String>;

/// Runs a test command, whose output is shown, and returns the tests that were ignored, and those
/// that said on standard error that they could not run.
///
/// # Errors
/// When a test fails, or none was run.
pub(crate) fn run(command: Cmd<'_>) -> Result<Skipped, Box<dyn Error>> {
    run_programs(command, 1)
}

/// Runs a test command as [`run`] does, of which at least `programs` test programs must have a test:
/// a file that is compiled to nothing, under a condition that does not hold, would pass.
///
/// # Errors
/// When a test fails, or fewer programs have a test.
pub(crate) fn run_programs(command: Cmd<'_>, programs: usize) -> Result<Skipped, Box<dyn Error>> {
    eprintln!("$ {command}");
    run_showing(command, programs, io::stdout(), io::stderr())
}

/// Shows what the command writes on `out` and `err`.
fn run_showing(
    command: Cmd<'_>,
    programs: usize,
    out: impl Write,
    err: impl Write + Send,
) -> Result<Skipped, Box<dyn Error>> {
    let name = command.to_string();
    let mut command = Command::from(command);
    // Cargo itself sees a pipe.
    if io::stderr().is_terminal() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("the output is not piped")?;
    let errors = child.stderr.take().ok_or("the errors are not piped")?;
    let (tally, of_errors) = thread::scope(|scope| {
        let of_errors = scope.spawn(|| Tally::of(errors, err));
        (Tally::of(output, out), of_errors.join())
    });
    let mut tally = tally?;
    tally.skipped.extend(of_errors.map_err(|_| "reading the errors panicked")??.skipped);
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("`{name}` failed: {status}").into());
    }
    if tally.programs < programs {
        let found = tally.programs;
        let expected = format!("expected {programs} test programs with a test, found {found}");
        return Err(format!("`{name}`: {expected}").into());
    }
    Ok(tally.skipped)
}

/// What a test that cannot run writes to standard error, before its name and the reason.
const SKIPPED: &str = "SKIPPED: ";

/// What the output of test programs says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// The number of programs in which a test passed.
    programs: usize,
    skipped: Skipped,
}

impl Tally {
    /// Reads what test programs write, and shows it.
    fn of(from: impl Read, mut to: impl Write) -> io::Result<Self> {
        let mut tally = Self::default();
        for line in BufReader::new(from).split(b'\n') {
            let line = line?;
            to.write_all(&line)?;
            to.write_all(b"\n")?;
            tally.read(&String::from_utf8_lossy(&line));
        }
        Ok(tally)
    }

    fn read(&mut self, line: &str) {
        if let Some((_, test)) = line.split_once(SKIPPED) {
            self.skipped.push(test.to_owned());
        } else if let Some(counts) = line.strip_prefix("test result: ok. ") {
            self.programs += usize::from(!counts.starts_with("0 passed"));
        } else if let Some((test, reason)) =
            line.strip_prefix("test ").and_then(|line| line.split_once(" ... ignored"))
        {
            self.skipped.push(format!("{test}{reason}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use xshell::{Shell, cmd};

    use super::*;

    /// Runs a script in place of a test command, without showing what it writes.
    fn ran(script: &str, programs: usize) -> Result<Skipped, Box<dyn Error>> {
        let shell = Shell::new()?;
        run_showing(cmd!(shell, "sh -c {script}"), programs, io::sink(), io::sink())
    }

    #[test]
    fn a_command_that_runs_no_test_fails() {
        let error = ran("echo 'test result: ok. 0 passed; 2 filtered out'", 1).unwrap_err();
        let expected = "expected 1 test programs with a test, found 0";
        assert!(error.to_string().ends_with(expected), "{error}");
        let one = "echo 'test result: ok. 3 passed; 0 failed'";
        assert_eq!(ran(one, 1).unwrap(), Skipped::new());
        assert!(ran(one, 2).is_err());
    }

    #[test]
    fn a_test_that_could_not_run_is_listed() {
        let script = "echo SKIPPED: opens: no browser >&2; echo 'test result: ok. 1 passed'";
        assert_eq!(ran(script, 1).unwrap(), ["opens: no browser"]);
    }

    #[test]
    fn the_output_of_test_programs_is_tallied() {
        let output = "running 3 tests\n\
                      test a ... ok\n\
                      test b ... ignored, slow: `cargo xtask loom --deep`\n\
                      test c - d (line 7) ... ignored\n\
                      test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured\n\
                      test result: ok. 41 passed; 0 failed; 0 ignored; 0 measured\n\
                      running 0 tests\n\
                      test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n\
                      running 1 test\n\
                      test e ... SKIPPED: e: no browser\n\
                      ok\n";
        let mut shown = Vec::new();
        let tally = Tally::of(output.as_bytes(), &mut shown).unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), output);
        let skipped = ["b, slow: `cargo xtask loom --deep`", "c - d (line 7)", "e: no browser"];
        assert_eq!(tally, Tally { programs: 2, skipped: skipped.map(String::from).into() });
    }
}
