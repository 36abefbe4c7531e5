//! The command line.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use raddle::sim::{Objective, Workers, WorkersError};
use raddle::strategies::StrategyName;
use serde::Serialize;

use crate::trace::TokenCost;

/// Spreads tasks over workers by each strategy in turn and compares what came of it.
///
/// Without a command it compares on the embedded workload.
#[derive(Debug, Parser)]
#[command(name = "raddle", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare the strategies on an embedded workload: bursts, mixed sizes, two capabilities.
    Compare(CompareArgs),
    /// Compare the strategies on a trace of your own.
    ///
    /// A trace is a CSV file, told apart by its header: `arrival_us,capability,service_us` with an
    /// optional fourth column `key`, or that of the Azure LLM inference traces,
    /// `TIMESTAMP,ContextTokens,GeneratedTokens`. Lines are in order of arrival.
    Replay(ReplayArgs),
    /// Simulate the strategies on a virtual clock, with any number of workers.
    ///
    /// FILE is a scenario (its name ends in .toml; the examples in docs/scenarios tell every key)
    /// or a trace as `replay` takes it.
    Simulate(SimulateArgs),
    /// Say which strategy is best for a trace or a scenario, how surely, and why.
    ///
    /// Each strategy is simulated with several seeds. Those that cannot be told from the best
    /// with a confidence of 95 % are said to tie.
    Advise(AdviseArgs),
}

/// Arguments of `raddle compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The workers: COUNTxSPEED[:CAPABILITY[+CAPABILITY]], joined by commas; without a capability
    /// a worker serves everything.
    #[arg(long, value_name = "SPEC", value_parser = threads, default_value = "2x1.5:code,2x1.0:chat,2x1.0,2x0.5")]
    pub workers: Workers,
    /// What both commands share.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `raddle replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The trace.
    pub trace: PathBuf,
    /// The workers: COUNTxSPEED[:CAPABILITY[+CAPABILITY]], joined by commas; without a capability
    /// a worker serves everything.
    #[arg(long, value_name = "SPEC", value_parser = threads, default_value = "4x1.0,4x0.5")]
    pub workers: Workers,
    /// Divide arrival and service times alike by this; chosen so that a strategy takes about 8 s
    /// if not given.
    #[arg(long, value_name = "X", value_parser = speedup)]
    pub speedup: Option<f64>,
    /// Azure traces: milliseconds of service a context token.
    #[arg(long, value_name = "MS", value_parser = cost, default_value_t = TokenCost::default().context_ms)]
    pub context_token_ms: f64,
    /// Azure traces: milliseconds of service a generated token.
    #[arg(long, value_name = "MS", value_parser = cost, default_value_t = TokenCost::default().generated_ms)]
    pub generated_token_ms: f64,
    /// What both commands share.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Arguments of `raddle simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// What both commands that simulate share.
    #[command(flatten)]
    pub asked: AskedArgs,
    /// Write the figures as CSV, one line a strategy.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// Arguments of `raddle advise`.
#[derive(Debug, Args)]
pub struct AdviseArgs {
    /// What both commands that simulate share.
    #[command(flatten)]
    pub asked: AskedArgs,
    /// What is to be best.
    #[arg(long, value_enum, default_value_t = ObjectiveName::P99)]
    pub objective: ObjectiveName,
    /// How many runs each strategy makes. A trace is the same in all, and only the strategies'
    /// random choices differ; a scenario's load is drawn anew in each.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1_000), default_value_t = 5)]
    pub seeds: u16,
}

