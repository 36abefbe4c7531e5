use std::ops::ControlFlow;

use raddle_sim::{Dispatchers, simulate_each};
use raddle_strategies::Strategy;
use raddle_strategies::StrategyName::{LeastLoaded, Random, RoundRobin};

use super::*;

fn with_dispatchers(count: usize, sync_interval: Duration, scenario: Scenario) -> Scenario {
    Scenario { dispatchers: Dispatchers { count, sync_interval }, ..scenario }
}

fn run_each(scenario: &Scenario, strategy: StrategyName) -> Run {
    simulate_each(scenario, &|| strategy.build(), |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_single_dispatcher_is_never_stale() {
    let plain = scenario(4, 0.8, 20_000);
    let one = with_dispatchers(1, 100 * MS, plain.clone());
    assert_eq!(run(&plain, LeastLoaded), run(&one, LeastLoaded));
}

#[test]
fn dispatchers_that_share_everything_act_as_one() {
    let plain = scenario(4, 0.8, 20_000);
    let many = with_dispatchers(8, Duration::ZERO, plain.clone());
    assert_eq!(run(&plain, LeastLoaded), run_each(&many, LeastLoaded));
}

#[test]
fn each_dispatcher_can_have_its_own_strategy_instance() {
    let many = with_dispatchers(8, Duration::ZERO, scenario(16, 0.8, 40_000));
    let (shared, own) = (run(&many, RoundRobin), run_each(&many, RoundRobin));
    assert!(own.sojourn.mean() > shared.sojourn.mean(), "eight rotations are not one");
}

#[test]
fn a_dispatcher_knows_its_own_tasks_immediately() {
    // No task ends and no sync happens during the arrivals: least loaded must still spread them.
    let mut scenario = with_dispatchers(2, 10_000 * MS, trace(8, &[(0, 1_000); 64]));
    scenario.seed = 3;
    let run = run_each(&scenario, LeastLoaded);
    let dispatched: Vec<_> = run.workers.iter().map(|worker| worker.dispatched).collect();
    assert!(dispatched.iter().all(|count| (6..=10).contains(count)), "{dispatched:?}");
}

/// The staler the information, the worse the shortest queue does, down to worse than random:
/// Mitzenmacher, How Useful Is Old Information?, 2000.
#[test]
fn stale_information_makes_the_shortest_queue_worse_than_random() {
    let mean = |sync_interval| {
        let scenario = with_dispatchers(64, sync_interval, scenario(16, 0.8, 60_000));
        run_each(&scenario, LeastLoaded).sojourn.mean()
    };
    let random = run(&scenario(16, 0.8, 60_000), Random).sojourn.mean();
    let [fresh, little, stale] = [MS / 10, MS, 50 * MS].map(mean);
    assert!(fresh < little && little < stale, "{fresh:?} {little:?} {stale:?}");
    assert!(fresh < random / 2 && stale > random, "{fresh:?} {stale:?}, random {random:?}");
}

#[test]
fn own_views_converge_to_what_happened() {
    let mut scenario = with_dispatchers(4, 3 * MS, scenario(8, 0.9, 30_000));
    (scenario.stealing, scenario.timeout, scenario.mailbox) = (true, Some(10 * MS), Some(20));
    for strategy in StrategyName::ALL {
        // The engine checks that every view ends with nothing in flight.
        let run = run_each(&scenario, strategy);
        assert_accounted(&run);
        assert_eq!(run.stuck, 0);
    }
}

#[test]
fn a_strategy_is_prepared_for_every_view() {
    use raddle_core::{Candidates, Roster, TaskProfile};
    use std::sync::{Arc, Mutex};

    #[derive(Debug, Default)]
    struct Watching(Mutex<Vec<u64>>);
    impl Strategy for Watching {
        fn name(&self) -> &'static str {
            "watching"
        }
        fn pick(&self, task: &TaskProfile, _: &Candidates<'_>) -> usize {
            assert!(task.submitted_at > 0);
            0
        }
        fn prepare(&self, roster: &Roster) -> Option<Arc<dyn Strategy>> {
            self.0.lock().unwrap().push(roster.version());
            None
        }
    }
    let mut scenario = with_dispatchers(3, MS, trace(2, &[(0, 1), (25, 1)]));
    scenario.refresh_interval = 10 * MS;
    let strategy = Watching::default();
    simulate(&scenario, &strategy).unwrap();
    let mut seen = strategy.0.into_inner().unwrap();
    assert_eq!(seen.len(), 9, "at 0, 10 and 20 ms, for each of three views");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}
