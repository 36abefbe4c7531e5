//! `raddle advise`: which strategy to use, how certain that is, and why.

use std::num::NonZeroUsize;

use raddle::sim::{self, Question};

use super::common::{PageFiles, shares, show};
use super::input::Input;
use super::{pages, words};
use crate::args::AdviseArgs;
use crate::failure::{End, Failure};
use crate::print::{Screen, visible};
use crate::progress::Progress;
use crate::report::advised::{AdvisedReport, COLUMNS};
use crate::report::file::Files;
use crate::report::layout::Layout;
use crate::report::{html, json};
use crate::stop::Stop;

/// The loads at which a page shows latency.
const LOADS: [f64; 5] = [0.3, 0.5, 0.7, 0.8, 0.9];

/// The number of runs at each of those loads.
const SEEDS_PER_LOAD: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Ranks the strategies.
pub fn advise(args: AdviseArgs) -> Result<End, Failure> {
    let AdviseArgs { simulation: args, objective, seeds } = args;
    let mut files = Files::new(Some(("the input", &args.file)))?;
    let page = PageFiles::check(&mut files, &args, html::PICTURES)?;
    let json = files.optional_output("--json", args.json.as_deref())?;
    let screen = Screen::new(files.use_standard_output());
    let layout = Layout::new(args.columns.as_deref(), &COLUMNS, screen)?;
    let input = Input::read(&args, true)?;
    let seeds = NonZeroUsize::new(usize::from(seeds)).unwrap_or(NonZeroUsize::MIN);
    let question = Question {
        scenario: &input.scenario,
        contenders: &input.contenders,
        objective: objective.into(),
        seeds,
        loads: if page.are_none() { &[] } else { &LOADS },
        seeds_per_load: SEEDS_PER_LOAD,
        threads: input.threads,
    };
    let stop = Stop::on_signals().map_err(Failure::Signals)?;
    screen.line(&format!("{}; {seeds} runs per strategy", input.heading()))?;
    let progress = Progress::new(question.tasks() as usize);
    let advice = sim::advise(&question, &show(&progress, &stop))?;
    progress.clear();
    let Some(advice) = advice else {
        screen.print("\nInterrupted: no advice without all runs.\n")?;
        return Ok(End::Interrupted);
    };

    let words = words::advice(&advice, input.scenario.durations_known);
    let report = AdvisedReport::new(input.workload.clone(), seeds.get(), &advice, words);
    if let Some(file) = json {
        file.write(|out| json::write(&report, out))?;
    }
    page.write(|| pages::of_advice(&input, &advice, &report))?;
    let figures: Vec<_> = report.ranking.iter().map(|ranked| ranked.figures.clone()).collect();
    screen.print(&format!(
        "\n{}\n{}\n{}\n{}\n",
        report.table(advice.objective, &layout),
        report.legend(),
        shares(&figures, &layout),
        report.advice.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n")
    ))?;
    Ok(End::Complete)
}
