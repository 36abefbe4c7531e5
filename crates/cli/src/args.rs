//! The command line.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use raddle::sim::{Objective, Workers, WorkersError};
use serde::Serialize;
use thiserror::Error;

use crate::choice::Strategies;
use crate::trace::TokenCost;

/// Compares load-balancing strategies on the same tasks and the same workers.
///
/// Without a command, it runs `compare`.
#[derive(Debug, Parser)]
#[command(name = "raddle", version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare the strategies on an embedded workload, on real threads.
    ///
    /// The workload has bursts, varying service times and two capabilities.
    Compare(CompareArgs),
    /// Compare the strategies on a trace of your own, on real threads.
    ///
    /// A trace is a CSV file in one of two formats, recognised by the header:
    /// `arrival_us,capability,service_us` with an optional fourth column `key` (ignored by this
    /// command), or that of the Azure LLM inference traces,
    /// `TIMESTAMP,ContextTokens,GeneratedTokens`. Lines must be in order of arrival. The trace may
    /// be compressed by gzip; `-` is standard input.
    Replay(ReplayArgs),
    /// Simulate the strategies on a virtual clock, with up to 65,535 workers.
    ///
    /// FILE is a scenario (if its name ends in .toml) or a trace as for `replay`; `-` is standard
    /// input, with either of them. Both may be compressed by gzip. docs/scenarios has example
    /// scenarios; the documentation of `Scenario::from_toml` lists every key.
    Simulate(SimulateArgs),
    /// Recommend a strategy for a trace or a scenario, with the reasons.
    ///
    /// Each strategy is simulated with several seeds. A strategy ties with the best if their
    /// difference is not significant at 95 % confidence. If the tasks are too few for the
    /// percentile, a lower one ranks; if they are too few for any, or the load does not exercise
    /// the objective, nothing is recommended.
    Advise(AdviseArgs),
}

/// Arguments of `raddle compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The workers: COUNTxSPEED[:CAPABILITY[+CAPABILITY]], separated by commas; without a
    /// capability a worker serves every task.
    #[arg(long, value_name = "SPEC", value_parser = threads, default_value = "2x1.5:code,2x1.0:chat,2x1.0,2x0.5")]
    pub workers: Workers,
    /// Options of both commands on real threads.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `raddle replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The trace, `-` for standard input.
    pub trace: PathBuf,
    /// The workers: COUNTxSPEED[:CAPABILITY[+CAPABILITY]], separated by commas; without a
    /// capability a worker serves every task.
    #[arg(long, value_name = "SPEC", value_parser = threads, default_value = "4x1.0,4x0.5")]
    pub workers: Workers,
    /// Run X times as fast: divide arrival and service times by X. Every figure but select ns is in
    /// the trace's own time [default: as needed for at most about 8 s per strategy].
    #[arg(long, value_name = "X", value_parser = speedup)]
    pub speedup: Option<f64>,
    /// The service time of tokens, for Azure traces.
    #[command(flatten)]
    pub tokens: TokenArgs,
    /// Options of both commands on real threads.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The service time of tokens, for Azure traces.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Azure traces: milliseconds of service per context token [default: 0.5].
    #[arg(long, value_name = "MS", value_parser = cost)]
    context_token_ms: Option<f64>,
    /// Azure traces: milliseconds of service per generated token [default: 20].
    #[arg(long, value_name = "MS", value_parser = cost)]
    generated_token_ms: Option<f64>,
}

impl TokenArgs {
    /// Returns the cost of tokens.
    pub fn cost(&self) -> TokenCost {
        let TokenCost { context_ms, generated_ms } = TokenCost::default();
        TokenCost {
            context_ms: self.context_token_ms.unwrap_or(context_ms),
            generated_ms: self.generated_token_ms.unwrap_or(generated_ms),
        }
    }

