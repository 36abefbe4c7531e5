//! `raddle advise`: which strategy, how surely, and why.

use std::num::NonZeroUsize;

use comfy_table::{Cell, Table};
use raddle::sim::{self, Advice, CONFIDENCE, Estimate, Objective, Question, Standing};
use serde::Serialize;

use super::asked::Asked;
use super::{distinct, folder, pages, shares, telling, words};
use crate::app::{End, Failure, print};
use crate::args::AdviseArgs;
use crate::progress::Progress;
use crate::report::json;
use crate::report::simulated::{AskedReport, Simulated};
use crate::report::table::{self, milliseconds, percent, right};
use crate::stop::Stop;

/// Where a page shows latency against load.
const LOADS: [f64; 5] = [0.3, 0.5, 0.7, 0.8, 0.9];

/// Runs at each of those loads.
const SEEDS_PER_LOAD: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// What is advised. Its JSON is part of what the program promises.
#[derive(Debug, Serialize)]
pub struct AdvisedReport {
    /// What was asked of the strategies.
    pub workload: AskedReport,
    /// What was to be best: `p99`, `mean` or `throughput`.
    pub objective: &'static str,
    /// Runs of each strategy.
    pub seeds: usize,
    /// How sure the intervals are.
    pub confidence: f64,
    /// What follows from the figures, in words.
    pub advice: Vec<String>,
    /// The strategies, the best first.
    pub ranking: Vec<Ranked>,
}

/// How one strategy did.
#[derive(Debug, Serialize)]
pub struct Ranked {
    /// The objective, in microseconds or tasks a second.
    pub objective: Interval,
    /// How much worse than the best on the same tasks, in the same unit.
    pub behind: Interval,
    /// Whether it cannot be told from the best.
    pub ties: bool,
    /// Share of the tasks that were not completed.
    pub lost: f64,
    /// Means over the runs.
    #[serde(flatten)]
    pub figures: Simulated,
}

/// A mean and its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Interval {
    /// Of an estimate in nanoseconds or tasks a second.
    fn of(objective: Objective, estimate: &Estimate) -> Self {
        let unit = if objective == Objective::Throughput { 1.0 } else { 1e3 };
        let (low, high) = estimate.interval().unwrap_or((f64::NAN, f64::NAN));
        Self { mean: estimate.mean / unit, low: low / unit, high: high / unit }
    }
}

impl AdvisedReport {
    fn of(advice: &Advice, asked: &Asked, seeds: usize) -> Self {
        let ranked = |standing: &Standing| Ranked {
            objective: Interval::of(advice.objective, &standing.figure),
            behind: Interval::of(advice.objective, &standing.behind),
            ties: standing.ties,
            lost: standing.lost,
            figures: Simulated::of_all(&standing.runs),
        };
        Self {
            workload: asked.report.clone(),
            objective: advice.objective.as_str(),
            seeds,
            confidence: CONFIDENCE,
            advice: words::advice(advice, asked.scenario.sizes_known),
            ranking: advice.ranking.iter().map(ranked).collect(),
        }
    }
}

/// Ranks the strategies on what is asked.
pub fn advise(args: AdviseArgs) -> Result<End, Failure> {
    let [json_file, page_file] =
        distinct(&[("--json", &args.asked.json), ("--report", &args.asked.report)])?;
    let pictures = folder(&args.asked)?;
    let asked = Asked::of(&args.asked)?;
    let seeds = NonZeroUsize::new(usize::from(args.seeds)).unwrap_or(NonZeroUsize::MIN);
    let question = Question {
        scenario: &asked.scenario,
        contenders: &asked.contenders,
        objective: args.objective.into(),
        seeds,
        loads: if page_file.is_some() || pictures.is_some() { &LOADS } else { &[] },
        seeds_per_load: SEEDS_PER_LOAD,
        threads: asked.threads,
    };
    let stop = Stop::on_ctrl_c()?;
    print(&format!("{}; {seeds} runs a strategy\n", asked.heading()))?;
    let progress = Progress::new(question.tasks() as usize);
    let advice = sim::advise(&question, &telling(&progress, &stop))?;
    progress.clear();
    let Some(advice) = advice else {
        print("\nInterrupted: no advice on half of the runs.\n")?;
        return Ok(End::Interrupted);
    };

    let report = AdvisedReport::of(&advice, &asked, seeds.get());
    if let Some(file) = json_file {
        file.write(|out| json::write(&report, out))?;
    }
    if page_file.is_some() || pictures.is_some() {
        pages::write(&pages::of_advice(&asked, &advice, &report), page_file, pictures)?;
    }
    let figures: Vec<_> = report.ranking.iter().map(|ranked| ranked.figures.clone()).collect();
    print(&format!(
        "\n{}\n{}\n{}\n{}\n",
        ranking(advice.objective, &report),
        legend(advice.objective),
        shares(&figures),
        report.advice.join("\n")
    ))?;
    Ok(End::Whole)
}

fn ranking(objective: Objective, report: &AdvisedReport) -> Table {
    let unit = if objective == Objective::Throughput { "tasks/s" } else { "ms" };
    let written = |figure: f64| match objective {
        Objective::Throughput => format!("{figure:.1}"),
        _ => milliseconds(figure),
    };
    let some_lost = report.ranking.iter().any(|ranked| ranked.lost > 0.0);
    let mut headings = vec![
        format!("{} {unit}", objective.as_str()),
        "from".into(),
        "to".into(),
        format!("behind {unit}"),
        "from".into(),
        "to".into(),
    ];
    headings.extend(some_lost.then(|| "lost".to_owned()));
    let rest = ["mean ms", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "tasks/s"];
    headings.extend(rest.map(str::to_owned));
    let best = report.ranking.first().map(|best| best.figures.strategy.as_str());
    let row = |ranked: &Ranked| {
        let is_best = best == Some(&*ranked.figures.strategy);
        let tie = if ranked.ties && !is_best { " =" } else { "" };
        let mut row = vec![Cell::new(format!("{}{tie}", ranked.figures.strategy))];
        for Interval { mean, low, high } in [ranked.objective, ranked.behind] {
            row.extend([mean, low, high].map(|figure| right(written(figure))));
        }
        row.extend(some_lost.then(|| right(percent(ranked.lost))));
        let latency = ranked.figures.latency_us;
        let latencies =
            [latency.mean, latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
        row.extend(latencies.map(|figure| right(milliseconds(figure))));
        row.push(right(table::count(ranked.figures.throughput_per_s)));
        row
    };
    let rows = report.ranking.iter().map(row).collect();
    table::table(headings.iter().map(String::as_str), rows)
}

fn legend(objective: Objective) -> String {
    format!(
        "= cannot be told from the best by its {}; from and to bound a mean with a confidence of \
         {:.0} %; behind is on the same tasks as the best",
        objective.as_str(),
        CONFIDENCE * 100.0
    )
}
