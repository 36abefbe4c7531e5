//! Runs the commands of the command line.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Parser;
use raddle::sim::{Scenario, Workers};

use crate::args::{Cli, Command, CompareArgs, ModeName, ReplayArgs, RunArgs};
use crate::failure::{End, Failure};
use crate::print::{Screen, warn};
use crate::progress::Progress;
use crate::report::distortion::Pace;
use crate::report::file::{FileError, Files, OutputFile};
use crate::report::layout::Layout;
use crate::report::{self, Report, StrategyReport, WorkloadReport, distortion, table};
use crate::run::{self, MOST_MAILBOX_ROOM, Mode, Plan, RunError};
use crate::simulation;
use crate::source;
use crate::stop::Stop;
use crate::trace::{self, Reading};
use crate::workload::{self, Workload};

/// Without `--speedup`, a replay is sped up so that no strategy takes much longer than this.
const LONGEST_REPLAY: Duration = Duration::from_secs(8);

/// Runs the command.
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
    let outputs = Outputs::check(Files::new(None)?, &args.run)?;
    let limit = args.run.limit.map_or(usize::MAX, NonZeroUsize::get);
    let workload = workload::embedded(args.run.seed, limit);
    measure(workload, args.workers, Speedup::None, args.run, outputs)
}

fn replay(args: ReplayArgs) -> Result<End, Failure> {
    let outputs = Outputs::check(Files::new(Some(("the trace", &args.trace)))?, &args.run)?;
    let limit = args.run.limit.map_or(usize::MAX, NonZeroUsize::get);
    let bytes = source::read("trace", &args.trace)?;
    if source::is_scenario(&args.trace, &bytes) {
        return Err(Failure::NotReplayed { path: args.trace });
    }
    let reading = Reading { cost: args.tokens.cost(), limit };
    let workload = trace::load(&args.trace, &bytes, reading)?;
    drop(bytes);
    args.tokens.check_used(workload.has_tokens)?;
    let speedup = match args.speedup {
        Some(speedup) => Speedup::Given(speedup),
        None => {
            let length = length(&workload, &args.workers, mode(&args.run, &args.workers)?);
            Speedup::Chosen(Workload::speedup_to_fit(length, LONGEST_REPLAY))
        }
    };
    check_speedup(&workload, speedup)?;
    measure(workload, args.workers, speedup, args.run, outputs)
}

/// How much faster than its own time a workload runs.
#[derive(Clone, Copy)]
enum Speedup {
    /// The command cannot speed up.
    None,
    Given(f64),
    Chosen(f64),
}

impl Speedup {
    fn factor(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Given(factor) | Self::Chosen(factor) => factor,
        }
    }

    fn words(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Given(factor) => format!("; speedup {factor}"),
            Self::Chosen(factor) => format!("; speedup {factor} (chosen; --speedup sets it)"),
        }
    }
}

/// Returns about how long a strategy takes without speedup: as long as the arrivals or the work,
/// and at least as long as the longest task at the slowest worker.
fn length(workload: &Workload, workers: &Workers, mode: Mode) -> Duration {
    let work = Duration::from_secs_f64(workload.work_s() / workers.capacity());
    let slowest = workers.plans().iter().map(|worker| worker.speed).fold(f64::INFINITY, f64::min);
    let work = work.max(workload.longest().div_f64(slowest));
    if mode == Mode::Open { work.max(workload.span()) } else { work }
}

/// Checks that tasks keep a length, as a simulation does.
fn check_speedup(workload: &Workload, speedup: Speedup) -> Result<(), Failure> {
    let mean = workload.work_s() / workload.requests.len() as f64;
    let most = (mean / Scenario::SHORTEST_MEAN.as_secs_f64()).max(1.0);
    match speedup {
        // Without service times there is nothing to round.
        _ if mean == 0.0 || speedup.factor() <= most => Ok(()),
        Speedup::Chosen(_) => Err(Failure::NoSpeedup { longest: LONGEST_REPLAY, most }),
        _ => Err(Failure::Speedup { speedup: speedup.factor(), most }),
    }
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
    speedup: Speedup,
    args: RunArgs,
    outputs: Outputs,
) -> Result<End, Failure> {
    let Outputs { json, csv, screen } = outputs;
    let layout = Layout::new(args.columns.as_deref(), &table::names(), screen)?;
    let mode = mode(&args, &workers)?;
    workload.check_served_by(&workers)?;
    check_mailbox(args.mailbox, workers.count())?;
    let (heading, workload_report) = (
        heading(&workload, &workers, mode, speedup),
        describe(&workload, &workers, mode, speedup, &args),
    );
    let pace = match speedup {
        Speedup::None => None,
        _ => Some(Pace { speedup: speedup.factor(), length: length(&workload, &workers, mode) }),
    };
    let plan = Plan {
        workload: workload.speed_up(speedup.factor()),
        speedup: speedup.factor(),
        workers,
        mode,
        service: args.service,
        mailbox: args.mailbox.map(NonZeroUsize::get),
        seed: args.seed,
    };
    let stop = Stop::on_signals().map_err(Failure::Signals)?;
    screen.line(&heading)?;
    let mut warnings = Vec::from_iter(distortion::crowded(plan.service, plan.workers.count()));
    warnings.iter().for_each(|warning| warn(warning));
    let strategies = strategies(&args, &plan, &stop)?;
    let distortions = distortion::distortions(&strategies, plan.service, pace);
    let workload = WorkloadReport { interrupted: stop.is_set(), ..workload_report };
    warnings.extend_from_slice(&distortions);
    let report = Report { workload, strategies, warnings };
    // Files first: a closed pipe must not lose them.
    if let Some(file) = json {
        file.write(|out| report::json::write(&report, out))?;
    }
    if let Some(file) = csv {
        file.write(|out| report::csv::write(&report, out))?;
    }
    screen.print(&tables(&report, &layout))?;
    distortions.iter().for_each(|warning| warn(warning));
    Ok(if report.workload.interrupted { End::Interrupted } else { End::Complete })
}

