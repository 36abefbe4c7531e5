//! Runs the commands of the command line.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Parser;
use raddle::sim::Workers;

use crate::args::{Cli, Command, CompareArgs, ModeName, ReplayArgs, RunArgs};
use crate::failure::{End, Failure};
use crate::print::print;
use crate::progress::Progress;
use crate::report::file::OutputFile;
use crate::report::{self, Report, StrategyReport, WorkloadReport, table};
use crate::run::{self, Mode, Plan, RunError};
use crate::simulation;
use crate::stop::Stop;
use crate::trace::{self, Reading};
use crate::workload::{self, Workload};

/// Without `--speedup`, a replay is sped up so that no strategy takes longer than this.
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
    let limit = args.run.limit.map_or(usize::MAX, NonZeroUsize::get);
    let workload = workload::embedded(args.run.seed, limit);
    measure(workload, args.workers, 1.0, "", args.run)
}

fn replay(args: ReplayArgs) -> Result<End, Failure> {
    let limit = args.run.limit.map_or(usize::MAX, NonZeroUsize::get);
    let workload = trace::load(&args.trace, Reading { cost: args.tokens.cost(), limit })?;
    let (speedup, chosen) = match args.speedup {
        Some(speedup) => (speedup, ""),
        None => {
            let mode = mode(&args.run, &args.workers)?;
            (fitting_speedup(&workload, &args.workers, mode), " (chosen; --speedup sets it)")
        }
    };
    measure(workload.speed_up(speedup), args.workers, speedup, chosen, args.run)
}

/// The speedup by which neither the arrivals nor the work take longer than [`LONGEST_REPLAY`].
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
    let [json, csv] = OutputFile::check_all([("--json", &args.json), ("--csv", &args.csv)])?;
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
    if let Some(file) = json {
        file.write(|out| report::json::write(&report, out))?;
    }
    if let Some(file) = csv {
        file.write(|out| report::csv::write(&report, out))?;
    }
    print(&tables(&report))?;
    Ok(if report.workload.interrupted { End::Interrupted } else { End::Complete })
}

/// Runs the strategies one after the other, until all are measured or Ctrl-C stops them.
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
        text += "\nInterrupted: only what was measured before.\n";
    }
    if !report.strategies.is_empty() {
        let (figures, shares) = (table::figures(report), table::shares(&report.strategies));
        text +=
            &format!("\n{figures}\n{}\n\nshare of completed tasks\n{shares}\n", table::legend());
    }
    text
}
