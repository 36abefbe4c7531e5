//! Least work reads a part of many workers, and is as good as if it read all.

use raddle_core::{Candidates, Roster, TaskProfile};
use raddle_strategies::{LeastWork, Strategy};

use super::*;

/// The rule of least work over all workers.
#[derive(Debug)]
struct OfAll;

impl Strategy for OfAll {
    fn name(&self) -> &'static str {
        "of_all"
    }
    fn pick(&self, task: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let roster: &Roster = candidates.roster();
        let mean = roster.baseline().mean().map(|mean| (mean as u64).max(1));
        let first = fastrand::usize(..candidates.len());
        let work = |index: &usize| {
            candidates.signals_at(*index).map(|signals| signals.work_ahead(task.submitted_at, mean))
        };
        (first..candidates.len()).chain(0..first).min_by_key(work).unwrap_or(0)
    }
    fn reads_age(&self) -> bool {
        true
    }
}

/// Loads at which there is always, mostly and hardly ever an idle worker, and one of bursts during
/// which there is none and queues grow.
#[test]
fn least_work_is_within_two_per_cent_of_the_rule_over_all_workers() {
    for (workers, load, bursts) in [(16, 0.9, false), (300, 0.995, false), (300, 0.8, true)] {
        let duration = Duration::from_secs_f64(100_000.0 / (workers as f64 * load * 1e3));
        let mut scenario = scenario(SimWorker::equal(workers), load, SECOND / 1_000, duration);
        if bursts {
            scenario.load.arrivals = Arrivals::Bursty {
                rate: workers as f64 * load * 1e3,
                burst: 1.6,
                burst_length: SECOND / 50,
                quiet_length: SECOND / 50,
            };
        }
        let figures = |strategy: &dyn Strategy| {
            let run = simulate(&scenario, strategy).unwrap();
            [run.sojourn.mean(), run.sojourn.quantile(0.99)].map(|time| time.as_secs_f64())
        };
        let (some, all) = (figures(&LeastWork::new()), figures(&OfAll));
        let ratios = [some[0] / all[0], some[1] / all[1]];
        let what =
            format!("{workers} workers, load {load}, bursts {bursts}, seed {}", scenario.seed);
        println!("{what}: mean and p99 are {ratios:.4?} times those of the rule over all");
        assert!(ratios.iter().all(|ratio| *ratio <= 1.02), "{what}: {ratios:?}");
    }
}