/// Checks that the mailboxes fit into memory.
fn check_mailbox(mailbox: Option<NonZeroUsize>, workers: usize) -> Result<(), Failure> {
    let most = MOST_MAILBOX_ROOM / workers;
    match mailbox.map(NonZeroUsize::get) {
        Some(mailbox) if mailbox > most => Err(Failure::Mailbox { mailbox, workers, most }),
        _ => Ok(()),
    }
}

/// Where the results go.
struct Outputs {
    json: Option<OutputFile>,
    csv: Option<OutputFile>,
    screen: Screen,
}

impl Outputs {
    fn check(mut files: Files, args: &RunArgs) -> Result<Self, FileError> {
        let json = files.optional_output("--json", args.json.as_deref())?;
        let csv = files.optional_output("--csv", args.csv.as_deref())?;
        Ok(Self { json, csv, screen: Screen::new(files.use_standard_output()) })
    }
}

/// Runs the strategies one after the other, until all are measured or a signal stops them.
fn strategies(args: &RunArgs, plan: &Plan, stop: &Stop) -> Result<Vec<StrategyReport>, RunError> {
    let choices = args.strategy.choices(false);
    let tasks = plan.workload.requests.len();
    let progress = Progress::new(choices.len() * tasks);
    let mut reports = Vec::new();
    for (index, choice) in choices.into_iter().enumerate() {
        if stop.is_set() {
            break;
        }
        progress.start(&choice.to_string());
        let done = |completed| progress.set(index * tasks + completed);
        reports.push(run::run(choice, plan, stop, done)?);
    }
    progress.clear();
    Ok(reports)
}

fn describe(
    workload: &Workload,
    workers: &Workers,
    mode: Mode,
    speedup: Speedup,
    args: &RunArgs,
) -> WorkloadReport {
    WorkloadReport {
        source: workload.source.clone(),
        tasks: workload.requests.len(),
        seed: args.seed,
        speedup: speedup.factor(),
        span_s: workload.span().as_secs_f64(),
        work_s: workload.work_s(),
        mode,
        service: args.service,
        workers: workers.to_string(),
        mailbox: args.mailbox.map(NonZeroUsize::get),
        interrupted: false,
    }
}

fn heading(workload: &Workload, workers: &Workers, mode: Mode, speedup: Speedup) -> String {
    let (span, work, capacity) =
        (workload.span().as_secs_f64(), workload.work_s(), workers.capacity());
    let mode = match mode {
        Mode::Open if span > 0.0 => {
            format!("open loop over {span:.2} s, load {:.0} %", work / capacity / span * 100.0)
        }
        Mode::Open => "open loop, all at once".into(),
        Mode::Closed { concurrency } => format!("closed loop, {concurrency} in flight"),
    };
    format!(
        "{}: {} tasks, {work:.2} s of work at speed 1; workers {workers}; {mode}{}",
        workload.source,
        workload.requests.len(),
        speedup.words()
    )
}

fn tables(report: &Report, layout: &Layout) -> String {
    let mut text = String::new();
    if report.workload.interrupted {
        text += "\nInterrupted: only what was measured before.\n";
    }
    if !report.strategies.is_empty() {
        let (figures, shares) =
            (table::figures(report, layout), table::shares(&report.strategies, layout));
        text += &format!(
            "\n{figures}\n{}\n{}\n\nshare of completed tasks\n{shares}\n",
            table::legend(report.workload.tasks as u64),
            distortion::measured(report)
        );
    }
    text
}
