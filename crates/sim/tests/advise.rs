//! Comparing strategies over many runs.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Mutex;

use raddle_sim::{Contender, Objective, Question, Scenario, advise};
use raddle_strategies::StrategyName;

const UNEQUAL: &str = r#"
    workers = "4x1.0,4x0.25"
    tasks = 20_000
    [arrivals]
    kind = "poisson"
    load = 0.7
    [service]
    kind = "exponential"
    mean = "2ms"
"#;

fn non_zero(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

fn contenders() -> Vec<Contender> {
    let names = [StrategyName::Random, StrategyName::RoundRobin, StrategyName::LeastLoaded];
    names.map(Contender::from).into()
}

fn question<'a>(scenario: &'a Scenario, contenders: &'a [Contender]) -> Question<'a> {
    Question {
        scenario,
        contenders,
        objective: Objective::P99,
        seeds: non_zero(3),
        loads: &[0.6, 0.3],
        seeds_per_load: non_zero(2),
        threads: non_zero(2),
    }
}

#[test]
fn a_strategy_that_reads_queues_wins_with_unequal_workers_and_the_advice_is_reproducible() {
    let scenario = Scenario::from_toml(UNEQUAL).unwrap();
    let contenders = contenders();
    let asked = question(&scenario, &contenders);
    let reported = Mutex::new(Vec::new());
    let progress = |tasks| {
        reported.lock().unwrap().push(tasks);
        ControlFlow::Continue(())
    };
    let advice = advise(&asked, &progress).unwrap().unwrap();
    assert_eq!(advice.ranking[0].strategy, "least_loaded");
    assert!(advice.ranking[0].ties && !advice.ranking[1].ties);
    for standing in &advice.ranking {
        assert_eq!(standing.runs.len(), 3);
        assert_eq!(standing.runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(standing.runs.iter().all(|run| run.strategy == standing.strategy));
        assert!(
            standing.figure.half_width.is_some_and(|half| half > 0.0),
            "every seed has other tasks"
        );
        assert_eq!(standing.lost, 0.0);
    }
    for (curve, standing) in advice.curves.iter().zip(&advice.ranking) {
        assert_eq!(curve.strategy, standing.strategy);
        let loads: Vec<_> = curve.points.iter().map(|point| point.load).collect();
        assert_eq!(loads, [0.3, 0.6]);
        assert!(curve.points[0].mean < curve.points[1].mean, "{curve:?}");
        assert!(curve.points.iter().all(|point| point.mean < point.p99), "{curve:?}");
    }
    let most = reported.into_inner().unwrap().into_iter().max();
    assert!(most.is_some_and(|most| most <= asked.tasks()), "{most:?} of {}", asked.tasks());

    let alone = Question { threads: NonZeroUsize::MIN, ..question(&scenario, &contenders) };
    let again = advise(&alone, &|_| ControlFlow::Continue(())).unwrap().unwrap();
    assert!(advice == again, "for any number of threads");
}

#[test]
fn advice_can_be_stopped_and_refuses_invalid_scenarios() {
    let mut scenario = Scenario::from_toml(UNEQUAL).unwrap();
    let contenders = contenders();
    let stopped = advise(&question(&scenario, &contenders), &|_| ControlFlow::Break(()));
    assert!(matches!(stopped, Ok(None)));
    scenario.failure_rate = 2.0;
    let error = advise(&question(&scenario, &contenders), &|_| ControlFlow::Continue(()));
    assert!(error.unwrap_err().to_string().contains("failure rate is 2"));
}
