use std::num::NonZeroUsize;
use std::time::Duration;

use crate::contest::{Contender, Job, Progress, simulate_all};
use crate::random::{Purpose, rng};
use crate::ranking::{Results, rank};
use crate::resample::{block_length, resample};
use crate::{Facts, LOSS_TOLERANCE, Objective, Run, Scenario, SimError, Standing};

/// The number of traces that [`advise`] draws from a trace by the block bootstrap, to learn how
/// much the figures of another trace of the same origin would differ. Each strategy runs on each of
/// them.
pub const RESAMPLES: usize = 20;

/// If even the best strategy completes this share of the tasks offered per second, the tasks set
/// the throughput, not the strategies.
const KEEPS_UP: f64 = 0.98;

/// If no figure is further from the best than this share of it, the load does not exercise the
/// objective.
const NO_DIFFERENCE: f64 = 0.01;

/// The question that [`advise`] answers: which strategy suits these workers and this load?
#[derive(Debug)]
pub struct Question<'a> {
    /// The workers and their load. The first run uses the scenario's seed, and each further run
    /// the next one.
    pub scenario: &'a Scenario,
    /// The strategies to compare.
    pub contenders: &'a [Contender],
    /// The figure to rank by. If there are too few tasks for a percentile, a lower one
    /// [takes its place](Objective::supported_by).
    pub objective: Objective,
    /// Runs per strategy, each with its own seed. Confidence intervals need at least two.
    ///
    /// A random load has different tasks with each seed. A trace always has the same tasks, and
    /// only the strategies' random choices differ; the intervals are those of [`RESAMPLES`] further
    /// runs on resampled traces.
    pub seeds: NonZeroUsize,
    /// Loads at which to run each strategy as well, in any order; empty for no curves.
    pub loads: &'a [f64],
    /// Runs per strategy at each of these loads.
    pub seeds_per_load: NonZeroUsize,
    /// Threads to run on. The results do not depend on it.
    pub threads: NonZeroUsize,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// The figure that was asked for.
    pub asked: Objective,
    /// The figure ranked by.
    pub objective: Objective,
    /// What may be concluded from the ranking.
    pub conclusion: Conclusion,
    /// Measured tasks of one strategy: those of all seeds, or for a trace, which is the same with
    /// each seed, those of one.
    pub tasks: u64,
    /// The number of successive tasks in a block of a resampled trace; `None` if the load is
    /// random.
    pub block_tasks: Option<usize>,
    /// The scenario in figures.
    pub facts: Facts,
    /// The strategies, best first.
    pub ranking: Vec<Standing>,
    /// Latency by load, in the order of the ranking.
    pub curves: Vec<Curve>,
}

/// What may be concluded from a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conclusion {
    /// The first strategy of the ranking is better than some other one.
    Best,
    /// There are too few tasks for the objective and for every lower percentile that counts.
    TooFewTasks,
    /// There is only one strategy.
    Alone,
    /// The load does not exercise the throughput: the best strategy completes tasks as fast as they
    /// arrive.
    KeepsUp,
    /// The load does not exercise the objective: that of every strategy is within 1 % of the best.
    Alike,
    /// No strategy differs significantly from the first.
    Undecided,
}

/// The latencies of one strategy by load.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The strategy's name.
    pub strategy: String,
    /// The points, by ascending load.
    pub points: Vec<CurvePoint>,
}

/// The latencies at one load, as means over the seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The offered load, as a share of the workers' capacity.
    pub load: f64,
    /// The mean sojourn.
    pub mean: Duration,
    /// The 99th percentile of the sojourn.
    pub p99: Duration,
}

