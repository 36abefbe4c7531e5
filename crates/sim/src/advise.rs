use std::num::NonZeroUsize;
use std::time::Duration;

use crate::contest::{Contender, Job, Progress, simulate_all};
use crate::ranking::rank;
use crate::{Facts, Objective, Run, Scenario, SimError, Standing};

/// The question that [`advise`] answers: which strategy suits these workers and this load?
#[derive(Debug)]
pub struct Question<'a> {
    /// The workers and their load. The first run uses the scenario's seed, and each further run
    /// the next one.
    pub scenario: &'a Scenario,
    /// The strategies to compare.
    pub contenders: &'a [Contender],
    /// The figure to rank by.
    pub objective: Objective,
    /// Runs per strategy, each with its own seed. Confidence intervals need at least two.
    ///
    /// A random load has different tasks with each seed. A trace always has the same tasks, and
    /// only the strategies' random choices differ.
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
    /// The figure ranked by.
    pub objective: Objective,
    /// The scenario in figures.
    pub facts: Facts,
    /// The strategies, best first.
    pub ranking: Vec<Standing>,
    /// Latency by load, in the order of the ranking.
    pub curves: Vec<Curve>,
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
/// If the scenario is [not valid](Scenario::validate).
pub fn advise(
    question: &Question<'_>,
    progress: &Progress<'_>,
) -> Result<Option<Advice>, SimError> {
    let Question { scenario, contenders, objective, threads, .. } = *question;
    let seeded = with_seeds(scenario, question.seeds);
    let mut jobs = Vec::new();
    for contender in contenders {
        jobs.extend(seeded.iter().map(|scenario| Job { scenario, contender }));
    }
    let runs = simulate_all(&jobs, threads, progress, |run| run)?;
    let Some(runs) = runs.into_iter().collect::<Option<Vec<Run>>>() else {
        return Ok(None);
    };
    let mut runs = runs.into_iter();
    let by_strategy = contenders
        .iter()
        .map(|contender| (contender.name().to_owned(), runs.by_ref().take(seeded.len()).collect()))
        .collect();
    let ranking = rank(objective, by_strategy);

    let done = jobs.iter().map(|job| job.scenario.tasks).sum::<u64>();
    let Some(curves) = curves(question, &|tasks| progress(done + tasks))? else {
        return Ok(None);
    };
    let curve = |standing: &Standing| {
        curves.iter().find(|curve| curve.strategy == standing.strategy).cloned()
    };
    let curves = ranking.iter().filter_map(curve).collect();
    Ok(Some(Advice { objective, facts: scenario.facts(), ranking, curves }))
}

impl Question<'_> {
    /// Returns the number of tasks to simulate in all runs together.
    pub fn tasks(&self) -> u64 {
        let runs = self.seeds.get() + self.loads.len() * self.seeds_per_load.get();
        self.scenario.tasks * (runs * self.contenders.len()) as u64
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
    let mut jobs = Vec::new();
    for contender in question.contenders {
        let scenarios = at_loads.iter().flat_map(|(_, seeded)| seeded);
        jobs.extend(scenarios.map(|scenario| Job { scenario, contender }));
    }
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
