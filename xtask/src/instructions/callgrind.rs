//! Runs the steps under callgrind and reads its profile.

use std::collections::BTreeMap;
use std::error::Error;

use xshell::{Shell, cmd};

/// The number of instructions of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) step: String,
    pub(crate) instructions: u64,
}

/// Builds the steps in release mode and counts their instructions.
///
/// # Errors
/// When valgrind is missing, or the steps cannot be built or run.
pub(crate) fn count(shell: &Shell) -> Result<Vec<Count>, Box<dyn Error>> {
    if cmd!(shell, "valgrind --version").quiet().ignore_stderr().read().is_err() {
        return Err(
            "valgrind is missing, which counts the instructions: `apt-get install valgrind`".into(),
        );
    }
    cmd!(shell, "cargo build --quiet --release -p raddle-instructions").run()?;
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let (program, profile) =
        (format!("{target}/release/raddle-instructions"), shell.create_temp_dir()?);
    let profile = profile.path().join("callgrind.out");
    let marks = ["--zero-before=*instructions_begin*", "--dump-before=*instructions_end*"];
    let dumps = ["--separate-threads=yes", "--combine-dumps=yes"];
    let output = cmd!(shell, "valgrind --quiet --tool=callgrind --callgrind-out-file={profile}")
        .args(marks)
        .args(dumps)
        .arg(program)
        // Lets glibc keep all reply slots in the thread's cache, as in a program whose tasks come
        // and go.
        .env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=20000")
        .quiet()
        .read()?;
    read(&output, &shell.read_file(profile)?)
}

/// Combines the output of the steps (the number of repetitions, then their names) with the profile,
/// which has one part per step.
fn read(output: &str, profile: &str) -> Result<Vec<Count>, Box<dyn Error>> {
    let mut lines = output.lines();
    let times: u64 = lines
        .next()
        .and_then(|line| line.strip_prefix("times ")?.parse().ok())
        .filter(|times| *times > 0)
        .ok_or("the steps do not print their number of repetitions")?;
    let steps: Vec<_> = lines.collect();
    let totals = totals(profile);
    if totals.len() != steps.len() {
        return Err(format!("{} steps, but {} counts", steps.len(), totals.len()).into());
    }
    let each = |(step, total): (&&str, u64)| Count {
        step: (*step).to_owned(),
        instructions: (total + times / 2) / times,
    };
    Ok(steps.iter().zip(totals).map(each).collect())
}

/// Returns the instructions of each part that a mark ended, on its busiest thread: the others are
/// parked, except for the pool's own thread, which wakes once per second.
fn totals(profile: &str) -> Vec<u64> {
    let mut parts = BTreeMap::new();
    let (mut part, mut by_mark) = (0_u32, false);
    for line in profile.lines() {
        let Some((field, value)) = line.split_once(": ") else { continue };
        match field {
            "part" => {
                part = value.trim().parse().unwrap_or_default();
                by_mark = false;
            }
            "desc" => by_mark |= value.starts_with("Trigger: --dump-before"),
            "totals" if by_mark => {
                let most = parts.entry(part).or_default();
                *most = value.trim().parse::<u64>().unwrap_or_default().max(*most);
            }
            _ => {}
        }
    }
    parts.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
part: 1\nthread: 1\ndesc: Trigger: --dump-before=x\nsummary: 30006\n\nfn=(1) a: b\ntotals: 30006
part: 2\nthread: 1\ndesc: Trigger: --dump-before=x\ntotals: 12
part: 2\nthread: 2\ndesc: Trigger: --dump-before=x\ntotals: 5509999
part: 3\nthread: 1\ndesc: Trigger: Program termination\ntotals: 77\n";

    #[test]
    fn each_part_is_a_step_counted_on_its_busiest_thread() {
        let counts = read("times 10000\nnoop\ntell\n", PROFILE).unwrap();
        let count = |step: &str, instructions| Count { step: step.into(), instructions };
        assert_eq!(counts, [count("noop", 3), count("tell", 551)]);
    }

    #[test]
    fn a_profile_with_another_number_of_steps_is_refused() {
        let error = read("times 10000\nnoop\n", PROFILE).unwrap_err();
        assert_eq!(error.to_string(), "1 steps, but 2 counts");
        assert!(read("noop\ntell\n", PROFILE).is_err());
    }
}
