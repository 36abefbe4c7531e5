//! Runs test commands so that no test is left out unnoticed.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use xshell::Cmd;

/// Runs a test command, whose output is shown, and returns the tests that it ignored.
///
/// # Errors
/// When a test fails, or none was run.
pub(crate) fn run(command: Cmd<'_>) -> Result<Vec<String>, Box<dyn Error>> {
    eprintln!("$ {command}");
    let name = command.to_string();
    let mut child = Command::from(command).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("the output is not piped")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("`{name}` failed: {status}").into());
    }
    if tally.passed == 0 {
        return Err(format!("`{name}` ran no test").into());
    }
    Ok(tally.ignored)
}

/// What the output of test programs says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    /// Each with its reason.
    ignored: Vec<String>,
}

impl Tally {
    fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ok. ") {
            let passed = counts.split(' ').next().and_then(|count| count.parse::<u64>().ok());
            self.passed += passed.unwrap_or_default();
        } else if let Some((test, reason)) =
            line.strip_prefix("test ").and_then(|line| line.split_once(" ... ignored"))
        {
            self.ignored.push(format!("{test}{reason}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_test_programs_is_tallied() {
        let mut tally = Tally::default();
        let output = "running 3 tests\n\
                      test a ... ok\n\
                      test b ... ignored, slow: `cargo xtask loom --deep`\n\
                      test c - d (line 7) ... ignored\n\
                      test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured\n\
                      test result: ok. 41 passed; 0 failed; 0 ignored; 0 measured\n";
        output.lines().for_each(|line| tally.read(line));
        let ignored = ["b, slow: `cargo xtask loom --deep`", "c - d (line 7)"].map(String::from);
        assert_eq!(tally, Tally { passed: 42, ignored: ignored.into() });
    }
}
