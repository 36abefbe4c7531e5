//! Uses of the program that nobody intends: broken streams, odd names and numbers, huge files.
#![cfg(unix)]

#[allow(dead_code, reason = "not every program of tests uses all of it")]
mod common;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::{HEADER, raddle, refused, text, trace};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_raddle");
const FAKE: &str = "error: fake";

fn small() -> String {
    HEADER.to_owned() + &(0..20).map(|n| format!("{},,500\n", n * 300)).collect::<String>()
}

/// A scenario of this many tasks, with these keys before its tables.
fn scenario(tasks: u64, workers: &str) -> String {
    format!(
        "tasks = {tasks}\n{workers}\n[arrivals]\nkind = \"steady\"\nrate = 100\n\
         [service]\nkind = \"constant\"\ntime = \"1ms\"\n"
    )
}

fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// A device without space, which only some systems have.
fn full() -> Option<File> {
    File::options().write(true).open("/dev/full").ok()
}

#[test]
fn an_error_that_nobody_can_read_ends_with_its_exit_code() {
    let folder = TempDir::new().unwrap();
    let small = trace(&folder, &small());
    let small = small.to_str().unwrap();
    for arguments in [
        &["simulate", "/no/such.csv"][..],
        &["simulate", "--no-such-option"],
        &["simulate", "--\u{1b}[31m"],
        // The tables go to standard error.
        &["simulate", small, "--strategy=random", "--json=-"],
    ] {
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let mut streams = vec![Stdio::from(closed)];
        streams.extend(full().map(Stdio::from));
        for stream in streams {
            let mut command = Command::new(PROGRAM);
            let status = command.args(arguments).stdout(Stdio::null()).stderr(stream).status();
            let code = status.unwrap().code();
            // A reader that has closed the pipe is not an error.
            assert!(code == Some(2) || code == Some(0), "{arguments:?}: {code:?}");
        }
    }
}

#[test]
fn help_and_version_that_cannot_be_written_are_an_error() {
    for arguments in [&["--help"][..], &["--version"], &["simulate", "--help"]] {
        let Some(full) = full() else { continue };
        let mut command = Command::new(PROGRAM);
        let output = command.args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.starts_with("error: cannot write to standard output: "), "{error}");
    }
}

#[test]
fn a_line_feed_in_a_name_starts_no_line_of_the_output() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let named = path(&format!("a\n{FAKE}.csv"));
    fs::write(&named, small()).unwrap();
    let worker = format!("[[worker]]\nname = \"a\\n{FAKE}\"");
    let workers = path("workers.toml");
    fs::write(&workers, scenario(100, &worker)).unwrap();
    let page = path("page.html");
    let (missing, capability) = (path(&format!("b\n{FAKE}.csv")), format!("1x1:a\n{FAKE}"));
    let option = |name: &str| format!("--{name}=a\n{FAKE}");
    let cases: &[&[&str]] = &[
        &["simulate", &named, "--strategy=random", "--report", &page],
        &["advise", &named, "--strategy=random,join_idle"],
        &["replay", &named, "--strategy=random"],
        &["simulate", &workers, "--strategy=random", "--csv=-", "--report", &page],
        &["simulate", &workers, "--strategy=random", "--columns=all"],
        &["simulate", &missing],
        &["simulate", &named, "--strategy=random", "--workers", &capability],
        &["simulate", &named, &option("json=/no/such")],
        &["simulate", &named, &option("workers")],
        &["simulate", &named, &option("strategy")],
        &["simulate", &named, &option("columns")],
        &["simulate", &named, &option("seed")],
        &["simulate", &named, &format!("--a\n{FAKE}")],
        &[&format!("a\n{FAKE}")],
    ];
    for arguments in cases {
        let output = run(arguments);
        let mut printed = text(&output.stdout) + &text(&output.stderr);
        let is_error = output.status.code() != Some(0);
        printed += &fs::read_to_string(&page).unwrap_or_default();
        let of_names = printed.lines().find(|line| line.trim_matches(['|', ' ']).starts_with(FAKE));
        assert_eq!(of_names, None, "{arguments:?}: {printed}");
        assert!(printed.contains("\\nerror: fake"), "{arguments:?}: {printed}");
        assert_eq!(is_error, !printed.contains("| strategy"), "{arguments:?}: {printed}");
        let _ = fs::remove_file(&page);
    }
}

