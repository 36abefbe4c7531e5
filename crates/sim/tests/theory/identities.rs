//! Two ways to the same figure, on one and the same tasks. To come with its strategy: round robin
//! with constant tasks is `LeastWork` in the mean.

use raddle_strategies::StrategyName::{LeastLoaded, Random, RoundRobin};

use super::*;

/// Constant tasks in rotation end as those of one queue do. So do those that idle workers steal,
/// in another order: at every moment as many are there, whoever was chosen at first.
#[test]
fn with_constant_tasks_a_rotation_is_one_queue_to_the_nanosecond() {
    for rho in LOADS {
        let rotating = Scenario { warm_up: 0, ..scenario(8, Law::Constant, rho, 200_000) };
        let stealing = Scenario { stealing: true, ..rotating.clone() };
        let of = |scenario: &_, strategy: StrategyName| {
            let run = simulate(scenario, &*strategy.build()).unwrap();
            (run.mean_sojourn, run.span)
        };
        let expected = of(&rotating, RoundRobin);
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