    /// Checks that there are tokens if an option says what they cost.
    pub fn check_used(&self, has_tokens: bool) -> Result<(), NoTokens> {
        let given = self.context_token_ms.map(|_| "--context-token-ms");
        match given.or(self.generated_token_ms.map(|_| "--generated-token-ms")) {
            Some(option) if !has_tokens => Err(NoTokens { option }),
            _ => Ok(()),
        }
    }
}

/// A cost of tokens is given, and there are none.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{option} has no effect: expected an Azure trace, the only file with tokens")]
pub struct NoTokens {
    option: &'static str,
}

/// Arguments of `raddle simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Options of both simulating commands.
    #[command(flatten)]
    pub simulation: SimulationArgs,
    /// Write the figures as CSV, one line per strategy.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// Arguments of `raddle advise`.
#[derive(Debug, Args)]
pub struct AdviseArgs {
    /// Options of both simulating commands.
    #[command(flatten)]
    pub simulation: SimulationArgs,
    /// The figure to optimise.
    #[arg(long, value_enum, default_value_t = ObjectiveName::P99)]
    pub objective: ObjectiveName,
    /// The number of runs per strategy. All replay the same trace and differ in the strategies'
    /// random choices (20 more runs, on the trace resampled in blocks, give the intervals); of a
    /// scenario, each generates new tasks.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1_000), default_value_t = 5)]
    pub seeds: u16,
}

/// Options of both simulating commands.
#[derive(Debug, Args)]
pub struct SimulationArgs {
    /// The scenario (*.toml) or the trace, `-` for standard input.
    pub file: PathBuf,
    /// The workers: COUNTxSPEED[:CAPABILITY[+CAPABILITY]], separated by commas; without a
    /// capability a worker serves every task [default: those of the scenario; 4x1.0,4x0.5 for a
    /// trace].
    #[arg(long, value_name = "SPEC")]
    pub workers: Option<Workers>,
    /// The strategies, joined by commas, in the order of the report; or all of them. A name followed
    /// by +boost has boosted mailboxes, in which short tasks overtake long ones; with `advise`, all
    /// includes those, if tasks say how long they take or require capabilities.
    #[arg(long, value_name = "NAMES", default_value = "all")]
    pub strategy: Strategies,
    /// The number of tasks: the first N of a trace [default: all of a trace; the number in the
    /// scenario].
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU64>)]
    pub tasks: Option<NonZeroU64>,
    /// The seed of all random choices [default: that of the scenario; 1 for a trace].
    #[arg(long, value_parser = seed)]
    pub seed: Option<u64>,
    /// Scale the times between arrivals so that the offered work is X times the workers' capacity.
    #[arg(long, value_name = "X", value_parser = load)]
    pub load: Option<f64>,
    /// Run X times as fast, as with `replay`: divide arrival and service times by X. Every figure
    /// is in the trace's own time. Only what is not sped up changes the figures, such as the
    /// refresh of the strategy after a second. For more traffic, use --load.
    #[arg(long, value_name = "X", value_parser = speedup)]
    pub speedup: Option<f64>,
    /// Hide from the strategies how long each task takes, which they know of a trace's tasks and if
    /// the scenario says so.
    #[arg(long)]
    pub durations_unknown: bool,
    /// The service time of tokens, for Azure traces.
    #[command(flatten)]
    pub tokens: TokenArgs,
    /// Write an HTML page with charts.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write each line chart as an SVG picture into this folder: percentiles.svg, and with `advise`
    /// also load-mean.svg and load-p99.svg.
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
    /// The columns of the table, by their headings without units, joined by commas; or all
    /// [default: those that fit the terminal].
    #[arg(long, value_name = "NAMES")]
    pub columns: Option<String>,
    /// Write the figures as JSON; `-` is standard output, for every such option.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The figure to optimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ObjectiveName {
    /// The 99th percentile of latency.
    P99,
    /// The mean latency.
    Mean,
    /// Completed tasks per second.
    Throughput,
}

