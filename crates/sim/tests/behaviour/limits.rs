use std::ops::ControlFlow;

use raddle_core::{Capability, WorkerSpec};
use raddle_sim::{Capabilities, Dispatchers, Fault, FaultKind, Keys, simulate_with};
use raddle_strategies::StrategyName::{Random as ByChance, RoundRobin};

use super::*;

const ENDLESS: Duration = Duration::MAX;

#[test]
fn what_has_not_begun_by_its_deadline_expires() {
    let mut scenario = trace(1, &[(0, 10), (1, 1), (8, 1)]);
    scenario.deadline = Some(9 * MS);
    let run = run(&scenario, ByChance);
    assert_eq!((run.completed, run.expired), (2, 1), "at 10 the second has waited for 9");
    assert_eq!(run.workers[0].given, 3);
}

#[test]
fn a_full_mailbox_rejects() {
    let mut scenario = trace(1, &[(0, 10), (1, 1), (2, 1), (3, 1), (11, 1)]);
    scenario.mailbox = Some(2);
    let run = run(&scenario, ByChance);
    assert_eq!((run.completed, run.rejected), (4, 1));
}

#[test]
fn a_task_that_nobody_can_do_is_rejected() {
    let can = "sim-can";
    let cannot = Capability::intern("sim-cannot").unwrap();
    let mut scenario = trace(1, &[(0, 1), (5, 1)]);
    scenario.workers[0].spec = WorkerSpec::new("one").capability(can);
    scenario.load.capabilities = Capabilities::Trace([None, Some(cannot)].into());
    let run = run(&scenario, ByChance);
    assert_eq!((run.completed, run.rejected), (1, 1));
}

#[test]
fn a_share_of_tasks_fails_at_any_worker() {
    let scenario = Scenario { failing: 0.25, ..scenario(4, 0.5, 40_000) };
    let run = run(&scenario, RoundRobin);
    let share = run.failed as f64 / run.tasks as f64;
    assert!((share - 0.25).abs() < 0.01, "{share}");
    assert_eq!(run.sojourn.len(), run.completed, "failures are not measured");
}

#[test]
fn speed_divides_service_times() {
    let mut scenario = trace(1, &[(0, 9)]);
    scenario.workers[0].speed = 3.0;
    assert_eq!(run(&scenario, ByChance).mean_sojourn, 3e6);
}

#[test]
fn the_warm_up_is_not_measured() {
    let scenario = Scenario { warm_up: 2, ..trace(1, &[(0, 9), (20, 8), (40, 3)]) };
    let run = run(&scenario, ByChance);
    assert_eq!((run.sojourn.len(), run.mean_sojourn, run.completed), (1, 3e6, 3));
}

#[test]
fn queue_lengths_are_noted_while_tasks_are_there() {
    let mut scenario = trace(1, &[(0, 3), (1, 4)]);
    scenario.sample_every = Some(2 * MS);
    let run = run(&scenario, ByChance);
    let seen: Vec<_> =
        run.timeline.iter().map(|sample| (sample.at.as_millis(), sample.in_flight[0])).collect();
    assert_eq!(seen, [(2, 2), (4, 1), (6, 1)]);
}

