//! One test a system.

use raddle_strategies::StrategyName::{
    JoinIdle, LeastLoaded, LeastWork, PowerOfTwo, Random, RoundRobin,
};

use super::closed_forms::*;
use super::*;

const SEEDS: u64 = 4;

/// Tasks for each seed. The nearer to full, the longer a queue remembers: for the same error in
/// per cent it takes as many more as the inverse square of the slack (Whitt, Planning Queueing
/// Simulations, 1989). All seeds together have a standard error of about 0.7 % of M/M/1's mean.
fn tasks(rho: f64) -> u64 {
    match rho {
        0.95.. => 8_000_000,
        0.9.. => 2_000_000,
        0.8.. => 500_000,
        _ => 250_000,
    }
}

/// One worker, at every load.
fn lone(law: Law, many: impl Fn(f64) -> u64) {
    for rho in LOADS {
        let (mean, p99) = sojourn(&scenario(1, law, rho, many(rho)), RoundRobin, SEEDS);
        let what = format!("{law:?} at {rho}, {SEEDS} seeds");
        assert_mean(&what, mean, mg1(law, rho));
        assert_p99(&what, p99, mg1_p99(law, rho));
    }
}

#[test]
fn one_worker_with_exponential_tasks_is_mm1() {
    lone(Law::Exponential, tasks);
}

#[test]
fn one_worker_with_constant_tasks_is_md1() {
    lone(Law::Constant, |rho| tasks(rho) / 2);
}

#[test]
fn one_worker_with_short_and_long_tasks_is_mg1() {
    lone(Law::Bimodal { short: 0.5, long: 5.5, long_share: 0.1 }, tasks);
}

#[test]
fn one_worker_with_heavy_tailed_tasks_is_mg1() {
    lone(Law::pareto(3.5, 30.0), |rho| tasks(rho) / 2);
}

#[test]
fn by_chance_each_worker_is_mm1() {
    for rho in [0.5, 0.7, 0.9] {
        let scenario = scenario(16, Law::Exponential, rho, tasks(rho));
        let (mean, p99) = sojourn(&scenario, Random, SEEDS);
        let what = format!("random over 16 at {rho}, {SEEDS} seeds");
        assert_mean(&what, mean, mm1(rho));
        assert_p99(&what, p99, p99_of_exponential(mm1(rho)));
    }
}

#[test]
fn in_rotation_each_worker_is_em1() {
    for rho in LOADS {
        let scenario = scenario(16, Law::Exponential, rho, tasks(rho) / 2);
        let (mean, p99) = sojourn(&scenario, RoundRobin, SEEDS);
        let expected = round_robin(16, rho);
        let what = format!("round robin over 16 at {rho}, {SEEDS} seeds");
        assert_mean(&what, mean, expected);
        assert_p99(&what, p99, p99_of_exponential(expected));
    }
}

/// With stealing nobody rests while tasks wait: as many are there as in one queue, and by Little's
/// law the mean is that of one queue. The order is another, and so are the percentiles.
#[test]
fn with_stealing_all_workers_are_mmn_in_the_mean() {
    for workers in [4, 16] {
        for rho in LOADS {
            let mut scenario = scenario(workers, Law::Exponential, rho, tasks(rho) / 8);
            scenario.stealing = true;
            let (mean, _) = sojourn(&scenario, Random, SEEDS);
            let what = format!("stealing, {workers} workers at {rho}, {SEEDS} seeds");
            assert_mean(&what, mean, mmn(workers as u32, rho));
        }
    }
}

/// Who knows every size sends a task where it begins first: one queue for all.
#[test]
fn by_the_least_work_all_workers_are_mmn() {
    // Of many, fewer wait, and the wait is what varies.
    for (workers, part) in [(4, 2), (16, 8)] {
        for rho in LOADS {
            let mut scenario = scenario(workers, Law::Exponential, rho, tasks(rho) / part);
            scenario.sizes_known = true;
            let (mean, p99) = sojourn(&scenario, LeastWork, SEEDS);
            let what = format!("least work, {workers} workers at {rho}, {SEEDS} seeds");
            assert_mean(&what, mean, mmn(workers as u32, rho));
            assert_p99(&what, p99, mmn_p99(workers as u32, rho));
        }
    }
}

/// So many workers that the queues of a pair tell nothing of each other, and two runs for each
/// load: with so many, one is a mean over all of them.
#[test]
fn by_two_choices_many_workers_are_as_workers_without_end() {
    const MANY: usize = 2_000;
    for rho in LOADS {
        // Queues fill from nothing: longer, the nearer to full.
        let units = if rho > 0.9 { 800 } else { 400 };
        let tasks = (rho * (MANY * units) as f64) as u64;
        let mut scenario = scenario(MANY, Law::Exponential, rho, tasks);
        scenario.warm_up = tasks / 2;
        let (mean, p99) = sojourn(&scenario, PowerOfTwo, 2);
        let what = format!("power of two over {MANY} at {rho}, 2 seeds");
        assert_mean(&what, mean, power_of_two(rho));
        assert_p99(&what, p99, power_of_two_p99(rho));
    }
}

/// No closed form: the figures were simulated elsewhere. Those of chance and of the least work,
/// which have one, are held above.
#[test]
fn idle_workers_first_and_the_shortest_queue_are_as_others_found() {
    let found_elsewhere = [
        (LeastLoaded, 0.7, 1.08, 4.93),
        (LeastLoaded, 0.9, 1.57, 6.56),
        (JoinIdle, 0.7, 1.08, 4.97),
        (JoinIdle, 0.9, 1.67, 7.27),
    ];
    for (strategy, rho, mean, p99) in found_elsewhere {
        let scenario = scenario(16, Law::Exponential, rho, 500_000);
        let found = sojourn(&scenario, strategy, SEEDS);
        let what = format!("{strategy} over 16 at {rho}, {SEEDS} seeds");
        assert_mean(&what, found.0, mean);
        assert_p99(&what, found.1, p99);
    }
}
