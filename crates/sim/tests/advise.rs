//! Comparing strategies over many runs.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use raddle_sim::{
    Conclusion, Contender, Estimate, Load, Objective, Question, Request, Scenario, advise, simulate,
};
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

/// The tasks of [`UNEQUAL`], recorded as a trace.
fn recorded(seed: u64, tasks: usize) -> Scenario {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut exponential = |mean: f64| -(1.0 - random.f64()).ln() * mean;
    // Work of 2 ms for 0.7 of a capacity of 5.
    let (mean, gap) = (2e-3, 2e-3 / (0.7 * 5.0));
    let mut at = 0.0;
    let mut request = |_| {
        at += exponential(gap);
        Request {
            arrival: Duration::from_secs_f64(at),
            service: Duration::from_secs_f64(exponential(mean)),
            capability: None,
            key: None,
        }
    };
    let requests: Vec<Request> = (0..tasks).map(&mut request).collect();
    let scenario = Scenario::from_toml(UNEQUAL).unwrap();
    Scenario { load: Load::of_trace(&requests), warm_up: 0, ..scenario }
}

#[test]
fn the_intervals_of_a_trace_contain_the_figures_of_the_process_that_it_is_a_sample_of() {
    let names = [StrategyName::LeastLoaded, StrategyName::JoinIdle];
    let contenders = names.map(Contender::from);
    let mut exact = Scenario::from_toml(UNEQUAL).unwrap();
    exact.tasks = 4_000_000;
    let runs = names.map(|name| simulate(&exact, &*name.build()).unwrap());
    for objective in [Objective::Mean, Objective::Percentile(95)] {
        let exact = runs.each_ref().map(|run| objective.of(run));
        let (mut figures, mut differences, traces) = (0, 0, 60);
        for seed in 0..traces {
            let scenario = recorded(seed, 4_000);
            let asked = Question {
                objective,
                seeds: NonZeroUsize::MIN,
                loads: &[],
                ..question(&scenario, &contenders)
            };
            let advice = advise(&asked, &|_| ControlFlow::Continue(())).unwrap().unwrap();
            let standing = |name: StrategyName| {
                advice.ranking.iter().find(|one| one.strategy == name.as_str()).unwrap()
            };
            let contains = |estimate: Estimate, exact: f64| {
                let (low, high) = estimate.interval().unwrap();
                low <= exact && exact <= high
            };
            figures += u32::from(contains(standing(names[0]).figure, exact[0]));
            let worse = usize::from(advice.ranking[0].strategy == names[0].as_str());
            let behind = standing(names[worse]).behind;
            differences += u32::from(contains(behind, exact[worse] - exact[1 - worse]));
        }
        println!("{objective}: {figures} and {differences} of {traces}");
        // 95 % of 60 are 57; fewer than 50 would be a chance of one in a thousand.
        assert!(figures >= 50 && differences >= 50, "{figures} and {differences} of {traces}");
    }
}

#[test]
fn advice_on_a_trace_is_reproducible_on_any_number_of_threads() {
    let scenario = recorded(1, 2_000);
    let contenders = contenders();
    let asked = question(&scenario, &contenders);
    let reported = Mutex::new(0);
    let progress = |tasks: u64| {
        let mut most = reported.lock().unwrap();
        *most = tasks.max(*most);
        ControlFlow::Continue(())
    };
    let advice = advise(&asked, &progress).unwrap().unwrap();
    assert_eq!((advice.asked, advice.objective), (Objective::P99, Objective::Percentile(95)));
    assert_eq!((advice.tasks, advice.conclusion), (2_000, Conclusion::Best));
    assert!(advice.block_tasks.is_some_and(|block| block > 1), "{:?}", advice.block_tasks);
    assert!(advice.ranking.iter().all(|standing| standing.runs.len() == 3));
    // Tasks beyond those of the trace do not arrive.
    assert!(*reported.lock().unwrap() <= asked.tasks());
    let alone = Question { threads: non_zero(5), ..question(&scenario, &contenders) };
    assert!(advice == advise(&alone, &|_| ControlFlow::Continue(())).unwrap().unwrap());
    let calls = Mutex::new(0);
    let late = |_| {
        *calls.lock().unwrap() += 1;
        if *calls.lock().unwrap() > 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(matches!(advise(&asked, &late), Ok(None)), "stopped among the resampled traces");
    let wrong = Question { objective: Objective::Percentile(100), ..asked };
    let error = advise(&wrong, &|_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert_eq!(error, "percentile of the objective is 100, allowed is 1 to 99");
}
