//! The project's own chores: `cargo xtask <chore>`.

mod document;
mod fuzz;
mod imports;
mod instructions;
mod loom;
mod mutants;
mod mutate_orderings;
mod tools;
mod tsan;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xshell::{Cmd, Shell, cmd};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The project's own chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Every test: unit, property, documentation, example, command line, bench, soak, shuttle and loom.
    Test,
    /// Formatting, clippy and documentation, warnings as errors.
    Lint,
    /// Import cycles between the files of a crate, and dependencies between crates that point the wrong
    /// way. Part of `lint`.
    Imports,
    /// The loom models alone, in a table with the executions of each.
    Loom {
        /// The slow one too, and all others with three preemptions an execution.
        #[arg(long)]
        deep: bool,
        /// Commits the executions instead of checking them.
        #[arg(long)]
        update: bool,
    },
    /// The protocols with sixteen threads alone, in schedules drawn by shuttle.
    Shuttle,
    /// The fault harness alone: a pool under every fault at once, held to its account.
    Soak {
        /// For how long.
        #[arg(long, default_value_t = 120)]
        seconds: u64,
        /// What faults and plans are drawn from; drawn itself, and printed, when not given.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// ThreadSanitizer over the runtime's integration tests, the promises of `tsan-tests` and the
    /// soak, after the planted races were reported.
    Tsan {
        /// The planted races and the promises alone, for which there is always time.
        #[arg(long)]
        quick: bool,
        /// How often.
        #[arg(long, default_value_t = 1)]
        runs: u32,
        /// How long each soak is.
        #[arg(long, default_value_t = 25)]
        seconds: u64,
    },
    /// The instructions of select, record, tell and ask, counted by callgrind and held against
    /// `benches/instructions/baseline.csv`.
    Instructions {
        /// Makes the counts the baseline.
        #[arg(long)]
        update: bool,
    },
    /// Each ordering of the atomics, weakened until a loom model fails: a few minutes.
    MutateOrderings(mutate_orderings::Options),
    /// raddle beside its peers, in a table: some ten minutes on a machine with nothing else to do.
    Peers {
        /// What `raddle-peers compare --help` tells: `--rounds`, `--only`, `--quick`, `--json` and more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Latencies of raddle and its peers under a load that arrives on schedule: some ten minutes.
    Openloop {
        /// What `raddle-peers openloop --help` tells: `--seconds`, `--seed`, `--out` and more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Fuzzes what reads text of users: traces, configuration, workers, scenarios.
    Fuzz {
        /// For how long each.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Mutants of core and strategies, by cargo-mutants: two hours in all.
    Mutants {
        /// What `cargo mutants --help` tells: `--file`, `--shard`, `--jobs` and more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<(), Box<dyn Error>> {
    let shell = Shell::new()?;
    shell.change_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    match chore {
        Chore::Test => test(&shell)?,
        Chore::Lint => lint(&shell)?,
        Chore::Imports => imports::check(&shell)?,
        Chore::Loom { deep, update } => loom::run(&shell, deep, update)?,
        Chore::Shuttle => shuttle(&shell)?,
        Chore::Soak { seconds, seed } => soak(&shell, seconds, seed)?,
        Chore::Tsan { quick, runs, seconds } => tsan::run(&shell, quick, runs, seconds)?,
        Chore::Instructions { update } => instructions::run(&shell, update)?,
        Chore::MutateOrderings(options) => mutate_orderings::run(&shell, &options)?,
        Chore::Peers { options } => peers(&shell, "compare", &options)?,
        Chore::Openloop { options } => peers(&shell, "openloop", &options)?,
        Chore::Fuzz { seconds } => fuzz::run(&shell, seconds)?,
        Chore::Mutants { options } => mutants::run(&shell, &options)?,
    }
    Ok(())
}

/// The examples of crate `raddle`, which a test run is to run.
const EXAMPLES: [&str; 3] = ["quickstart", "balancer", "tokio_pool"];

fn test(shell: &Shell) -> Result<(), Box<dyn Error>> {
    cmd!(shell, "cargo test --workspace --all-targets").run()?;
    cmd!(shell, "cargo test --workspace --doc").run()?;
    for example in EXAMPLES {
        cmd!(shell, "cargo run --quiet --package raddle --example {example}").run()?;
    }
    soak(shell, 20, None)?;
    shuttle(shell)?;
    loom::run(shell, false, false)
}

fn soak(shell: &Shell, seconds: u64, seed: Option<u64>) -> xshell::Result<()> {
    let seconds = seconds.to_string();
    let seed = seed.map(|seed| format!("--seed={seed}"));
    cmd!(shell, "cargo run --release -p raddle-soak -- --seconds {seconds} {seed...}").run()
}

fn lint(shell: &Shell) -> xshell::Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    cmd!(shell, "cargo fmt --manifest-path fuzz/Cargo.toml --check").run()?;
    let features = "raddle-benches/profile,raddle-tsan-tests/planted";
    cmd!(shell, "cargo clippy --workspace --all-targets --features {features} -- --deny warnings")
        .run()?;
    // Only in a loom build are the facade's atomics other types than those of std.
    let facade = ["--deny", "warnings", "--deny", "clippy::disallowed-types"];
    let packages = [
        "-p",
        "raddle-sync",
        "-p",
        "raddle-core",
        "-p",
        "raddle-strategies",
        "-p",
        "raddle-runtime",
    ];
    with_loom(cmd!(shell, "cargo clippy --lib {packages...} -- {facade...}")).run()?;
    with_loom(cmd!(shell, "cargo clippy -p raddle-loom-tests --all-targets -- --deny warnings"))
        .run()?;
    let tests =
        cmd!(shell, "cargo clippy -p raddle-shuttle-tests --all-targets -- --deny warnings");
    with_shuttle(tests).run()?;
    cmd!(shell, "cargo doc --workspace --no-deps").env("RUSTDOCFLAGS", "--deny warnings").run()
}

fn shuttle(shell: &Shell) -> xshell::Result<()> {
    let test = cmd!(shell, "cargo test --profile loom -p raddle-shuttle-tests");
    with_shuttle(test).run()
}

/// pingora among them, where there is the cmake that its compression library is built with.
fn peers(shell: &Shell, command: &str, options: &[String]) -> xshell::Result<()> {
    let cmake = cmd!(shell, "cmake --version").quiet().ignore_stdout().ignore_stderr();
    let features = cmake.run().is_ok().then_some("--features=pingora");
    if features.is_none() {
        eprintln!("xtask: there is no cmake, so pingora is left out");
    }
    cmd!(shell, "cargo run --release -p raddle-peers {features...} -- {command} {options...}").run()
}

/// Over loom's types, which the slot of a reply is given by a flag of its crate's.
fn with_loom(command: Cmd<'_>) -> Cmd<'_> {
    with_checker(command, "loom", "--cfg loom --cfg oneshot_loom")
}

fn with_shuttle(command: Cmd<'_>) -> Cmd<'_> {
    with_checker(command, "shuttle", "--cfg shuttle")
}

/// The command with the types of loom or shuttle behind the facade, in a target folder of its own so
/// that the usual build is kept.
fn with_checker<'s>(command: Cmd<'s>, checker: &str, flags: &str) -> Cmd<'s> {
    let others = std::env::var("RUSTFLAGS").unwrap_or_default();
    command
        .env("RUSTFLAGS", format!("{others} {flags}").trim())
        .env("CARGO_TARGET_DIR", format!("target/{checker}"))
}
