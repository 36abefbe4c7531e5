//! The command line.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use raddle::sim::{Objective, Workers, WorkersError};
use raddle::strategies::StrategyName;
use serde::Serialize;

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
    /// `TIMESTAMP,ContextTokens,GeneratedTokens`. Lines must be in order of arrival.
    Replay(ReplayArgs),
    /// Simulate the strategies on a virtual clock, with up to 100,000 workers.
    ///
    /// FILE is a scenario (if its name ends in .toml) or a trace as for `replay`. docs/scenarios
    /// has example scenarios; the documentation of `Scenario::from_toml` lists every key.
    Simulate(SimulateArgs),
    /// Recommend a strategy for a trace or a scenario, with the reasons.
    ///
    /// Each strategy is simulated with several seeds. A strategy ties with the best if their
    /// difference is not significant at 95 % confidence.
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
    /// The trace.
    pub trace: PathBuf,
    /// The workers: COUNTxSPEED[:CAPABILITY[+CAPABILITY]], separated by commas; without a
    /// capability a worker serves every task.
    #[arg(long, value_name = "SPEC", value_parser = threads, default_value = "4x1.0,4x0.5")]
    pub workers: Workers,
    /// Divide arrival and service times by X [default: as needed for at most about 8 s per
    /// strategy].
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
    /// Azure traces: milliseconds of service per context token.
    #[arg(long, value_name = "MS", value_parser = cost, default_value_t = TokenCost::default().context_ms)]
    context_token_ms: f64,
    /// Azure traces: milliseconds of service per generated token.
    #[arg(long, value_name = "MS", value_parser = cost, default_value_t = TokenCost::default().generated_ms)]
    generated_token_ms: f64,
}

impl TokenArgs {
    /// Returns the cost of tokens.
    pub fn cost(&self) -> TokenCost {
        TokenCost { context_ms: self.context_token_ms, generated_ms: self.generated_token_ms }
    }
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
    /// random choices; of a scenario, each generates new tasks.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1_000), default_value_t = 5)]
    pub seeds: u16,
}

/// Options of both simulating commands.
#[derive(Debug, Args)]
pub struct SimulationArgs {
    /// The scenario (*.toml) or the trace.
    pub file: PathBuf,
    /// The workers: COUNTxSPEED[:CAPABILITY[+CAPABILITY]], separated by commas; without a
    /// capability a worker serves every task [default: those of the scenario; 4x1.0,4x0.5 for a
    /// trace].
    #[arg(long, value_name = "SPEC")]
    pub workers: Option<Workers>,
    /// A strategy, or all of them.
    #[arg(long, value_name = "NAME", default_value = "all")]
    pub strategy: Strategies,
    /// The number of tasks: the first N of a trace [default: all of a trace; the number in the
    /// scenario].
    #[arg(long, value_name = "N")]
    pub tasks: Option<NonZeroU64>,
    /// The seed of all random choices [default: that of the scenario; 1 for a trace].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Scale the times between arrivals so that the offered work is X times the workers' capacity.
    #[arg(long, value_name = "X", value_parser = load, conflicts_with = "speedup")]
    pub load: Option<f64>,
    /// Divide the times between arrivals by X; service times stay the same.
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
    /// Write the figures as JSON.
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
    /// A strategy, or all of them.
    #[arg(long, value_name = "NAME", default_value = "all")]
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
    /// The capacity of a worker's mailbox, which rejects further tasks [default: room for all tasks,
    /// but at most about a million in all mailboxes; then submitting waits].
    #[arg(long, value_name = "N")]
    pub mailbox: Option<NonZeroUsize>,
    /// Use only the first N tasks.
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,
    /// The seed of the embedded workload and of random choices.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the figures as JSON.
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
    fn a_strategy_is_a_name_or_all() {
        assert_eq!("all".parse(), Ok(Strategies(StrategyName::ALL.to_vec())));
        assert_eq!("random".parse(), Ok(Strategies(vec![StrategyName::Random])));
        let names = StrategyName::ALL.map(StrategyName::as_str).join(", ");
        let expected = format!("expected all or one of {names}");
        assert_eq!("fastest".parse::<Strategies>().unwrap_err(), expected);
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