impl From<ObjectiveName> for Objective {
    fn from(name: ObjectiveName) -> Self {
        match name {
            ObjectiveName::P99 => Self::P99,
            ObjectiveName::Mean => Self::Mean,
            ObjectiveName::Throughput => Self::Throughput,
        }
    }
}

/// Options of both commands on real threads.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The strategies, joined by commas, in the order of the report; or all of them. A name followed
    /// by +boost has boosted mailboxes, in which short tasks overtake long ones.
    #[arg(long, value_name = "NAMES", default_value = "all")]
    pub strategy: Strategies,
    /// What a worker does for the service time of a task.
    #[arg(long, value_enum, default_value_t = Service::Sleep)]
    pub service: Service,
    /// When tasks are submitted [default: open; closed with --concurrency].
    #[arg(long, value_enum)]
    pub mode: Option<ModeName>,
    /// Closed loop: the number of tasks in flight [default: one per worker].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub concurrency: Option<u16>,
    /// The capacity of a worker's mailbox, which rejects further tasks [default: room for all
    /// tasks, but at most about a million in all mailboxes; then submitting waits]. All mailboxes
    /// together have room for at most 16,777,216 tasks.
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>)]
    pub mailbox: Option<NonZeroUsize>,
    /// Use only the first N tasks.
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>)]
    pub limit: Option<NonZeroUsize>,
    /// The columns of the table, by their headings without units, joined by commas; or all
    /// [default: those that fit the terminal].
    #[arg(long, value_name = "NAMES")]
    pub columns: Option<String>,
    /// The seed of the embedded workload and of random choices.
    #[arg(long, value_parser = seed, default_value_t = 1)]
    pub seed: u64,
    /// Write the figures as JSON; `-` is standard output, for every such option.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the figures as CSV, one line per strategy.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// What a worker does for the service time of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Sleeps; works with any number of workers on any machine.
    Sleep,
    /// Spins; realistic only with one core per worker.
    Spin,
}

/// When tasks are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Each at its own time, however long the queues are; latency counts from that time.
    Open,
    /// Each when another has ended.
    Closed,
}

/// The maximum number of workers on real threads.
const MOST_THREADS: usize = 1_024;

fn threads(text: &str) -> Result<Workers, String> {
    let workers: Workers = text.parse().map_err(|error: WorkersError| error.to_string())?;
    match workers.count() {
        ..=MOST_THREADS => Ok(workers),
        count => Err(format!(
            "{count} workers are too many: expected at most {MOST_THREADS}, as each is a thread \
             (`raddle simulate` allows more)"
        )),
    }
}

fn at_least_one<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "expected a whole number of at least 1".into())
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

fn number(text: &str, expected: &str, right: impl Fn(f64) -> bool) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| right(*number));
    number.ok_or_else(|| format!("expected {expected}"))
}

fn speedup(text: &str) -> Result<f64, String> {
    number(text, "a number from 0.001 to 1000000000", |x| (1e-3..=1e9).contains(&x))
}

fn load(text: &str) -> Result<f64, String> {
    let expected = "a fraction of the workers' capacity, a number from 0.001 to 100";
    number(text, expected, |x| (1e-3..=100.0).contains(&x))
}

fn cost(text: &str) -> Result<f64, String> {
    number(text, "milliseconds, a number from 0 to 1000000", |x| (0.0..=1e6).contains(&x))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn speedups_and_costs_outside_their_range_are_errors() {
        assert_eq!((speedup("2.5"), cost("0")), (Ok(2.5), Ok(0.0)));
        for wrong in ["0", "-1", "NaN", "inf", "fast", ""] {
            assert_eq!(speedup(wrong).unwrap_err(), "expected a number from 0.001 to 1000000000");
        }
        for wrong in ["-0.5", "NaN", "inf", "free"] {
            let expected = "expected milliseconds, a number from 0 to 1000000";
            assert_eq!(cost(wrong).unwrap_err(), expected);
        }
    }
}
