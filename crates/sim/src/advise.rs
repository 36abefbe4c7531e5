//! Which strategy for this load and these workers?

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::contest::{Contender, Job, Progress, simulate_all};
use crate::{Estimate, Facts, Run, Scenario, SimError};

/// Who leaves undone at most this share of the tasks more than whoever leaves the fewest is ranked
/// by the objective; who leaves more comes behind all of those, as what it does with the rest is no
/// merit.
pub const MOST_LOST: f64 = 0.001;

/// What is to be best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Objective {
    /// The 99th percentile of the time from arrival to end, the less the better.
    #[default]
    P99,
    /// The mean of that time, the less the better.
    Mean,
    /// Completed tasks a second, the more the better.
    Throughput,
}

/// What is to be found out.
#[derive(Debug)]
pub struct Question<'a> {
    /// The workers, and what is asked of them. Its seed is the first run's; the next runs have the
    /// seeds after it.
    pub scenario: &'a Scenario,
    /// The strategies.
    pub contenders: &'a [Contender],
    /// What is to be best.
    pub objective: Objective,
    /// How many runs each strategy makes, with different seeds; two for there to be intervals.
    ///
    /// A law's tasks are others with each seed, a trace's are the same, and only the strategies'
    /// random choices differ.
    pub seeds: NonZeroUsize,
    /// Loads at which to run each strategy as well, in any order; none for no curves.
    pub loads: &'a [f64],
    /// How many runs each strategy makes at each of them.
    pub seeds_per_load: NonZeroUsize,
    /// How many threads make the runs. What comes of them does not depend on it.
    pub threads: NonZeroUsize,
}

/// What came of a [`Question`].
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// What was to be best.
    pub objective: Objective,
    /// What was asked of the workers, in figures.
    pub facts: Facts,
    /// The strategies, the best first.
    pub ranking: Vec<Standing>,
    /// Latencies by load, in the order of the ranking.
    pub curves: Vec<Curve>,
}

/// How one strategy did.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its name.
    pub strategy: String,
    /// The objective: nanoseconds, or tasks a second. Of latencies, those of completed tasks.
    pub figure: Estimate,
    /// How much worse than the best, in the same unit: the mean over the seeds of the difference
    /// on one and the same tasks, which is surer than the difference of the means.
    pub behind: Estimate,
    /// Share of the tasks that were not completed, the mean over the seeds.
    pub lost: f64,
    /// Whether it cannot be told from the best: the interval of what it is behind holds 0. With
    /// many strategies one in twenty is told apart that does not differ.
    pub ties: bool,
    /// Its runs, by seed; only the first has a timeline.
    pub runs: Vec<Run>,
}

/// One strategy's latencies by load.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub strategy: String,
    /// By load, rising.
    pub points: Vec<CurvePoint>,
}

/// Latencies at one load: means over the seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Work offered, as a share of what the workers can do.
    pub load: f64,
    /// Mean time from arrival to end.
    pub mean: Duration,
    /// Its 99th percentile.
    pub p99: Duration,
}

impl Objective {
    /// Every objective.
    pub const ALL: [Self; 3] = [Self::P99, Self::Mean, Self::Throughput];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P99 => "p99",
            Self::Mean => "mean",
            Self::Throughput => "throughput",
        }
    }

    /// Of a run: nanoseconds, or tasks a second.
    pub fn of(self, run: &Run) -> f64 {
        match self {
            Self::P99 => run.sojourn.value_at_quantile(0.99) as f64,
            Self::Mean => run.mean_sojourn,
            Self::Throughput => run.throughput(),
        }
    }

    /// What is to be little: how much worse one figure is than another is the difference of these.
    fn cost(self, figure: f64) -> f64 {
        match self {
            Self::P99 | Self::Mean => figure,
            Self::Throughput => -figure,
        }
    }
}

impl Run {
    /// Completed tasks a second, from the start to the last end; 0 when nothing took any time.
    pub fn throughput(&self) -> f64 {
        let span = self.span.as_secs_f64();
        if span > 0.0 { self.completed as f64 / span } else { 0.0 }
    }

    /// Share of the tasks that were not completed.
    pub fn lost(&self) -> f64 {
        (self.tasks - self.completed) as f64 / self.tasks.max(1) as f64
    }

