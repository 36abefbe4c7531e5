//! From the command line to the report.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Parser;
use raddle::sim::{SimError, Workers};
use thiserror::Error;

use crate::args::{Cli, Command, CompareArgs, ModeName, ReplayArgs, RunArgs};
use crate::progress::Progress;
use crate::report::file::{FileError, OutputFile};
use crate::report::{self, Report, StrategyReport, WorkloadReport, table};
use crate::run::{self, Mode, Plan, RunError};
use crate::simulation;
use crate::stop::Stop;
use crate::trace::{self, Reading, TokenCost, TraceError};
use crate::workload::{self, NotServed, Workload};

/// A replay without `--speedup` is sped up so that a strategy is at work about so long at most.
const LONGEST_REPLAY: Duration = Duration::from_secs(8);

/// How a run ended that did not fail.
pub enum End {
    /// All of it was measured.
    Whole,
    /// Ctrl-C.
    Interrupted,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum Failure {
    /// The trace is not one.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A report cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The scenario is not one.
    #[error(transparent)]
    Scenario(#[from] raddle::sim::FileError),
    /// Two reports would be the same file.
    #[error("{one} and {other} name the same file {file}: expected two files")]
    SameFile {
        /// An option.
        one: String,
        /// Another.
        other: String,
        /// What both name.
        file: String,
    },
    /// A load that arrivals cannot be scaled to.
    #[error(
        "--load {load} cannot be had: the tasks come all at once or take no time, so that there is \
         no load to scale (expected a trace or scenario with both)"
    )]
    NoLoad {
        /// What was asked for.
        load: f64,
    },
    /// Too many capability names.
    #[error(transparent)]
    Capability(#[from] raddle::core::CapabilityError),
    /// It cannot be simulated.
    #[error("cannot simulate: {0}")]
    Simulation(#[from] SimError),
    /// The two contradict each other.
    #[error("--concurrency is for the closed loop: leave it out or say --mode closed")]
    OpenConcurrency,
    /// Nobody could do some of the tasks.
    #[error(transparent)]
    NotServed(#[from] NotServed),
    /// Ctrl-C could not be listened to.
    #[error("cannot listen for Ctrl-C: {0}")]
    CtrlC(#[from] ctrlc::Error),
    /// A strategy could not be measured.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The table could not be printed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<End, Failure> {
    match cli.command {
        Some(Command::Replay(args)) => replay(args),
        Some(Command::Compare(args)) => compare(args),
        Some(Command::Simulate(args)) => simulation::simulate(args),
        Some(Command::Advise(args)) => simulation::advise(args),
        None => match Cli::parse_from(["raddle", "compare"]).command {
            Some(Command::Compare(args)) => compare(args),
            _ => unreachable!("`raddle compare` is the command compare"),
        },
    }
}

fn compare(args: CompareArgs) -> Result<End, Failure> {
    let limit = args.run.limit.map_or(usize::MAX, NonZeroUsize::get);
    let workload = workload::embedded(args.run.seed, limit);
    measure(workload, args.workers, 1.0, "", args.run)
}

fn replay(args: ReplayArgs) -> Result<End, Failure> {
    let cost =
        TokenCost { context_ms: args.context_token_ms, generated_ms: args.generated_token_ms };
    let limit = args.run.limit.map_or(usize::MAX, NonZeroUsize::get);
    let workload = trace::load(&args.trace, Reading { cost, limit })?;
    let (speedup, chosen) = match args.speedup {
        Some(speedup) => (speedup, ""),
        None => {
            let mode = mode(&args.run, &args.workers)?;
            (fitting_speedup(&workload, &args.workers, mode), " (chosen; --speedup sets it)")
        }
    };
    measure(workload.speed_up(speedup), args.workers, speedup, chosen, args.run)
}

/// The speed-up by which neither the arrivals nor the work take longer than [`LONGEST_REPLAY`].
fn fitting_speedup(workload: &Workload, workers: &Workers, mode: Mode) -> f64 {
    let work = Duration::from_secs_f64(workload.work_s() / workers.capacity());
    let busiest = if mode == Mode::Open { work.max(workload.span()) } else { work };
    Workload::speedup_to_fit(busiest, LONGEST_REPLAY)
}

fn mode(args: &RunArgs, workers: &Workers) -> Result<Mode, Failure> {
    let closed =
        || Mode::Closed { concurrency: args.concurrency.map_or(workers.count(), usize::from) };
    match args.mode {
        Some(ModeName::Open) if args.concurrency.is_some() => Err(Failure::OpenConcurrency),
        Some(ModeName::Closed) => Ok(closed()),
        None if args.concurrency.is_some() => Ok(closed()),
        _ => Ok(Mode::Open),
    }
}

fn measure(
    workload: Workload,
    workers: Workers,
    speedup: f64,
    chosen: &str,
    args: RunArgs,
) -> Result<End, Failure> {
    let mode = mode(&args, &workers)?;
    workload.check_served_by(&workers)?;
    let outputs = Outputs::check(&args)?;
    let plan = Plan {
        workload,
        workers,
        mode,
        service: args.service,
        mailbox: args.mailbox.map(NonZeroUsize::get),
        seed: args.seed,
    };
    let stop = Stop::on_ctrl_c()?;
    print(&format!("{}\n", heading(&plan, speedup, chosen)))?;
    let strategies = strategies(&args, &plan, &stop)?;
    let report = Report { workload: describe(&plan, speedup, stop.is_set()), strategies };
    // Files first: a closed pipe must not lose them.
    outputs.write(&report)?;
    print(&tables(&report))?;
    Ok(if report.workload.interrupted { End::Interrupted } else { End::Whole })
}

/// Runs the strategies one after the other, until all are measured or it is to stop.
fn strategies(args: &RunArgs, plan: &Plan, stop: &Stop) -> Result<Vec<StrategyReport>, RunError> {
    let names = &args.strategy.0;
    let tasks = plan.workload.requests.len();
    let progress = Progress::new(names.len() * tasks);
    let mut reports = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if stop.is_set() {
            break;
        }
        progress.start(&name.to_string());
        let done = |completed| progress.set(index * tasks + completed);
        reports.push(run::run(*name, plan, stop, done)?);
    }
    progress.clear();
    Ok(reports)
}

/// The files that were asked for.
struct Outputs {
    json: Option<OutputFile>,
    csv: Option<OutputFile>,
}

impl Outputs {
    fn check(args: &RunArgs) -> Result<Self, Failure> {
        if let (Some(json), Some(csv)) = (&args.json, &args.csv)
            && json == csv
        {
            let (one, other) = ("--json".to_owned(), "--csv".to_owned());
            return Err(Failure::SameFile { one, other, file: json.display().to_string() });
        }
        let check = |path: &Option<_>| path.as_deref().map(OutputFile::check).transpose();
        Ok(Self { json: check(&args.json)?, csv: check(&args.csv)? })
    }

    fn write(&self, report: &Report) -> Result<(), FileError> {
        if let Some(file) = &self.json {
            file.write(|out| report::json::write(report, out))?;
        }
        if let Some(file) = &self.csv {
            file.write(|out| report::csv::write(report, out))?;
        }
        Ok(())
    }
}

fn describe(plan: &Plan, speedup: f64, interrupted: bool) -> WorkloadReport {
    WorkloadReport {
        source: plan.workload.source.clone(),
        tasks: plan.workload.requests.len(),
        seed: plan.seed,
        speedup,
        span_s: plan.workload.span().as_secs_f64(),
        work_s: plan.workload.work_s(),
        mode: plan.mode,
        service: plan.service,
        workers: plan.workers.to_string(),
        mailbox: plan.mailbox,
        interrupted,
    }
}

fn heading(plan: &Plan, speedup: f64, chosen: &str) -> String {
    let Plan { workload, workers, .. } = plan;
    let (span, work, capacity) =
        (workload.span().as_secs_f64(), workload.work_s(), workers.capacity());
    let mode = match plan.mode {
        Mode::Open if span > 0.0 => {
            format!("open loop over {span:.2} s, load {:.0} %", work / capacity / span * 100.0)
        }
        Mode::Open => "open loop, all at once".into(),
        Mode::Closed { concurrency } => format!("closed loop, {concurrency} in flight"),
    };
    format!(
        "{}: {} tasks, {work:.2} s of work at speed 1; workers {workers}; {mode}; \
         speedup {speedup}{chosen}",
        workload.source,
        workload.requests.len(),
    )
}

fn tables(report: &Report) -> String {
    let mut text = String::new();
    if report.workload.interrupted {
        text += "\nInterrupted: what was measured until then.\n";
    }
    if !report.strategies.is_empty() {
        let (figures, shares) = (table::figures(report), table::shares(&report.strategies));
        text +=
            &format!("\n{figures}\n{}\n\nshare of completed tasks\n{shares}\n", table::legend());
    }
    text
}

/// Prints; that nobody reads on is no failure.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
