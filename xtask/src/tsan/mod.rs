//! ThreadSanitizer over what runs raddle with real threads.
//!
//! On the stable compiler: `RUSTC_BOOTSTRAP` lets it take the flag, and the standard library is built
//! from its source with the sanitizer too, so that nothing of it needs to be passed over. One thing
//! is not as it ships: see [`oneshot`].

mod oneshot;

use std::error::Error;

use xshell::{Cmd, Shell, cmd};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The target folder: the usual build is kept.
const FOLDER: &str = "target/tsan";
/// What a process that has reported a race ends with.
const RACE: i32 = 66;

/// A race in `tsan-tests/src/bin/planted-race.rs`, and a function that its report names.
const PLANTED: [(&str, &str); 3] = [
    ("two-workers", "planted_race::two_workers"),
    ("a-hand-kept", "planted_race::a_hand_kept"),
    ("a-relaxed-flag", "planted_race::a_relaxed_flag"),
];

/// Looks for races, so often, each time after the planted ones were reported: in the promises and,
/// unless it is to be `quick`, in the runtime's tests and a soak of so many seconds.
///
/// # Errors
/// When a race is reported that nobody planted, or a planted one is not.
pub(crate) fn run(
    shell: &Shell,
    quick: bool,
    runs: u32,
    seconds: u64,
) -> Result<(), Box<dyn Error>> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        return Err(format!("the sanitizer is run on {TARGET} alone").into());
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
        sanitizer.cargo(&["test", "-p", promises, "--test", "promises"]).run()?;
        if quick {
            continue;
        }
        sanitizer.cargo(&["test", "-p", runtime, "--tests", "--no-fail-fast"]).run()?;
        sanitizer.cargo(&["run", "-p", soak, "--", "--seconds", &seconds]).run()?;
    }
    println!("ThreadSanitizer: {runs} runs, each planted race reported, and no other");
    Ok(())
}

/// The source of the standard library, which a fresh machine has not.
fn install_source(shell: &Shell) -> Result<(), Box<dyn Error>> {
    let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
    if !shell.path_exists(format!("{sysroot}/lib/rustlib/src/rust/library/Cargo.lock")) {
        cmd!(shell, "rustup component add rust-src").run()?;
    }
    Ok(())
}

struct Sanitizer<'s> {
    shell: &'s Shell,
    /// Where the copy of oneshot is.
    oneshot: String,
}

impl Sanitizer<'_> {
    /// A cargo command whose programs are built with the sanitizer.
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

    /// Whether a planted race is reported, by this function's name.
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