    /// Share of the span in which the workers ran tasks, the mean over them.
    pub fn utilisation(&self) -> f64 {
        let sum: f64 = self.workers.iter().map(|worker| worker.utilisation).sum();
        sum / self.workers.len().max(1) as f64
    }
}

/// Runs every strategy on the scenario and ranks them; `None` when `progress` ended it before.
/// `progress` is told how many tasks are done of [`Question::tasks`].
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
/// When the scenario cannot be.
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
    let of_each = contenders
        .iter()
        .map(|contender| (contender.name().to_owned(), runs.by_ref().take(seeded.len()).collect()))
        .collect();
    let ranking = rank(objective, of_each);

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
    /// How many tasks are simulated in all.
    pub fn tasks(&self) -> u64 {
        let runs = self.seeds.get() + self.loads.len() * self.seeds_per_load.get();
        self.scenario.tasks * (runs * self.contenders.len()) as u64
    }
}

/// The scenario with so many seeds. Queue lengths are noted with the first only: one timeline is
/// as good as another, and with many workers they are long.
fn with_seeds(scenario: &Scenario, seeds: NonZeroUsize) -> Vec<Scenario> {
    let with = |number: usize| Scenario {
        seed: scenario.seed.wrapping_add(number as u64),
        sample_every: scenario.sample_every.filter(|_| number == 0),
        ..scenario.clone()
    };
    (0..seeds.get()).map(with).collect()
}

/// Orders strategies by what their runs gave, which are by the same seeds in the same order.
fn rank(objective: Objective, of_each: Vec<(String, Vec<Run>)>) -> Vec<Standing> {
    struct Figures {
        strategy: String,
        runs: Vec<Run>,
        by_seed: Vec<f64>,
        lost: f64,
    }
    let mut all: Vec<Figures> = of_each
        .into_iter()
        .map(|(strategy, runs)| Figures {
            strategy,
            by_seed: runs.iter().map(|run| objective.of(run)).collect(),
            lost: Estimate::of(&runs.iter().map(Run::lost).collect::<Vec<_>>()).mean,
            runs,
        })
        .collect();
    let least_lost = all.iter().map(|figures| figures.lost).fold(f64::INFINITY, f64::min);
    // What is lost beyond the bearable; then the objective.
    let excess = |lost: f64| if lost - least_lost > MOST_LOST { lost } else { 0.0 };
    let cost = |figures: &Figures| objective.cost(Estimate::of(&figures.by_seed).mean);
    all.sort_by(|a, b| excess(a.lost).total_cmp(&excess(b.lost)).then(cost(a).total_cmp(&cost(b))));
    let Some(best) = all.first().map(|best| best.by_seed.clone()) else {
        return Vec::new();
    };
    let standing = |figures: Figures| {
        let pairs = figures.by_seed.iter().zip(&best);
        let differences: Vec<f64> =
            pairs.map(|(own, best)| objective.cost(*own) - objective.cost(*best)).collect();
        let behind = Estimate::of(&differences);
        Standing {
            strategy: figures.strategy,
            figure: Estimate::of(&figures.by_seed),
            behind,
            lost: figures.lost,
            ties: excess(figures.lost) == 0.0 && behind.may_be_zero(),
            runs: figures.runs,
        }
    };
    all.into_iter().map(standing).collect()
}