#[test]
fn progress_is_told_and_may_stop_it() {
    let scenario = scenario(2, 0.5, 300_000);
    let mut told = Vec::new();
    let stopped = simulate_with(&scenario, &Random, |done| {
        told.push(done);
        if told.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert_eq!(stopped, Err(SimError::Stopped));
    assert!(told.is_sorted() && told[2] < 300_000 && told[0] > 0, "{told:?}");
}

/// Tasks that come seldom, so that nearly all that happens is refreshing.
#[test]
fn progress_is_told_where_few_tasks_come() {
    let mut scenario = trace(1, &[(0, 1), (4_000_000, 1)]);
    scenario.refresh_every = MS;
    let stopped = simulate_with(&scenario, &Random, |_| ControlFlow::Break(()));
    assert_eq!(stopped, Err(SimError::Stopped));
}

#[test]
fn the_callers_random_numbers_are_left_alone() {
    fastrand::seed(5);
    let expected = fastrand::u64(..);
    fastrand::seed(5);
    run(&scenario(2, 0.5, 1_000), ByChance);
    assert_eq!(fastrand::u64(..), expected);
}

#[test]
fn a_scenario_that_cannot_be_is_refused_by_name() {
    let fine = || scenario(2, 0.5, 10);
    let fault = |fault: Fault| Scenario { faults: vec![fault], ..fine() };
    let hang = Fault { worker: 0, at: MS, lasting: None, kind: FaultKind::Hang };
    let arrivals = |arrivals| Scenario { load: Load { arrivals, ..fine().load }, ..fine() };
    let service = |service| Scenario { load: Load { service, ..fine().load }, ..fine() };
    let bursty = |burst, burst_length, quiet_length| {
        arrivals(Arrivals::Bursty { rate: 10.0, burst, burst_length, quiet_length })
    };
    let pareto = |shape, longest| service(Service::Pareto { mean: MS, shape, longest });
    let dispatchers = |count| Dispatchers { count, news_every: MS };
    let cases = [
        (Scenario { workers: vec![], ..fine() }, "number of workers is 0"),
        (Scenario { tasks: 0, warm_up: 0, ..fine() }, "number of tasks is 0"),
        (Scenario { warm_up: 10, ..fine() }, "warm-up is 10, allowed is fewer than the tasks"),
        (Scenario { failing: 1.5, ..fine() }, "share of failing tasks is 1.5, allowed is 0 to 1"),
        (Scenario { failing: f64::NAN, ..fine() }, "share of failing tasks is NaN"),
        (Scenario { mailbox: Some(0), ..fine() }, "mailbox is 0, allowed is at least 1"),
        (Scenario { refresh_every: Duration::ZERO, ..fine() }, "refresh interval"),
        (Scenario { sample_every: Some(Duration::ZERO), ..fine() }, "sample interval"),
        (Scenario { dispatchers: dispatchers(0), ..fine() }, "number of dispatchers is 0"),
        (Scenario { dispatchers: dispatchers(usize::MAX), ..fine() }, "number of dispatchers"),
        (arrivals(Arrivals::Poisson { rate: 0.0 }), "arrivals' rate is 0, allowed is a number"),
        (arrivals(Arrivals::Steady { rate: f64::NAN }), "arrivals' rate is NaN"),
        (arrivals(Arrivals::Poisson { rate: 1e-300 }), "time of an arrival"),
        (arrivals(Arrivals::Trace([2 * MS, MS].into())), "arrivals in order of time"),
        (arrivals(Arrivals::Trace([].into())), "trace is empty"),
        (arrivals(Arrivals::Trace([ENDLESS].into())), "time of an arrival"),
        (bursty(0.5, MS, MS), "burst is 0.5"),
        (bursty(2.5, MS, MS), "burst is 2.5, allowed is 1 to 2.000"),
        (bursty(2.5, ENDLESS, ENDLESS), "burst is 2.5"),
        (pareto(1.0, 9 * MS), "shape is 1, allowed is a number above 1"),
        (pareto(2.0, MS), "longest service"),
        (service(Service::Trace([].into())), "trace is empty"),
        (service(Service::Trace([ENDLESS].into())), "service in a trace"),
        (service(Service::Constant(ENDLESS)), "service"),
        (fault(Fault { worker: 2, ..hang }), "worker of a fault is 2, allowed is 0 to 1"),
        (fault(Fault { at: ENDLESS, ..hang }), "time of a fault"),
        (fault(Fault { kind: FaultKind::SlowDown { factor: -1.0 }, ..hang }), "factor"),
        (
            Scenario {
                load: Load { keys: Keys::Zipf { count: u32::MAX, exponent: 1.0 }, ..fine().load },
                ..fine()
            },
            "number of keys",
        ),
    ];
    for (scenario, expected) in cases {
        let error = refused(&scenario);
        assert!(error.contains(expected), "`{error}`, not `{expected}`");
    }
}
