//! `raddle simulate` and `raddle advise`: the strategies on a virtual clock.

mod advised;
mod asked;
mod pages;
mod words;

use std::ops::ControlFlow;
use std::path::PathBuf;

use raddle::sim::{Job, simulate_all};

use crate::app::{End, Failure, print};
use crate::args::{AskedArgs, SimulateArgs};
use crate::progress::Progress;
use crate::report::file::{FileError, OutputFile, OutputFolder};
use crate::report::simulated::{self, Simulated, SimulatedReport};
use crate::report::{json, table};
use crate::stop::Stop;

pub use advised::advise;
use asked::Asked;

/// With more workers than these a table of each one's share is not read by anybody.
const MOST_SHARES: usize = 24;

/// Simulates each strategy on what is asked.
pub fn simulate(args: SimulateArgs) -> Result<End, Failure> {
    let outputs = distinct(&[
        ("--json", &args.asked.json),
        ("--csv", &args.csv),
        ("--report", &args.asked.report),
    ]);
    let [json_file, csv_file, page_file] = outputs?;
    let pictures = folder(&args.asked)?;
    let mut asked = Asked::of(&args.asked)?;
    let stop = Stop::on_ctrl_c()?;
    print(&format!("{}\n", asked.heading()))?;

    let (scenario, contenders) = (&asked.scenario, &asked.contenders);
    let jobs: Vec<_> = contenders.iter().map(|contender| Job { scenario, contender }).collect();
    let progress = Progress::new(scenario.tasks as usize * jobs.len());
    let runs = simulate_all(&jobs, asked.threads, &telling(&progress, &stop), |run| run)?;
    progress.clear();

    let interrupted = runs.iter().any(Option::is_none);
    asked.report.interrupted = interrupted;
    let runs: Vec<_> = runs.into_iter().flatten().collect();
    let strategies = runs.iter().map(Simulated::of).collect();
    let report = SimulatedReport { workload: asked.report.clone(), strategies };
    // Files first: a closed pipe must not lose them.
    if let Some(file) = json_file {
        file.write(|out| json::write(&report, out))?;
    }
    if let Some(file) = csv_file {
        file.write(|out| simulated::write_csv(&report, out))?;
    }
    if page_file.is_some() || pictures.is_some() {
        pages::write(&pages::of_runs(&asked, &runs), page_file, pictures)?;
    }
    let mut text = String::new();
    if interrupted {
        text += "\nInterrupted: the strategies that were done by then.\n";
    }
    if !report.strategies.is_empty() {
        text += &format!("\n{}\n{}\n", simulated::figures(&report.strategies), table::legend());
        text += &shares(&report.strategies);
    }
    print(&text)?;
    Ok(if interrupted { End::Interrupted } else { End::Whole })
}

/// Tells the progress bar how many tasks are done, until it is to stop.
fn telling(progress: &Progress, stop: &Stop) -> impl Fn(u64) -> ControlFlow<()> + Sync {
    progress.start("simulating");
    move |tasks| {
        progress.set(tasks as usize);
        if stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn shares(strategies: &[Simulated]) -> String {
    match strategies.first().map_or(0, |first| first.share.len()) {
        ..=MOST_SHARES => format!("\nshare of completed tasks\n{}\n", table::shares(strategies)),
        workers => format!("\n(--json has the shares of the {workers} workers)\n"),
    }
}

/// Checks the folder of the pictures, if there is to be one.
fn folder(args: &AskedArgs) -> Result<Option<OutputFolder>, FileError> {
    args.svg.as_deref().map(OutputFolder::check).transpose()
}

/// Checks the files that are to be written, which must not be the same.
fn distinct<const N: usize>(
    files: &[(&str, &Option<PathBuf>); N],
) -> Result<[Option<OutputFile>; N], Failure> {
    for (index, (option, file)) in files.iter().enumerate() {
        if let Some(file) = file
            && let Some((other, _)) = files[..index].iter().find(|(_, o)| o.as_ref() == Some(file))
        {
            let (one, other) = ((*other).to_owned(), (*option).to_owned());
            return Err(Failure::SameFile { one, other, file: file.display().to_string() });
        }
    }
    let mut checked = [const { None }; N];
    for (place, (_, file)) in checked.iter_mut().zip(files) {
        *place = file.as_deref().map(OutputFile::check).transpose()?;
    }
    Ok(checked)
}
