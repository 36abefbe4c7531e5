//! `raddle simulate`: each strategy on the same workload.

use raddle::sim::{Job, simulate_all};

use super::common::{PageFiles, shares, show};
use super::input::Input;
use super::pages;
use crate::args::SimulateArgs;
use crate::failure::{End, Failure};
use crate::print::Screen;
use crate::progress::Progress;
use crate::report::file::Files;
use crate::report::html;
use crate::report::layout::Layout;
use crate::report::simulated::{self, Simulated, SimulatedReport};
use crate::report::{json, table};
use crate::stop::Stop;

/// Simulates each strategy.
pub fn simulate(args: SimulateArgs) -> Result<End, Failure> {
    let SimulateArgs { simulation: args, csv } = args;
    let mut files = Files::new(Some(("the input", &args.file)))?;
    let page = PageFiles::check(&mut files, &args, &html::PICTURES[..1])?;
    let json = files.optional_output("--json", args.json.as_deref())?;
    let csv = files.optional_output("--csv", csv.as_deref())?;
    let screen = Screen::new(files.use_standard_output());
    let layout = Layout::new(args.columns.as_deref(), &simulated::names(), screen)?;
    let mut input = Input::read(&args, false)?;
    let stop = Stop::on_signals().map_err(Failure::Signals)?;
    screen.line(&input.heading())?;

    let (scenario, contenders) = (&input.scenario, &input.contenders);
    let jobs: Vec<_> = contenders.iter().map(|contender| Job { scenario, contender }).collect();
    let progress = Progress::new((scenario.tasks as usize).saturating_mul(jobs.len()));
    let runs = simulate_all(&jobs, input.threads, &show(&progress, &stop), |run| run)?;
    progress.clear();

    let interrupted = runs.iter().any(Option::is_none);
    input.workload.interrupted = interrupted;
    let runs: Vec<_> = runs.into_iter().flatten().collect();
    let strategies = runs.iter().map(Simulated::of).collect();
    let report = SimulatedReport { workload: input.workload.clone(), strategies };
    // Files first: a closed pipe must not lose them.
    if let Some(file) = json {
        file.write(|out| json::write(&report, out))?;
    }
    if let Some(file) = csv {
        file.write(|out| simulated::write_csv(&report, out))?;
    }
    page.write(|| pages::of_runs(&input, &runs))?;
    let mut text = String::new();
    if interrupted {
        text += "\nInterrupted: only the strategies that were finished before.\n";
    }
    if !report.strategies.is_empty() {
        let figures = simulated::figures(&report.strategies, &layout);
        let tasks = report.workload.tasks - report.workload.warm_up;
        text += &format!("\n{figures}\n{}\n", table::legend(tasks));
        text += &shares(&report.strategies, &layout);
    }
    screen.print(&text)?;
    Ok(if interrupted { End::Interrupted } else { End::Complete })
}