fn curves(
    question: &Question<'_>,
    progress: &Progress<'_>,
) -> Result<Option<Vec<Curve>>, SimError> {
    let mut loads = question.loads.to_vec();
    loads.sort_by(f64::total_cmp);
    // No timelines of what is only summed up.
    let bare = Scenario { sample_every: None, ..question.scenario.clone() };
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
        (run.mean_sojourn, run.sojourn.value_at_quantile(0.99) as f64)
    })?;
    let Some(figures) = figures.into_iter().collect::<Option<Vec<(f64, f64)>>>() else {
        return Ok(None);
    };
    let mut of_each = figures.chunks(question.seeds_per_load.get());
    let mut point = |load: f64| {
        let figures = of_each.next().unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;

    /// A run of a thousand tasks, all of which that completed took so many nanoseconds.
    fn run(sojourn: u64, completed: u64) -> Run {
        let mut histogram = Histogram::new(3).unwrap();
        histogram.record_n(sojourn, completed).unwrap();
        Run {
            strategy: String::new(),
            seed: 0,
            tasks: 1_000,
            completed,
            failed: 0,
            panicked: 0,
            expired: 0,
            rejected: 1_000 - completed,
            stuck: 0,
            stolen: 0,
            span: Duration::from_secs(1),
            wait: histogram.clone(),
            sojourn: histogram,
            mean_sojourn: sojourn as f64,
            mean_wait: 0.0,
            workers: Vec::new(),
            timeline: Vec::new(),
        }
    }

    fn ranked(objective: Objective, all: &[(&str, &[Run])]) -> Vec<Standing> {
        rank(objective, all.iter().map(|(name, runs)| ((*name).into(), runs.to_vec())).collect())
    }

    fn names(ranking: &[Standing]) -> Vec<&str> {
        ranking.iter().map(|standing| standing.strategy.as_str()).collect()
    }

    #[test]
    fn the_least_latency_is_the_best_and_the_most_throughput() {
        let runs: [(&str, &[Run]); 3] = [
            ("slow", &[run(300, 1_000), run(310, 1_000), run(320, 1_000)]),
            ("fast", &[run(100, 999), run(110, 999), run(120, 999)]),
            ("middle", &[run(200, 1_000), run(190, 1_000), run(200, 1_000)]),
        ];
        for objective in [Objective::Mean, Objective::P99] {
            let ranking = ranked(objective, &runs);
            assert_eq!(names(&ranking), ["fast", "middle", "slow"]);
            assert_eq!(ranking[0].figure.mean, 110.0);
            assert!(ranking[0].ties && !ranking[1].ties && !ranking[2].ties);
        }
        let ranking = ranked(Objective::Throughput, &runs);
        assert_eq!(ranking[2].strategy, "fast", "999 a second are fewer than 1,000");
        assert_eq!(ranking[2].behind.mean, 1.0);
    }

    #[test]
    fn ties_are_told_by_the_differences_on_the_same_tasks() {
        // Their means overlap widely, yet the second is behind by 10 whatever the seed.
        let steady = [
            ("a", &[run(100, 1_000), run(200, 1_000), run(300, 1_000)][..]),
            ("b", &[run(110, 1_000), run(210, 1_000), run(311, 1_000)][..]),
        ];
        let ranking = ranked(Objective::Mean, &steady);
        let (a, b) = (ranking[0].figure.interval().unwrap(), ranking[1].figure.interval().unwrap());
        assert!(a.1 > b.0, "the intervals of the means overlap");
        assert!(!ranking[1].ties, "{:?}", ranking[1].behind);
        // Behind in the mean, and ahead with one of three seeds.
        let mixed = [
            ("a", &[run(100, 1_000), run(200, 1_000), run(300, 1_000)][..]),
            ("b", &[run(140, 1_000), run(190, 1_000), run(310, 1_000)][..]),
        ];
        assert!(ranked(Objective::Mean, &mixed)[1].ties);
        let alone = [("a", &[run(1, 1_000)][..]), ("b", &[run(1, 1_000)]), ("c", &[run(2, 1_000)])];
        let ranking = ranked(Objective::Mean, &alone);
        assert!(ranking[1].ties && !ranking[2].ties, "single runs tie when they are equal");
    }

    #[test]
    fn who_leaves_tasks_undone_is_not_the_best_however_fast_the_rest() {
        let runs: [(&str, &[Run]); 4] = [
            ("worst", &[run(1, 500), run(1, 500)]),
            ("picky", &[run(10, 900), run(11, 900)]),
            ("whole", &[run(100, 1_000), run(101, 1_000)]),
            ("nearly", &[run(90, 999), run(91, 999)]),
        ];
        let ranking = ranked(Objective::P99, &runs);
        assert_eq!(names(&ranking), ["nearly", "whole", "picky", "worst"]);
        assert!(!ranking[2].ties && (ranking[2].lost - 0.1).abs() < 1e-12);
        assert!(ranked(Objective::P99, &[]).is_empty());
    }
}