/// Runs every strategy on the scenario and ranks the strategies; returns `None` if `progress`
/// stopped it.
///
/// `progress` is called with the number of tasks simulated so far, out of [`Question::tasks`].
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::ops::ControlFlow;
/// use std::time::Duration;
///
/// use raddle_sim::{Arrivals, Load, Objective, Question, Scenario, Service, SimWorker, advise};
/// use raddle_strategies::StrategyName;
///
/// let load = Load::new(
///     Arrivals::Poisson { rate: 3_200.0 },
///     Service::Exponential { mean: Duration::from_millis(1) },
/// );
/// let scenario =
///     Scenario { tasks: 20_000, warm_up: 2_000, ..Scenario::new(SimWorker::equal(4), load) };
/// let question = Question {
///     scenario: &scenario,
///     contenders: &[StrategyName::Random.into(), StrategyName::LeastLoaded.into()],
///     objective: Objective::P99,
///     seeds: NonZeroUsize::new(3).unwrap(),
///     loads: &[],
///     seeds_per_load: NonZeroUsize::MIN,
///     threads: NonZeroUsize::MIN,
/// };
/// let advice = advise(&question, &|_| ControlFlow::Continue(()))?.unwrap();
/// assert_eq!(advice.ranking[0].strategy, "least_loaded");
/// assert!(!advice.ranking[1].ties);
/// # Ok::<(), raddle_sim::SimError>(())
/// ```
///
/// # Errors
/// If the scenario is [not valid](Scenario::validate), or the percentile is not 1 to 99.
pub fn advise(
    question: &Question<'_>,
    progress: &Progress<'_>,
) -> Result<Option<Advice>, SimError> {
    let Question { scenario, contenders, objective: asked, threads, .. } = *question;
    asked.validate()?;
    let tasks = question.measured_tasks();
    let objective = asked.supported_by(tasks).unwrap_or(asked);
    let mut seeded = with_seeds(scenario, question.seeds);
    seeded[0].record_sojourns = scenario.load.is_recorded();
    let jobs = jobs(seeded.iter(), contenders);
    // Only the length of the blocks is kept of the sojourns: they take more room than a trace.
    let runs = simulate_all(&jobs, threads, progress, |mut run| {
        let block = dependence(objective, &std::mem::take(&mut run.sojourns));
        (run, block)
    })?;
    let Some(runs) = runs.into_iter().collect::<Option<Vec<(Run, usize)>>>() else {
        return Ok(None);
    };
    let done = jobs.iter().map(|job| job.scenario.tasks).sum::<u64>();
    let block = runs.iter().map(|(_, block)| *block).max().unwrap_or(1);
    let resampled = resampled(question, objective, block, &|tasks| progress(done + tasks))?;
    let Some(resampled) = resampled else {
        return Ok(None);
    };
    let done = done + question.resampled_tasks();
    let mut runs = runs.into_iter().map(|(run, _)| run);
    let results = |(contender, resampled): (&Contender, Vec<f64>)| Results {
        strategy: contender.name().to_owned(),
        runs: runs.by_ref().take(seeded.len()).collect(),
        resampled,
    };
    let ranking = rank(objective, contenders.iter().zip(resampled).map(results).collect());

    let Some(curves) = curves(question, &|tasks| progress(done + tasks))? else {
        return Ok(None);
    };
    let curve = |standing: &Standing| {
        curves.iter().find(|curve| curve.strategy == standing.strategy).cloned()
    };
    Ok(Some(Advice {
        asked,
        objective,
        conclusion: conclude(scenario, objective, tasks, &ranking),
        tasks,
        block_tasks: scenario.load.is_recorded().then_some(block),
        facts: scenario.facts(),
        curves: ranking.iter().filter_map(curve).collect(),
        ranking,
    }))
}

/// Returns every run of these scenarios, those of one strategy in a row.
fn jobs<'a>(
    scenarios: impl Iterator<Item = &'a Scenario> + Clone,
    contenders: &'a [Contender],
) -> Vec<Job<'a>> {
    let of = |contender| scenarios.clone().map(move |scenario| Job { scenario, contender });
    contenders.iter().flat_map(of).collect()
}

/// Returns the length of the blocks that keep the dependence of what the objective measures: of the
/// sojourns, or for a percentile of whether they exceed it.
fn dependence(objective: Objective, sojourns: &[Option<Duration>]) -> usize {
    let mut series: Vec<f64> = sojourns.iter().flatten().map(Duration::as_secs_f64).collect();
    if let Objective::Percentile(percent) = objective
        && !series.is_empty()
    {
        let mut sorted = series.clone();
        let index = (sorted.len() - 1) * usize::from(percent) / 100;
        let (_, quantile, _) = sorted.select_nth_unstable_by(index, f64::total_cmp);
        let quantile = *quantile;
        series.iter_mut().for_each(|sojourn| *sojourn = f64::from(*sojourn > quantile));
    }
    block_length(&series)
}

/// Runs every strategy on the resampled traces, and returns the objective in each run, by strategy;
/// no figures if the load is random, and `None` if `progress` stopped it.
fn resampled(
    question: &Question<'_>,
    objective: Objective,
    block: usize,
    progress: &Progress<'_>,
) -> Result<Option<Vec<Vec<f64>>>, SimError> {
    let Question { scenario, contenders, threads, .. } = *question;
    let mut figures = vec![Vec::with_capacity(RESAMPLES); contenders.len()];
    if !scenario.load.is_recorded() || contenders.is_empty() {
        return Ok(Some(figures));
    }
    let bare = Scenario { sample_interval: None, ..scenario.clone() };
    let of_number = |number: usize| {
        let seed = scenario.seed.wrapping_add((question.seeds.get() + number) as u64);
        let tasks = scenario.tasks_of_a_run();
        let load = resample(&scenario.load, tasks, block, &mut rng(seed, Purpose::Blocks));
        Scenario { seed, load, ..bare.clone() }
    };
    // A few at a time: each is as large as the trace.
    let at_once = threads.get().div_ceil(contenders.len());
    for first in (0..RESAMPLES).step_by(at_once) {
        let scenarios: Vec<Scenario> =
            (first..RESAMPLES.min(first + at_once)).map(of_number).collect();
        let done = (first * contenders.len()) as u64 * scenario.tasks;
        let jobs = jobs(scenarios.iter(), contenders);
        let all = simulate_all(&jobs, threads, &|tasks| progress(done + tasks), |run| {
            objective.of(&run)
        })?;
        let Some(all) = all.into_iter().collect::<Option<Vec<f64>>>() else {
            return Ok(None);
        };
        for (own, of_strategy) in figures.iter_mut().zip(all.chunks(scenarios.len())) {
            own.extend(of_strategy);
        }
    }
    Ok(Some(figures))
}