/// What both commands that simulate share.
#[derive(Debug, Args)]
pub struct AskedArgs {
    /// The scenario (*.toml) or the trace.
    pub file: PathBuf,
    /// The workers: COUNTxSPEED[:CAPABILITY[+CAPABILITY]], joined by commas; without a capability
    /// a worker serves everything [default: the scenario's own; 4x1.0,4x0.5 for a trace].
    #[arg(long, value_name = "SPEC")]
    pub workers: Option<Workers>,
    /// A strategy by name, or all of them.
    #[arg(long, value_name = "NAME", default_value = "all")]
    pub strategy: Strategies,
    /// So many tasks: of a trace the first, of a scenario instead of its own number.
    #[arg(long, value_name = "N")]
    pub tasks: Option<NonZeroU64>,
    /// Seed of whatever is random [default: the scenario's own; 1 for a trace].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Let tasks come so much faster or slower that this share of the workers' capacity is asked
    /// for.
    #[arg(long, value_name = "X", value_parser = load, conflicts_with = "speedup")]
    pub load: Option<f64>,
    /// Let tasks come X times as fast; how long they take stays.
    #[arg(long, value_name = "X", value_parser = speedup)]
    pub speedup: Option<f64>,
    /// Traces: tasks do not tell beforehand how long they take.
    #[arg(long)]
    pub sizes_unknown: bool,
    /// Azure traces: milliseconds of service a context token.
    #[arg(long, value_name = "MS", value_parser = cost, default_value_t = TokenCost::default().context_ms)]
    pub context_token_ms: f64,
    /// Azure traces: milliseconds of service a generated token.
    #[arg(long, value_name = "MS", value_parser = cost, default_value_t = TokenCost::default().generated_ms)]
    pub generated_token_ms: f64,
    /// Write a page with charts, for a browser.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write each chart of lines as a picture of its own into this folder: percentiles.svg, and of
    /// `advise` load-mean.svg and load-p99.svg.
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What is to be best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ObjectiveName {
    /// The 99th percentile of latency.
    P99,
    /// The mean latency.
    Mean,
    /// Completed tasks a second.
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

/// What both commands share.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A strategy by name, or all of them.
    #[arg(long, value_name = "NAME", default_value = "all")]
    pub strategy: Strategies,
    /// What a worker does for the time of a task.
    #[arg(long, value_enum, default_value_t = Service::Sleep)]
    pub service: Service,
    /// When tasks come: at their own times, or each when another is done [default: open, or
    /// closed with --concurrency].
    #[arg(long, value_enum)]
    pub mode: Option<ModeName>,
    /// Closed loop: so many tasks are in flight at any time [default: one per worker].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub concurrency: Option<u16>,
    /// Reject tasks when a worker has so many waiting [default: there is room for all].
    #[arg(long, value_name = "N")]
    pub mailbox: Option<NonZeroUsize>,
    /// Take the first N tasks only.
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,
    /// Seed of the embedded workload and of random choices.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the figures as CSV, one line a strategy.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// What a worker does for the time of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Sleeps: any number of workers on any machine.
    Sleep,
    /// Computes: as true as the machine has cores.
    Spin,
}

/// When tasks come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// At their own times, however long the queues; latency counts from then.
    Open,
    /// Each when another is done.
    Closed,
}

/// The strategies to run, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategies(pub Vec<StrategyName>);

impl FromStr for Strategies {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "all" {
            return Ok(Self(StrategyName::ALL.to_vec()));
        }
        let names = || StrategyName::ALL.map(StrategyName::as_str).join(", ");
        let strategy = name.parse().map_err(|_| format!("expected all or one of {}", names()))?;
        Ok(Self(vec![strategy]))
    }
}

/// The most workers of a real run: each is a thread.
const MOST_THREADS: usize = 1_024;

fn threads(text: &str) -> Result<Workers, String> {
    let workers: Workers = text.parse().map_err(|error: WorkersError| error.to_string())?;
    match workers.count() {
        ..=MOST_THREADS => Ok(workers),
        count => Err(format!(
            "{count} workers are too many: expected at most {MOST_THREADS}, each is a thread \
             (`raddle simulate` has room for more)"
        )),
    }
}

fn number(text: &str, expected: &str, right: impl Fn(f64) -> bool) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| right(*number));
    number.ok_or_else(|| format!("expected {expected}"))
}

fn speedup(text: &str) -> Result<f64, String> {
    number(text, "a number from 0.001 to 1000000000", |x| (1e-3..=1e9).contains(&x))
}

fn load(text: &str) -> Result<f64, String> {
    let expected = "a share of what the workers can do, a number from 0.001 to 100";
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
    fn a_strategy_has_a_name_or_all_of_them_run() {
        assert_eq!("all".parse(), Ok(Strategies(StrategyName::ALL.to_vec())));
        assert_eq!("random".parse(), Ok(Strategies(vec![StrategyName::Random])));
        let names = StrategyName::ALL.map(StrategyName::as_str).join(", ");
        let expected = format!("expected all or one of {names}");
        assert_eq!("fastest".parse::<Strategies>().unwrap_err(), expected);
    }

    #[test]
    fn speedups_and_costs_are_numbers_that_can_be() {
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