#[test]
fn a_page_repeats_any_command_line() {
    let folder = TempDir::new().unwrap();
    let page = folder.path().join("page.html");
    for (name, shown) in [
        (OsString::from("it's here.csv"), r"it'\''s here.csv'"),
        (OsString::from_vec(b"a\xff.csv".to_vec()), "a\u{fffd}.csv'"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, small()).unwrap();
        let arguments = [
            OsStr::new("simulate"),
            "--strategy=random".as_ref(),
            path.as_ref(),
            "--report".as_ref(),
            page.as_ref(),
        ];
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let page = fs::read_to_string(&page).unwrap().replace("&#39;", "'");
        assert!(page.contains(&format!(
            "<code>raddle simulate --strategy=random '{}",
            folder.path().display()
        )));
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn a_replaced_file_keeps_its_permissions() {
    let folder = TempDir::new().unwrap();
    let small = trace(&folder, &small());
    let secret = folder.path().join("secret.json");
    for mode in [0o600, 0o640, 0o666] {
        fs::write(&secret, "old").unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        let (small, secret) = (small.to_str().unwrap(), secret.to_str().unwrap());
        let output = raddle(&["simulate", small, "--strategy=random", "--json", secret]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, mode);
        assert_ne!(fs::read(secret).unwrap(), b"old");
    }
}

#[test]
fn whole_numbers_out_of_bounds_are_errors_that_say_what_is_allowed() {
    let folder = TempDir::new().unwrap();
    let small = trace(&folder, &small());
    let small = small.to_str().unwrap();
    let at_least_one = "expected a whole number of at least 1";
    for option in ["replay --limit", "replay --mailbox", "simulate --tasks", "advise --tasks"] {
        let (command, option) = option.split_once(' ').unwrap();
        for wrong in ["0", "-1", "1e3", "1_000", "18446744073709551616", ""] {
            let error = refused(&[command, small, &format!("{option}={wrong}")]);
            let is_missing = wrong.is_empty() && error.contains("a value is required");
            assert!(error.contains(at_least_one) || is_missing, "{option} {wrong}: {error}");
        }
    }
    let error = refused(&["simulate", small, "--seed=18446744073709551616"]);
    assert!(error.contains("expected a whole number from 0 to 18446744073709551615"), "{error}");
    let last = ["simulate", small, "--strategy=random", "--seed=18446744073709551615"];
    assert_eq!(raddle(&last).status.code(), Some(0));
}

#[test]
fn mailboxes_larger_than_memory_are_refused_before_the_run() {
    let folder = TempDir::new().unwrap();
    let small = trace(&folder, &small());
    let small = small.to_str().unwrap();
    for (mailbox, workers, most) in
        [("18446744073709551615", "1x1", 16_777_216), ("2097153", "8x1", 2_097_152)]
    {
        let workers = format!("--workers={workers}");
        let error = refused(&["replay", small, "--mailbox", mailbox, &workers]);
        assert!(error.contains(&format!("expected at most {most}, ")), "{error}");
    }
}

#[test]
fn too_many_worker_tables_are_refused_at_once() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("many.toml");
    let tables = "[[worker]]\nspeed = 1.0\n".repeat(100_000);
    let counted = format!("{tables}[[worker]]\ncount = 1000000000000\n");
    let in_total =
        "worker[100000].count is `1000000000000`, allowed is a whole number, and at most";
    for (tables, expected) in
        [(tables, "number of workers is 100000, allowed is 1 to 65535"), (counted, in_total)]
    {
        fs::write(&file, scenario(100, &tables)).unwrap();
        let mut command = assert_cmd::Command::cargo_bin("raddle").unwrap();
        // Work that grows with the square of the file takes minutes.
        let output = command.arg("simulate").arg(&file).timeout(Duration::from_secs(60)).output();
        let output = output.unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn more_tasks_than_can_be_counted_run_until_a_signal() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("endless.toml");
    fs::write(&file, scenario(i64::MAX as u64, "workers = \"1x1.0\"")).unwrap();
    for command in ["simulate", "advise"] {
        let mut child = Command::new(PROGRAM);
        child.arg(command).arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let mut heading = String::new();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        printed.read_line(&mut heading).unwrap();
        assert!(heading.contains("9223372036854775807 tasks"), "{heading}");
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{command}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}
