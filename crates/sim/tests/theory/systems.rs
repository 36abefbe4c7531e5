//! One test per queueing system.

use raddle_strategies::StrategyName::{
    JoinIdle, LeastLoaded, LeastWork, PowerOfTwo, Random, RoundRobin,
};

use super::closed_forms::*;
use super::*;

const SEEDS: u64 = 4;

/// Tasks per seed. For the same relative error, the number grows with the inverse square of the
/// spare capacity (Whitt, Planning Queueing Simulations, 1989). Over all seeds, the standard error
/// is about 0.7 % of M/M/1's mean.
fn tasks(rho: f64) -> u64 {
    match rho {
        0.95.. => 8_000_000,
        0.9.. => 2_000_000,
        0.8.. => 500_000,
        _ => 250_000,
    }
}

/// Checks one worker at every load.
fn check_one_worker(law: Law, tasks: impl Fn(f64) -> u64) {
    for rho in LOADS {
        let (mean, p99) = sojourn(&scenario(1, law, rho, tasks(rho)), RoundRobin, SEEDS);
        let what = format!("{law:?} at {rho}, {SEEDS} seeds");
        assert_mean(&what, mean, mg1(law, rho));
        assert_p99(&what, p99, mg1_p99(law, rho));
    }
}

#[test]
fn one_worker_with_exponential_tasks_is_mm1() {
    check_one_worker(Law::Exponential, tasks);
}

#[test]
fn one_worker_with_constant_tasks_is_md1() {
    check_one_worker(Law::Constant, |rho| tasks(rho) / 2);
}

#[test]
fn one_worker_with_short_and_long_tasks_is_mg1() {
    check_one_worker(Law::Bimodal { short: 0.5, long: 5.5, long_share: 0.1 }, tasks);
}

#[test]
fn one_worker_with_heavy_tailed_tasks_is_mg1() {
    check_one_worker(Law::pareto(3.5, 30.0), |rho| tasks(rho) / 2);
}

#[test]
fn at_random_each_worker_is_mm1() {
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

/// With stealing, no worker is idle while tasks wait: the number present is that of one queue, and
/// by Little's law so is the mean. The order differs, and with it the percentiles.
#[test]
fn with_stealing_all_workers_together_have_the_mean_of_mmn() {
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

/// With known durations, every task goes to the worker that can start it first: one queue for all.
#[test]
fn by_least_work_all_workers_together_are_mmn() {
    // With many workers, fewer tasks wait, and the wait is what varies.
    for (workers, part) in [(4, 2), (16, 8)] {
        for rho in LOADS {
            let mut scenario = scenario(workers, Law::Exponential, rho, tasks(rho) / part);
            scenario.durations_known = true;
            let (mean, p99) = sojourn(&scenario, LeastWork, SEEDS);
            let what = format!("least work, {workers} workers at {rho}, {SEEDS} seeds");
            assert_mean(&what, mean, mmn(workers as u32, rho));
            assert_p99(&what, p99, mmn_p99(workers as u32, rho));
        }
    }
}

/// Enough workers that the queues of a pair are practically independent. Two runs per load suffice:
/// each is a mean over all workers.
#[test]
fn by_two_choices_many_workers_match_the_limit_of_infinitely_many() {
    const MANY: usize = 2_000;
    for rho in LOADS {
        // Queues start empty and take longer to fill near full load.
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

/// There is no closed form: the figures come from another simulator.
#[test]
fn join_idle_and_least_loaded_match_another_simulator() {
    let published = [
        (LeastLoaded, 0.7, 1.08, 4.93),
        (LeastLoaded, 0.9, 1.57, 6.56),
        (JoinIdle, 0.7, 1.08, 4.97),
        (JoinIdle, 0.9, 1.67, 7.27),
    ];
    for (strategy, rho, mean, p99) in published {
        let scenario = scenario(16, Law::Exponential, rho, 500_000);
        let found = sojourn(&scenario, strategy, SEEDS);
        let what = format!("{strategy} over 16 at {rho}, {SEEDS} seeds");
        assert_mean(&what, found.0, mean);
        assert_p99(&what, found.1, p99);
    }
}
