//! Runs tests with real threads under ThreadSanitizer.
//!
//! This works on the stable compiler: `RUSTC_BOOTSTRAP` makes it accept the flag, and the standard
//! library is built from source with the sanitizer, so that no report needs to be suppressed. One
//! dependency is not tested as it ships: see [`oneshot`].

mod oneshot;

use std::error::Error;

use xshell::{Cmd, Shell, cmd};

use crate::test_run;

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// A separate target folder, so that the usual build is kept.
const FOLDER: &str = "target/tsan";
/// The exit code of a process that has reported a race.
const RACE: i32 = 66;

/// Each race in `tsan-tests/src/bin/planted-race.rs`, and a function that its report must name.
const PLANTED: [(&str, &str); 3] = [
    ("two-workers", "planted_race::two_workers"),
    ("write-after-send", "planted_race::write_after_send"),
    ("relaxed-flag", "planted_race::relaxed_flag"),
];

/// Checks, in each run, that the planted races are reported, and then that `tsan-tests` and, unless
/// `quick`, the runtime's tests and a soak of `seconds` have no race.
///
/// # Errors
/// When a planted race is not reported, or another one is.
pub(crate) fn run(
    shell: &Shell,
    quick: bool,
    runs: u32,
    seconds: u64,
) -> Result<(), Box<dyn Error>> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        return Err(format!("ThreadSanitizer runs on {TARGET} only").into());
    }
    install_source(shell)?;
    let sanitizer = Sanitizer { shell, oneshot: oneshot::prepare(shell, FOLDER)? };
    let (promises, runtime, soak) = ("raddle-tsan-tests", "raddle-runtime", "raddle-soak");
    let seconds = seconds.to_string();
    sanitizer.cargo(&["build", "-p", promises, "--features", "planted"]).run()?;
    for run in 1..=runs {
        println!("ThreadSanitizer, run {run} of {runs}");
        for (race, function) in PLANTED {
            sanitizer.finds(race, function)?;
        }
        test_run::run(sanitizer.cargo(&["test", "-p", promises, "--test", "promises"]))?;
        if quick {
            continue;
        }
        test_run::run(sanitizer.cargo(&["test", "-p", runtime, "--tests", "--no-fail-fast"]))?;
        sanitizer.cargo(&["run", "-p", soak, "--", "--seconds", &seconds]).run()?;
    }
    if quick {
        println!("skipped: the runtime's tests and the soak");
    }
    println!("ThreadSanitizer: {runs} runs reported each planted race and no other");
    Ok(())
}

/// Installs the source of the standard library if it is missing.
fn install_source(shell: &Shell) -> Result<(), Box<dyn Error>> {
    let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
    if !shell.path_exists(format!("{sysroot}/lib/rustlib/src/rust/library/Cargo.lock")) {
        cmd!(shell, "rustup component add rust-src").run()?;
    }
    Ok(())
}

struct Sanitizer<'s> {
    shell: &'s Shell,
    /// The folder of the modified copy of oneshot.
    oneshot: String,
}

impl Sanitizer<'_> {
    /// Returns a cargo command that builds with the sanitizer.
    fn cargo(&self, arguments: &[&str]) -> Cmd<'_> {
        let (verb, arguments) = arguments.split_first().expect("a command");
        let paths = format!("paths=[{:?}]", self.oneshot);
        let build = ["-Zbuild-std", "--target", TARGET, "--config", &paths];
        let command = cmd!(self.shell, "cargo {verb} {build...} {arguments...}");
        command
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zsanitizer=thread")
            .env("CARGO_TARGET_DIR", FOLDER)
            .env("TSAN_OPTIONS", format!("exitcode={RACE} history_size=4"))
    }

    /// Runs a planted race, whose report must name the function.
    ///
    /// # Errors
    /// When it is not reported.
    fn finds(&self, race: &str, function: &str) -> Result<(), Box<dyn Error>> {
        let package = ["-p", "raddle-tsan-tests", "--features", "planted"];
        let command = [&["run"], &package[..], &["--bin", "planted-race", "--", race]].concat();
        let output = self.cargo(&command).ignore_status().output()?;
        let report = String::from_utf8_lossy(&output.stderr);
        let is_reported = report.contains("WARNING: ThreadSanitizer: data race");
        if output.status.code() == Some(RACE) && is_reported && report.contains(function) {
            println!("planted race {race}: reported");
            return Ok(());
        }
        eprintln!("{report}");
        Err(format!("the planted race {race} was not reported ({})", output.status).into())
    }
}
