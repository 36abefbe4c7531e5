//! The loom tests, as programs that run with one ordering weakened.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::sites::Ordering;

/// A test of `loom-tests`, and the program built from its file.
#[derive(Debug)]
pub(super) struct Test {
    program: PathBuf,
    /// The name of its file without the extension.
    file: String,
    name: String,
}

/// A test that runs a model over the real code.
#[derive(Debug)]
pub(super) struct Model {
    test: Test,
    /// The numbers of the sites that it reaches.
    pub(super) reaches: BTreeSet<usize>,
    /// Its duration with nothing weakened.
    pub(super) takes: Duration,
}

/// How a test ended.
pub(super) enum Ending {
    Passed,
    /// How it failed, unless by one of its own checks.
    Failed(Option<&'static str>),
    TookTooLong,
}

/// No model takes this long, even on a busy machine.
const LONGEST: Duration = Duration::from_secs(1_800);

impl Test {
    /// Returns the tests of a program.
    pub(super) fn of((file, program): &(String, PathBuf)) -> Result<Vec<Self>, Box<dyn Error>> {
        let listed = Command::new(program).args(["--list", "--format=terse"]).output()?;
        let listed = String::from_utf8(listed.stdout)?;
        let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        let test = |name: &str| {
            let (program, file, name) = (program.clone(), file.clone(), name.to_owned());
            Self { program, file, name }
        };
        Ok(names.map(test).collect())
    }

    /// Runs the test with nothing weakened. Returns `None` if it has only a twin, which fails as
    /// expected, and no model.
    ///
    /// # Errors
    /// When the test fails.
    pub(super) fn run_unweakened(self) -> Result<Option<Model>, String> {
        let start = Instant::now();
        let run = self.run("RADDLE_PRINT_REACHED", "1", LONGEST);
        let (ending, output) = run.map_err(|error| format!("{}: {error}", self.path()))?;
        let takes = start.elapsed();
        if !matches!(ending, Ending::Passed) {
            return Err(format!("{} fails with nothing weakened:\n{output}", self.path()));
        }
        let numbers = output.lines().filter_map(|line| line.strip_prefix("reached "));
        let reaches = numbers.filter_map(|line| line.strip_suffix('.')?.parse().ok()).collect();
        // Printed by `explore` when a model has passed.
        let explores = output.lines().any(|line| line.ends_with(" executions"));
        Ok(explores.then_some(Model { test: self, reaches, takes }))
    }

    fn path(&self) -> String {
        format!("{}::{}", self.file, self.name)
    }

    fn run(&self, variable: &str, value: &str, limit: Duration) -> io::Result<(Ending, String)> {
        let (mut output, writer) = io::pipe()?;
        let mut command = Command::new(&self.program);
        command.args(["--exact", &self.name, "--nocapture", "--test-threads=1"]);
        command.env(variable, value).stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn()?;
        // Closes this process's writers, so that the pipe ends with the child.
        drop(command);
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let result = output.read_to_end(&mut bytes);
            let _ = sender.send(result.map(|_| String::from_utf8_lossy(&bytes).into_owned()));
        });
        let Ok(output) = receiver.recv_timeout(limit) else {
            child.kill()?;
            child.wait()?;
            return Ok((Ending::TookTooLong, String::new()));
        };
        let (output, status) = (output?, child.wait()?);
        let how = match status.code() {
            Some(0) => return Ok((Ending::Passed, output)),
            None => Some("abort"),
            Some(_) if output.contains("exceeded maximum number of branches") => Some("no end"),
            Some(_) if output.contains("deadlock; threads") => Some("deadlock"),
            Some(_) => None,
        };
        Ok((Ending::Failed(how), output))
    }
}

impl Model {
    /// Returns its file and name.
    pub(super) fn path(&self) -> String {
        self.test.path()
    }

    /// Runs the test with the ordering of a site weakened.
    pub(super) fn run(&self, site: usize, weaker: Ordering) -> io::Result<Ending> {
        // Weaker orderings allow more executions, and the machine may be busy.
        let limit = Duration::from_secs(900) + 20 * self.takes;
        let weakened = format!("{site}={weaker}");
        Ok(self.test.run("RADDLE_WEAKENED", &weakened, limit)?.0)
    }
}
