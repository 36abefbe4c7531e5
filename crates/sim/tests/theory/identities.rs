//! Two ways to the same figure, on one and the same tasks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hdrhistogram::Histogram;
use proptest::prelude::*;
use raddle_strategies::StrategyName::{LeastLoaded, LeastWork, Random, RoundRobin};

use super::*;

/// Nanoseconds of arrival and of service.
type Task = (u64, u64);

/// What one queue for all servers makes of these tasks: the sum of all sojourns, how often which
/// came, and the last end. Whoever is first in the queue goes to the server that is free first
/// (Kiefer and Wolfowitz, 1955).
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

/// Where the sizes of tasks are known, `LeastWork` serves them as one queue does, each of them.
fn assert_least_work_is_one_queue(workers: usize, tasks: &[Task]) {
    let of = |which: fn(&Task) -> u64| {
        tasks.iter().map(|task| Duration::from_nanos(which(task))).collect()
    };
    let load = Load::new(Arrivals::Trace(of(|task| task.0)), Service::Trace(of(|task| task.1)));
    let scenario = Scenario {
        tasks: tasks.len() as u64,
        warm_up: 0,
        sizes_known: true,
        ..Scenario::new(SimWorker::equal(workers), load)
    };
    let run = simulate(&scenario, &*LeastWork.build()).unwrap();
    let (sum, sojourns, last) = central_queue(workers, tasks);
    assert!(sum < 1 << 52, "or the mean does not tell the sum");
    assert_eq!((run.mean_sojourn * tasks.len() as f64).round() as u64, sum, "{workers} workers");
    assert_eq!(run.span, Duration::from_nanos(last), "{workers} workers");
    for percent in 0..=100 {
        let at = |of: &Histogram<u64>| of.value_at_quantile(f64::from(percent) / 100.0);
        assert_eq!(at(&run.sojourn), at(&sojourns), "{percent} %, {workers} workers");
    }
    assert_eq!(run.sojourn, sojourns, "{workers} workers");
}

#[test]
fn the_least_work_is_one_queue_to_the_last_task() {
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

    /// With few nanoseconds, many tasks come, begin and end at the same one.
    #[test]
    fn the_least_work_is_one_queue_at_every_tie(
        gaps in prop::collection::vec((0u64..4, 1u64..12), 1..300), workers in 1usize..9,
    ) {
        let arrivals = gaps.iter().scan(0, |now, (gap, service)| {
            *now += gap;
            Some((*now, *service))
        });
        assert_least_work_is_one_queue(workers, &arrivals.collect::<Vec<_>>());
    }
}

/// Constant tasks in rotation end as those of one queue do, which is what the least work comes to.
/// So do those that idle workers steal, in another order: at every moment as many are there,
/// whoever was chosen at first.
#[test]
fn with_constant_tasks_a_rotation_is_one_queue_to_the_nanosecond() {
    for rho in LOADS {
        let rotating = Scenario { warm_up: 0, ..scenario(8, Law::Constant, rho, 200_000) };
        let stealing = Scenario { stealing: true, ..rotating.clone() };
        let known = Scenario { sizes_known: true, ..rotating.clone() };
        let of = |scenario: &_, strategy: StrategyName| {
            let run = simulate(scenario, &*strategy.build()).unwrap();
            (run.mean_sojourn, run.span)
        };
        let expected = of(&rotating, RoundRobin);
        assert_eq!(of(&known, LeastWork), expected, "at {rho}");
        assert_eq!(of(&stealing, Random), expected, "at {rho}");
        assert_eq!(of(&stealing, LeastLoaded), expected, "at {rho}");
    }
}

/// What arrives twice as fast at workers of twice the speed takes half the time.
#[test]
fn time_has_no_scale() {
    let slow = scenario(4, Law::Constant, 0.8, 50_000);
    let mut fast = slow.clone();
    fast.load.arrivals = Arrivals::Poisson { rate: 2.0 * 0.8 * 4.0 * 1e9 / UNIT };
    fast.workers.iter_mut().for_each(|worker| worker.speed = 2.0);
    let mean = |scenario: &Scenario| sojourn(scenario, RoundRobin, 1).0;
    let ratio = mean(&slow) / mean(&fast);
    assert!((ratio - 2.0).abs() < 1e-5, "{ratio}: only fractions of nanoseconds are dropped");
}
