use crate::{Estimate, Objective, Run};

/// The share of tasks that a strategy may leave uncompleted, beyond the strategy that leaves the
/// fewest, and still be ranked by the objective.
///
/// A strategy that loses more is ranked behind all of those: being fast with the rest is no merit.
pub const LOSS_TOLERANCE: f64 = 0.001;

/// The rank of one strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The strategy's name.
    pub strategy: String,
    /// The objective, in nanoseconds (of completed tasks) or tasks per second. Of a trace, the mean
    /// is that of the runs on the trace itself, and the interval that of resampled traces.
    pub figure: Estimate,
    /// How much worse than the best strategy, in the same unit: the mean over the seeds of the
    /// difference on the same tasks. It has a narrower interval than the difference of the means.
    pub behind: Estimate,
    /// Share of the tasks that were not completed, as a mean over the seeds.
    pub lost: f64,
    /// Whether the difference from the best is not significant: the interval of `behind` contains
    /// 0. One comparison in twenty is significant by chance.
    pub ties: bool,
    /// The runs, by seed; only the first has a timeline. Runs on resampled traces are not kept.
    pub runs: Vec<Run>,
}

/// The results of one strategy, to be ranked.
pub(crate) struct Results {
    pub(crate) strategy: String,
    /// The runs, by seed.
    pub(crate) runs: Vec<Run>,
    /// The objective in each run on a resampled trace.
    pub(crate) resampled: Vec<f64>,
}

/// Orders strategies by their results, which must have the same seeds and the same resampled traces
/// in the same order.
pub(crate) fn rank(objective: Objective, results: Vec<Results>) -> Vec<Standing> {
    struct Figures {
        results: Results,
        by_seed: Vec<f64>,
        lost: f64,
    }
    let mut all: Vec<Figures> = results
        .into_iter()
        .map(|results| Figures {
            by_seed: results.runs.iter().map(|run| objective.of(run)).collect(),
            lost: Estimate::of(&results.runs.iter().map(Run::lost).collect::<Vec<_>>()).mean,
            results,
        })
        .collect();
    let least_lost = all.iter().map(|figures| figures.lost).fold(f64::INFINITY, f64::min);
    // By intolerable loss first, then by the objective.
    let excess = |lost: f64| if lost - least_lost > LOSS_TOLERANCE { lost } else { 0.0 };
    let cost = |figures: &Figures| objective.cost(Estimate::of(&figures.by_seed).mean);
    all.sort_by(|a, b| excess(a.lost).total_cmp(&excess(b.lost)).then(cost(a).total_cmp(&cost(b))));
    let best = |best: &Figures| (best.by_seed.clone(), best.results.resampled.clone());
    let Some((best, best_resampled)) = all.first().map(best) else {
        return Vec::new();
    };
    let differences = |own: &[f64], best: &[f64]| -> Vec<f64> {
        let pairs = own.iter().zip(best);
        pairs.map(|(own, best)| objective.cost(*own) - objective.cost(*best)).collect()
    };
    let standing = |Figures { results, by_seed, lost }: Figures| {
        let behind = Estimate::resampled(
            &differences(&by_seed, &best),
            &differences(&results.resampled, &best_resampled),
        );
        Standing {
            strategy: results.strategy,
            figure: Estimate::resampled(&by_seed, &results.resampled),
            behind,
            lost,
            ties: excess(lost) == 0.0 && behind.may_be_zero(),
            runs: results.runs,
        }
    };
    all.into_iter().map(standing).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A run of a thousand tasks, of which some completed, each in `sojourn` nanoseconds.
    fn run(sojourn: u64, completed: u64) -> Run {
        let mut run = Run::new("", 0);
        (run.tasks, run.completed, run.rejected) = (1_000, completed, 1_000 - completed);
        run.span = Duration::from_secs(1);
        run.sojourn.record_n(sojourn, completed);
        run
    }

    fn ranked(objective: Objective, all: &[(&str, &[Run])]) -> Vec<Standing> {
        let results = |(name, runs): &(&str, &[Run])| Results {
            strategy: (*name).into(),
            runs: runs.to_vec(),
            resampled: Vec::new(),
        };
        rank(objective, all.iter().map(results).collect())
    }

    fn names(ranking: &[Standing]) -> Vec<&str> {
        ranking.iter().map(|standing| standing.strategy.as_str()).collect()
    }

    #[test]
    fn the_lowest_latency_and_the_highest_throughput_win() {
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
        assert_eq!(ranking[2].strategy, "fast", "999 per second are fewer than 1,000");
        assert_eq!(ranking[2].behind.mean, 1.0);
    }

    #[test]
    fn ties_follow_from_the_differences_on_the_same_tasks() {
        // The intervals overlap widely, yet the second is behind by 10 with every seed.
        let steady = [
            ("a", &[run(100, 1_000), run(200, 1_000), run(300, 1_000)][..]),
            ("b", &[run(110, 1_000), run(210, 1_000), run(311, 1_000)][..]),
        ];
        let ranking = ranked(Objective::Mean, &steady);
        let (a, b) = (ranking[0].figure.interval().unwrap(), ranking[1].figure.interval().unwrap());
        assert!(a.1 > b.0, "the intervals of the means overlap");
        assert!(!ranking[1].ties, "{:?}", ranking[1].behind);
        // Behind on average, but ahead with one of three seeds.
        let mixed = [
            ("a", &[run(100, 1_000), run(200, 1_000), run(300, 1_000)][..]),
            ("b", &[run(140, 1_000), run(190, 1_000), run(310, 1_000)][..]),
        ];
        assert!(ranked(Objective::Mean, &mixed)[1].ties);
        let alone = [("a", &[run(1, 1_000)][..]), ("b", &[run(1, 1_000)]), ("c", &[run(2, 1_000)])];
        let ranking = ranked(Objective::Mean, &alone);
        assert!(ranking[1].ties && !ranking[2].ties, "single runs tie if they are equal");
    }

    #[test]
    fn resampled_traces_decide_the_intervals_and_the_runs_the_figure() {
        let results = |strategy: &str, sojourn: u64, resampled: [f64; 3]| Results {
            strategy: strategy.into(),
            runs: vec![run(sojourn, 1_000); 2],
            resampled: resampled.to_vec(),
        };
        let ranking = rank(
            Objective::Mean,
            vec![
                results("a", 100, [90.0, 100.0, 110.0]),
                results("b", 120, [111.0, 121.0, 129.0]),
                results("c", 130, [90.0, 150.0, 80.0]),
            ],
        );
        assert_eq!(names(&ranking), ["a", "b", "c"]);
        // The standard deviation of the resampled figures is 10, and t of 2 degrees 4.3027.
        assert_eq!(ranking[0].figure.mean, 100.0);
        assert!((ranking[0].figure.half_width.unwrap() - 43.027).abs() < 1e-9);
        assert!(!ranking[1].ties && ranking[2].ties, "{ranking:?}");
    }

    #[test]
    fn a_strategy_that_loses_tasks_does_not_win_however_fast_it_is() {
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