fn conclude(
    scenario: &Scenario,
    objective: Objective,
    tasks: u64,
    ranking: &[Standing],
) -> Conclusion {
    if tasks < objective.tasks_needed() {
        return Conclusion::TooFewTasks;
    }
    let Some((best, others @ [_, ..])) = ranking.split_first() else {
        return Conclusion::Alone;
    };
    let keeps_up = objective == Objective::Throughput
        && best.figure.mean >= KEEPS_UP * scenario.offered_rate();
    let alike = |other: &Standing| {
        other.behind.mean <= NO_DIFFERENCE * best.figure.mean
            && (other.lost - best.lost).abs() <= LOSS_TOLERANCE
    };
    if keeps_up {
        Conclusion::KeepsUp
    } else if others.iter().all(alike) {
        Conclusion::Alike
    } else if others.iter().all(|other| other.ties) {
        Conclusion::Undecided
    } else {
        Conclusion::Best
    }
}

impl Question<'_> {
    /// Returns the number of tasks to simulate in all runs together.
    pub fn tasks(&self) -> u64 {
        let runs = self.seeds.get() + self.loads.len() * self.seeds_per_load.get();
        let tasks = self.scenario.tasks.saturating_mul((runs * self.contenders.len()) as u64);
        tasks.saturating_add(self.resampled_tasks())
    }

    fn resampled_tasks(&self) -> u64 {
        let runs = if self.scenario.load.is_recorded() { RESAMPLES } else { 0 };
        self.scenario.tasks.saturating_mul((runs * self.contenders.len()) as u64)
    }

    /// Returns the number of measured tasks that are not the same in several runs.
    fn measured_tasks(&self) -> u64 {
        let of_one = self.scenario.measured_tasks();
        if self.scenario.load.is_recorded() {
            return of_one;
        }
        of_one.saturating_mul(self.seeds.get() as u64)
    }
}

/// Repeats the scenario with `seeds` seeds. Only the first samples queue lengths: one timeline is
/// as good as another, and with many workers they are long.
fn with_seeds(scenario: &Scenario, seeds: NonZeroUsize) -> Vec<Scenario> {
    let with = |number: usize| Scenario {
        seed: scenario.seed.wrapping_add(number as u64),
        sample_interval: scenario.sample_interval.filter(|_| number == 0),
        ..scenario.clone()
    };
    (0..seeds.get()).map(with).collect()
}

fn curves(
    question: &Question<'_>,
    progress: &Progress<'_>,
) -> Result<Option<Vec<Curve>>, SimError> {
    let mut loads = question.loads.to_vec();
    loads.sort_by(f64::total_cmp);
    // These runs are only summed up: no timelines.
    let bare = Scenario { sample_interval: None, ..question.scenario.clone() };
    let at_loads: Vec<(f64, Vec<Scenario>)> = loads
        .into_iter()
        .filter_map(|load| Some((load, with_seeds(&bare.at_load(load)?, question.seeds_per_load))))
        .collect();
    let jobs = jobs(at_loads.iter().flat_map(|(_, seeded)| seeded), question.contenders);
    let figures = simulate_all(&jobs, question.threads, progress, |run| {
        (run.sojourn.mean_nanos(), run.sojourn.quantile(0.99).as_nanos() as f64)
    })?;
    let Some(figures) = figures.into_iter().collect::<Option<Vec<(f64, f64)>>>() else {
        return Ok(None);
    };
    let mut by_strategy = figures.chunks(question.seeds_per_load.get());
    let mut point = |load: f64| {
        let figures = by_strategy.next().unwrap_or_default();
        let mean = |figure: fn(&(f64, f64)) -> f64| {
            let sum: f64 = figures.iter().map(figure).sum();
            Duration::from_nanos((sum / figures.len() as f64) as u64)
        };
        CurvePoint { load, mean: mean(|figure| figure.0), p99: mean(|figure| figure.1) }
    };
    let curve = |contender: &Contender| Curve {
        strategy: contender.name().to_owned(),
        points: at_loads.iter().map(|(load, _)| point(*load)).collect(),
    };
    Ok(Some(question.contenders.iter().map(curve).collect()))
}
