use std::ops::ControlFlow;

use raddle_core::{Capability, WorkerSpec};
use raddle_sim::{Capabilities, Dispatchers, Fault, FaultKind, Keys, simulate_with};
use raddle_strategies::StrategyName::{Random as ByChance, RoundRobin};

use super::*;

const ENDLESS: Duration = Duration::MAX;

#[test]
fn a_task_that_has_not_started_by_its_timeout_expires() {
    let mut scenario = trace(1, &[(0, 10), (1, 1), (8, 1)]);
    scenario.timeout = Some(9 * MS);
    let run = run(&scenario, ByChance);
    assert_eq!((run.completed, run.expired), (2, 1), "at 10 ms, the second has waited for 9 ms");
    assert_eq!(run.workers[0].dispatched, 3);
}

#[test]
fn a_full_mailbox_rejects_tasks() {
    let mut scenario = trace(1, &[(0, 10), (1, 1), (2, 1), (3, 1), (11, 1)]);
    scenario.mailbox = Some(2);
    let run = run(&scenario, ByChance);
    assert_eq!((run.completed, run.rejected), (4, 1));
}

#[test]
fn a_task_without_a_capable_worker_is_rejected() {
    let can = "sim-can";
    let cannot = Capability::intern("sim-cannot").unwrap();
    let mut scenario = trace(1, &[(0, 1), (5, 1)]);
    scenario.workers[0].spec = WorkerSpec::new("one").capability(can);
    scenario.load.capabilities = Capabilities::Trace([None, Some(cannot)].into());
    let run = run(&scenario, ByChance);
    assert_eq!((run.completed, run.rejected), (1, 1));
}

#[test]
fn the_failure_rate_applies_at_every_worker() {
    let scenario = Scenario { failure_rate: 0.25, ..scenario(4, 0.5, 40_000) };
    let run = run(&scenario, RoundRobin);
    let share = run.failed as f64 / run.tasks as f64;
    assert!((share - 0.25).abs() < 0.01, "{share}");
    assert_eq!(run.sojourn.count(), run.completed, "failures are not measured");
}

#[test]
fn speed_divides_service_times() {
    let mut scenario = trace(1, &[(0, 9)]);
    scenario.workers[0].speed = 3.0;
    assert_eq!(run(&scenario, ByChance).sojourn.mean(), 3 * MS);
}

#[test]
fn the_warm_up_is_not_measured() {
    let scenario = Scenario { warm_up: 2, ..trace(1, &[(0, 9), (20, 8), (40, 3)]) };
    let run = run(&scenario, ByChance);
    assert_eq!((run.sojourn.count(), run.sojourn.mean(), run.completed), (1, 3 * MS, 3));
}

#[test]
fn queue_lengths_are_sampled_while_there_are_tasks() {
    let mut scenario = trace(1, &[(0, 3), (1, 4)]);
    scenario.sample_interval = Some(2 * MS);
    let run = run(&scenario, ByChance);
    let seen: Vec<_> =
        run.timeline.iter().map(|sample| (sample.at.as_millis(), sample.in_flight[0])).collect();
    assert_eq!(seen, [(2, 2), (4, 1), (6, 1)]);
}

#[test]
fn progress_is_reported_and_can_stop_the_run() {
    let scenario = scenario(2, 0.5, 300_000);
    let mut reported = Vec::new();
    let stopped = simulate_with(&scenario, &Random, |done| {
        reported.push(done);
        if reported.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert_eq!(stopped, Err(SimError::Stopped));
    assert!(reported.is_sorted() && reported[2] < 300_000 && reported[0] > 0, "{reported:?}");
}

/// With rare arrivals, nearly every event is a refresh.
#[test]
fn progress_is_reported_although_few_tasks_arrive() {
    let mut scenario = trace(1, &[(0, 1), (4_000_000, 1)]);
    scenario.refresh_interval = MS;
    let stopped = simulate_with(&scenario, &Random, |_| ControlFlow::Break(()));
    assert_eq!(stopped, Err(SimError::Stopped));
}

#[test]
fn the_callers_random_numbers_are_restored() {
    fastrand::seed(5);
    let expected = fastrand::u64(..);
    fastrand::seed(5);
    simulate(&scenario(2, 0.5, 1_000), &Random).unwrap();
    assert_eq!(fastrand::u64(..), expected);
}

#[test]
fn an_invalid_scenario_is_refused_by_name() {
    let valid = || scenario(2, 0.5, 10);
    let fault = |fault: Fault| Scenario { faults: vec![fault], ..valid() };
    let hang = Fault { worker: 0, at: MS, duration: None, kind: FaultKind::Hang };
    let arrivals = |arrivals| Scenario { load: Load { arrivals, ..valid().load }, ..valid() };
    let service = |service| Scenario { load: Load { service, ..valid().load }, ..valid() };
    let bursty = |burst, burst_length, quiet_length| {
        arrivals(Arrivals::Bursty { rate: 10.0, burst, burst_length, quiet_length })
    };
    let pareto = |shape, longest| service(Service::Pareto { mean: MS, shape, longest });
    let dispatchers = |count| Dispatchers { count, sync_interval: MS };
    let cases = [
        (Scenario { workers: vec![], ..valid() }, "number of workers is 0"),
        (Scenario { tasks: 0, warm_up: 0, ..valid() }, "number of tasks is 0"),
        (
            Scenario { warm_up: 10, ..valid() },
            "warm-up is 10, allowed is below the number of tasks",
        ),
        (Scenario { failure_rate: 1.5, ..valid() }, "failure rate is 1.5, allowed is 0 to 1"),
        (Scenario { failure_rate: f64::NAN, ..valid() }, "failure rate is NaN"),
        (Scenario { mailbox: Some(0), ..valid() }, "mailbox is 0, allowed is at least 1"),
        (Scenario { refresh_interval: Duration::ZERO, ..valid() }, "refresh interval"),
        (Scenario { sample_interval: Some(Duration::ZERO), ..valid() }, "sample interval"),
        (Scenario { speedup: 0.0, ..valid() }, "speedup is 0, allowed is a number above 0"),
        (Scenario { speedup: 1e4, ..valid() }, "speedup is 10000, allowed is up to 1000.000"),
        (Scenario { dispatchers: dispatchers(0), ..valid() }, "number of dispatchers is 0"),
        (Scenario { dispatchers: dispatchers(usize::MAX), ..valid() }, "number of dispatchers"),
        (
            Scenario {
                workers: SimWorker::equal(60_000),
                dispatchers: dispatchers(60_000),
                ..valid()
            },
            "memory for the dispatchers' statistics",
        ),
        (Scenario { workers: SimWorker::equal(65_536), ..valid() }, "number of workers is 65536"),
        (
            Scenario {
                sample_interval: Some(Duration::from_nanos(1)),
                ..trace(1, &[(0, 1), (4_000, 1)])
            },
            "number of samples is",
        ),
        (arrivals(Arrivals::Poisson { rate: 0.0 }), "arrivals' rate is 0, allowed is a number"),
        (arrivals(Arrivals::Steady { rate: f64::NAN }), "arrivals' rate is NaN"),
        (arrivals(Arrivals::Poisson { rate: 1e-300 }), "time of an arrival"),
        (arrivals(Arrivals::Trace([2 * MS, MS].into())), "times in ascending order"),
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
                load: Load { keys: Keys::Zipf { count: u32::MAX, exponent: 1.0 }, ..valid().load },
                ..valid()
            },
            "number of keys",
        ),
    ];
    for (scenario, expected) in cases {
        let error = refused(&scenario);
        assert!(error.contains(expected), "`{error}`, not `{expected}`");
    }
}
