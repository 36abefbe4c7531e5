//! The project's chores: `cargo xtask <chore>`.

mod checker;
mod document;
mod figures;
mod fuzz;
mod imports;
mod instructions;
mod links;
mod loom;
mod mutants;
mod mutate_orderings;
mod planted;
mod size;
mod test_run;
mod tokens;
mod tools;
mod tree;
mod tsan;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xshell::{Shell, cmd};

use checker::{with_loom, with_shuttle};
use test_run::Skipped;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The project's chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Runs every test: unit, property, documentation, example, command line, bench, soak, shuttle
    /// and loom. Lists what was skipped at the end.
    Test {
        /// Fails if a test was skipped.
        #[arg(long)]
        deny_skipped: bool,
    },
    /// Checks formatting, clippy, documentation, links, dependencies and imports. Warnings are
    /// errors.
    Lint,
    /// Finds import cycles between the files of a crate, and dependencies between crates that point
    /// the wrong way.
    Imports,
    /// Prints the lines of code and the public items of each crate.
    Size,
    /// Repeats the simulated figures of `docs/strategies.md`.
    Figures {
        /// Writes them to the document instead of checking them.
        #[arg(long)]
        update: bool,
    },
    /// Runs the loom models and prints how many executions each has.
    Loom {
        /// Runs the models with three preemptions per execution, all but one.
        #[arg(long)]
        deep: bool,
        /// Writes the numbers of executions to the committed file instead of checking them.
        #[arg(long)]
        update: bool,
    },
    /// Runs the protocols with sixteen threads, in random schedules of shuttle.
    Shuttle,
    /// Runs a pool under every fault at once and checks its account.
    Soak {
        /// Duration of the run.
        #[arg(long, default_value_t = 120)]
        seconds: u64,
        /// Seed of all faults and plans. The default is random and is printed.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Runs the runtime's integration tests, `tsan-tests` and the soak under ThreadSanitizer, after
    /// it has reported the planted races.
    Tsan {
        /// Runs the planted races and `tsan-tests` only.
        #[arg(long)]
        quick: bool,
        /// Number of runs.
        #[arg(long, default_value_t = 1)]
        runs: u32,
        /// Duration of each soak.
        #[arg(long, default_value_t = 25)]
        seconds: u64,
    },
    /// Counts the instructions of select, record, tell and ask with callgrind, and compares them
    /// with `benches/instructions/baseline.csv`.
    Instructions {
        /// Makes the counts the baseline.
        #[arg(long)]
        update: bool,
    },
    /// Weakens each ordering of the atomics until a loom model fails. Takes a few minutes.
    MutateOrderings(mutate_orderings::Options),
    /// Plants ten bugs in a copy of the runtime, one after the other, and checks that exploring a pool
    /// with `raddle::test` finds each within ten seconds.
    Planted,
    /// Compares raddle with its peers in a table. Takes some ten minutes on an idle machine.
    Peers {
        /// Options of `raddle-peers compare`, such as `--rounds`, `--only`, `--quick` and `--json`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Measures latencies of raddle and its peers with an open-loop load. Takes some ten minutes.
    Openloop {
        /// Options of `raddle-peers openloop`, such as `--seconds`, `--seed` and `--out`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Fuzzes everything that parses user input: traces, configuration, workers and scenarios.
    Fuzz {
        /// Duration for each target.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Runs cargo-mutants on core and strategies. Takes two hours.
    Mutants {
        /// Options of `cargo mutants`, such as `--file`, `--shard` and `--jobs`.
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
        Chore::Test { deny_skipped } => test(&shell, deny_skipped)?,
        Chore::Lint => lint(&shell)?,
        Chore::Imports => imports::check(&shell)?,
        Chore::Size => size::run(&shell)?,
        Chore::Figures { update } => figures::run(&shell, update)?,
        Chore::Loom { deep, update } => print_skipped(&loom::run(&shell, deep, update)?),
        Chore::Shuttle => print_skipped(&shuttle(&shell)?),
        Chore::Soak { seconds, seed } => soak(&shell, seconds, seed)?,
        Chore::Tsan { quick, runs, seconds } => tsan::run(&shell, quick, runs, seconds)?,
        Chore::Instructions { update } => instructions::run(&shell, update)?,
        Chore::MutateOrderings(options) => mutate_orderings::run(&shell, &options)?,
        Chore::Planted => planted::run(&shell)?,
        Chore::Peers { options } => peers(&shell, "compare", &options)?,
        Chore::Openloop { options } => peers(&shell, "openloop", &options)?,
        Chore::Fuzz { seconds } => fuzz::run(&shell, seconds)?,
        Chore::Mutants { options } => mutants::run(&shell, &options)?,
    }
    Ok(())
}

fn test(shell: &Shell, deny_skipped: bool) -> Result<(), Box<dyn Error>> {
    let futures = "--features=raddle/futures,raddle-runtime/futures";
    let mut skipped = test_run::run(cmd!(shell, "cargo test --workspace --all-targets {futures}"))?;
    skipped.extend(test_run::run(cmd!(shell, "cargo test --workspace --doc {futures}"))?);
    // Apart, because the kit's feature changes the facade, and the others are tests of what ships.
    let kit = ["raddle", "raddle-runtime", "raddle-sync", "raddle-doc-tests"];
    let kit = kit.map(|name| format!("-p{name}"));
    let feature = "--features=raddle/test,raddle-doc-tests/test";
    let tests = ["explored", "test_pool", "samples"].map(|name| format!("--test={name}"));
    let rest = ["--lib", "--example=unit_tests"];
    skipped
        .extend(test_run::run(cmd!(shell, "cargo test {kit...} {feature} {tests...} {rest...}"))?);
    let crates = ["-praddle", "-praddle-runtime"];
    skipped
        .extend(test_run::run(cmd!(shell, "cargo test {crates...} --features raddle/test --doc"))?);
    let examples = examples(shell)?;
    for example in &examples {
        cmd!(shell, "cargo run --quiet --package raddle --features test --example {example}")
            .run()?;
    }
    soak(shell, 20, None)?;
    skipped.extend(shuttle(shell)?);
    skipped.extend(loom::run(shell, false, false)?);
    println!("\nEvery test that ran passed, {} examples among them.", examples.len());
    print_skipped(&skipped);
    if deny_skipped && !skipped.is_empty() {
        return Err("tests were skipped".into());
    }
    Ok(())
}

fn print_skipped(skipped: &[String]) {
    println!("{} tests skipped", skipped.len());
    skipped.iter().for_each(|test| println!("  {test}"));
}

/// Examples that run until they are told to stop. `cargo test` runs their own tests.
const SERVICES: [&str; 1] = ["thumbnails"];

/// The examples of crate `raddle` that end by themselves.
fn examples(shell: &Shell) -> Result<Vec<String>, Box<dyn Error>> {
    let files = shell.read_dir("crates/raddle/examples")?;
    let names = files.iter().filter_map(|file| file.file_stem()?.to_str().map(str::to_owned));
    let names: Vec<_> = names.filter(|name| !SERVICES.contains(&&**name)).collect();
    if names.is_empty() { Err("crate raddle has no examples".into()) } else { Ok(names) }
}

fn soak(shell: &Shell, seconds: u64, seed: Option<u64>) -> xshell::Result<()> {
    let seconds = seconds.to_string();
    let seed = seed.map(|seed| format!("--seed={seed}"));
    cmd!(shell, "cargo run --release -p raddle-soak -- --seconds {seconds} {seed...}").run()
}

fn lint(shell: &Shell) -> Result<(), Box<dyn Error>> {
    tools::require(shell, "deny")?;
    cmd!(shell, "cargo deny check licenses bans sources").run()?;
    imports::check(shell)?;
    links::check(shell)?;
    cmd!(shell, "cargo fmt --all --check").run()?;
    fuzz::lint(shell)?;
    let features = "raddle-benches/profile,raddle-tsan-tests/planted,raddle-runtime/futures";
    let kit = ["raddle", "raddle-runtime", "raddle-sync"].map(|name| format!("--package={name}"));
    let test = "--features=raddle/test";
    cmd!(shell, "cargo clippy {kit...} --all-targets {test} -- --deny warnings").run()?;
    cmd!(shell, "cargo clippy --workspace --all-targets --features {features} -- --deny warnings")
        .run()?;
    let libraries = ["raddle-core", "raddle-strategies", "raddle-runtime", "raddle"]
        .map(|name| format!("--package={name}"));
    cmd!(shell, "cargo clippy --lib --no-default-features {libraries...} -- --deny warnings")
        .run()?;
    // Only in a loom build do the facade's atomics differ from those of std.
    let facade = ["--deny", "warnings", "--deny", "clippy::disallowed-types"];
    let packages =
        ["sync", "core", "strategies", "runtime"].map(|name| format!("--package=raddle-{name}"));
    with_loom(cmd!(shell, "cargo clippy --lib {packages...} -- {facade...}")).run()?;
    with_loom(cmd!(shell, "cargo clippy -p raddle-loom-tests --all-targets -- --deny warnings"))
        .run()?;
    let tests =
        cmd!(shell, "cargo clippy -p raddle-shuttle-tests --all-targets -- --deny warnings");
    with_shuttle(tests).run()?;
    cmd!(shell, "cargo doc --workspace --no-deps").env("RUSTDOCFLAGS", "--deny warnings").run()?;
    Ok(())
}

fn shuttle(shell: &Shell) -> Result<Skipped, Box<dyn Error>> {
    let command = with_shuttle(cmd!(shell, "cargo test --profile loom -p raddle-shuttle-tests"));
    let files = shell.read_dir("shuttle-tests/tests")?;
    test_run::run_programs(command, files.len())
}

/// Includes pingora if there is cmake, which its compression library is built with.
fn peers(shell: &Shell, command: &str, options: &[String]) -> xshell::Result<()> {
    let cmake = cmd!(shell, "cmake --version").quiet().ignore_stdout().ignore_stderr();
    let features = cmake.run().is_ok().then_some("--features=pingora");
    if features.is_none() {
        eprintln!("xtask: pingora is skipped because cmake is missing");
    }
    cmd!(shell, "cargo run --release -p raddle-peers {features...} -- {command} {options...}").run()
}
