use std::ops::ControlFlow;

use raddle_sim::{Dispatchers, simulate_each};
use raddle_strategies::Strategy;
use raddle_strategies::StrategyName::{LeastLoaded, Random as ByChance, RoundRobin};

use super::*;

fn of(count: usize, news_every: Duration, scenario: Scenario) -> Scenario {
    Scenario { dispatchers: Dispatchers { count, news_every }, ..scenario }
}

fn each(scenario: &Scenario, strategy: StrategyName) -> Run {
    simulate_each(scenario, &|| strategy.build(), |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn one_dispatcher_is_never_stale() {
    let plain = scenario(4, 0.8, 20_000);
    let one = of(1, 100 * MS, plain.clone());
    assert_eq!(run(&plain, LeastLoaded), run(&one, LeastLoaded));
}

#[test]
fn what_is_shared_at_once_is_as_if_there_were_one() {
    let plain = scenario(4, 0.8, 20_000);
    let many = of(8, Duration::ZERO, plain.clone());
    assert_eq!(run(&plain, LeastLoaded), each(&many, LeastLoaded));
}

#[test]
fn each_dispatcher_has_a_strategy_of_its_own_where_that_is_asked_for() {
    let many = of(8, Duration::ZERO, scenario(16, 0.8, 40_000));
    let (shared, own) = (run(&many, RoundRobin), each(&many, RoundRobin));
    assert!(own.mean_sojourn > shared.mean_sojourn, "eight rotations are not one");
}

#[test]
fn a_dispatcher_knows_its_own_tasks_at_once() {
    // Nobody ends within the run, and no news comes: least loaded must still spread.
    let mut scenario = of(2, 10_000 * MS, trace(8, &[(0, 1_000); 64]));
    scenario.seed = 3;
    let run = each(&scenario, LeastLoaded);
    let given: Vec<_> = run.workers.iter().map(|worker| worker.given).collect();
    assert!(given.iter().all(|given| (6..=10).contains(given)), "{given:?}");
}

/// The staler the news, the worse the shortest queue, down to worse than chance: Mitzenmacher, How
/// Useful Is Old Information?, 2000.
#[test]
fn stale_news_spoil_the_shortest_queue() {
    let mean = |news_every| {
        let scenario = of(64, news_every, scenario(16, 0.8, 60_000));
        each(&scenario, LeastLoaded).mean_sojourn
    };
    let chance = run(&scenario(16, 0.8, 60_000), ByChance).mean_sojourn;
    let [fresh, little, stale] = [MS / 10, MS, 50 * MS].map(mean);
    assert!(fresh < little && little < stale, "{fresh} {little} {stale}");
    assert!(fresh < chance / 2.0 && stale > chance, "{fresh} {stale}, by chance {chance}");
}

#[test]
fn stale_views_are_of_what_happened() {
    let mut scenario = of(4, 3 * MS, scenario(8, 0.9, 30_000));
    (scenario.stealing, scenario.deadline, scenario.mailbox) = (true, Some(10 * MS), Some(20));
    for strategy in StrategyName::ALL {
        // That every view ends with nothing in flight is checked by the engine.
        let run = each(&scenario, strategy);
        assert_accounted(&run);
        assert_eq!(run.stuck, 0);
    }
}

#[test]
fn a_strategy_is_refreshed_with_each_view() {
    use raddle_core::{Candidates, Roster, TaskProfile};
    use std::sync::Mutex;

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
        fn refresh(&self, roster: &Roster) {
            self.0.lock().unwrap().push(roster.version());
        }
    }
    let mut scenario = of(3, MS, trace(2, &[(0, 1), (25, 1)]));
    scenario.refresh_every = 10 * MS;
    let strategy = Watching::default();
    simulate(&scenario, &strategy).unwrap();
    let mut seen = strategy.0.into_inner().unwrap();
    assert_eq!(seen.len(), 9, "at 0, 10 and 20, each view");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}
