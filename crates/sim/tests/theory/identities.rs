//! Identities: two computations of one figure for the same tasks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hdrhistogram::Histogram;
use proptest::prelude::*;
use raddle_strategies::StrategyName::{LeastLoaded, LeastWork, Random, RoundRobin};

use super::closed_forms::LOADS;
use super::*;

/// Arrival and service time in nanoseconds.
type Task = (u64, u64);

/// Returns the sum and distribution of the sojourns, and the end of the last task, for one queue in
/// front of all servers: the first in the queue is served by the first free server (Kiefer and
/// Wolfowitz, 1955).
fn central_queue(servers: usize, tasks: &[Task]) -> (u64, Histogram<u64>, u64) {
    let mut free_at: BinaryHeap<_> = std::iter::repeat_n(Reverse(0), servers).collect();
    let mut sojourns = Histogram::new(3).unwrap();
    sojourns.auto(true);
    let (mut sum, mut last) = (0, 0);
    for (arrival, service) in tasks {
        let Reverse(free) = free_at.pop().unwrap();
        let end = free.max(*arrival) + service;
        free_at.push(Reverse(end));
        sojourns.record(end - arrival).unwrap();
        (sum, last) = (sum + end - arrival, last.max(end));
    }
    (sum, sojourns, last)
}

/// Asserts that with known durations, `LeastWork` serves every task exactly as a single queue does.
fn assert_least_work_is_one_queue(workers: usize, tasks: &[Task]) {
    let times = |field: fn(&Task) -> u64| {
        tasks.iter().map(|task| Duration::from_nanos(field(task))).collect()
    };
    let load =
        Load::new(Arrivals::Trace(times(|task| task.0)), Service::Trace(times(|task| task.1)));
    let scenario = Scenario {
        tasks: tasks.len() as u64,
        warm_up: 0,
        durations_known: true,
        ..Scenario::new(SimWorker::equal(workers), load)
    };
    let run = simulate(&scenario, &*LeastWork.build()).unwrap();
    let (sum, sojourns, last) = central_queue(workers, tasks);
    assert_eq!(run.sojourn.sum(), Duration::from_nanos(sum), "{workers} workers");
    assert_eq!(run.span, Duration::from_nanos(last), "{workers} workers");
    for percent in 0..=100 {
        let at = |sojourns: &Histogram<u64>| sojourns.value_at_quantile(f64::from(percent) / 100.0);
        assert_eq!(at(run.sojourn.histogram()), at(&sojourns), "{percent} %, {workers} workers");
    }
    assert_eq!(*run.sojourn.histogram(), sojourns, "{workers} workers");
}

#[test]
fn least_work_equals_one_queue_for_every_task() {
    const SEED: u64 = 11;
    println!("seed {SEED}");
    let mut rng = fastrand::Rng::with_seed(SEED);
    for workers in [1, 2, 7, 16, 64] {
        for rho in LOADS {
            for heavy in [false, true] {
                let mut now = 0.0;
                let tasks = (0..10_000).map(|_| {
                    let mut exponential = |mean: f64| -mean * (1.0 - rng.f64()).ln();
                    now += exponential(UNIT / (rho * workers as f64));
                    let service = exponential(1.0);
                    // The square of an exponential time has a mean of 2.
                    let units = if heavy { service * service / 2.0 } else { service };
                    (now as u64, (units * UNIT) as u64 + 1)
                });
                assert_least_work_is_one_queue(workers, &tasks.collect::<Vec<_>>());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Within few nanoseconds, many tasks arrive, start and end at the same moment.
    #[test]
    fn least_work_equals_one_queue_at_every_tie(
        gaps in prop::collection::vec((0u64..4, 1u64..12), 1..300), workers in 1usize..9,
    ) {
        let arrivals = gaps.iter().scan(0, |now, (gap, service)| {
            *now += gap;
            Some((*now, *service))
        });
        assert_least_work_is_one_queue(workers, &arrivals.collect::<Vec<_>>());
    }
}

/// Constant tasks in rotation end like those of one queue, which is also the result of `LeastWork`.
/// With stealing, they end in another order, but the number present is the same at every moment.
#[test]
fn with_constant_tasks_rotation_equals_one_queue_to_the_nanosecond() {
    for rho in LOADS {
        let rotating = Scenario { warm_up: 0, ..scenario(8, Law::Constant, rho, 200_000) };
        let stealing = Scenario { stealing: true, ..rotating.clone() };
        let known = Scenario { durations_known: true, ..rotating.clone() };
        let result = |scenario: &_, strategy: StrategyName| {
            let run = simulate(scenario, &*strategy.build()).unwrap();
            (run.sojourn.sum(), run.span)
        };
        let expected = result(&rotating, RoundRobin);
        assert_eq!(result(&known, LeastWork), expected, "at {rho}");
        assert_eq!(result(&stealing, Random), expected, "at {rho}");
        assert_eq!(result(&stealing, LeastLoaded), expected, "at {rho}");
    }
}

/// Tasks that arrive twice as fast at workers of twice the speed take half the time.
#[test]
fn results_scale_with_time() {
    let slow = scenario(4, Law::Constant, 0.8, 50_000);
    let mut fast = slow.clone();
    fast.load.arrivals = Arrivals::Poisson { rate: 2.0 * 0.8 * 4.0 * 1e9 / UNIT };
    fast.workers.iter_mut().for_each(|worker| worker.speed = 2.0);
    let mean = |scenario: &Scenario| sojourn(scenario, RoundRobin, 1).0;
    let ratio = mean(&slow) / mean(&fast);
    assert!((ratio - 2.0).abs() < 1e-5, "{ratio}: only fractions of nanoseconds are lost");
}
