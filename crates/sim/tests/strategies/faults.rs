//! One of ten workers is faulty, at load 0.7 with tasks of 5 ms, for 90 s.

use raddle_strategies::StrategyName::{
    BoundedHash, ExpectedDelay, HotCold, JoinIdle, LeastWork, PeakEwma, PowerOfTwo, RoundRobin,
};

use super::*;

/// Strategies that must cope with a faulty worker.
const ROBUST: [StrategyName; 7] =
    [JoinIdle, PowerOfTwo, PeakEwma, HotCold, ExpectedDelay, LeastWork, BoundedHash];

const WORKERS: usize = 10;
const ARRIVING: Duration = Duration::from_secs(95);
/// The faulty worker.
const FAULTY: usize = 3;
/// When the fault begins: before any history, or after a good one.
const BEGINS: [Duration; 2] = [Duration::ZERO, Duration::from_secs(5)];

/// Without known durations, and with them for a strategy that reads them.
fn durations_known(strategy: StrategyName) -> &'static [bool] {
    if strategy == LeastWork { &[false, true] } else { &[false] }
}

fn healthy() -> Scenario {
    scenario(SimWorker::equal(WORKERS), 0.7, SECOND / 200, ARRIVING)
}

fn faulty(at: Duration, kind: FaultKind) -> Scenario {
    Scenario { faults: vec![Fault { worker: FAULTY, at, duration: None, kind }], ..healthy() }
}

#[test]
fn a_hung_worker_receives_few_tasks() {
    for strategy in ROBUST {
        for at in BEGINS {
            for &durations_known in durations_known(strategy) {
                let scenario = Scenario { durations_known, ..faulty(at, FaultKind::Hang) };
                let run = run(&scenario, strategy);
                // None of the tasks that it had or received ends.
                let (stuck, seed) = (run.stuck, run.seed);
                println!("{strategy}, hung at {at:?}, seed {seed}: {stuck} tasks");
                assert!((1..=30).contains(&stuck), "{strategy}, hung at {at:?}: {stuck}");
                assert_eq!(run.completed, run.tasks - stuck);
            }
        }
    }
}

/// Checks the measure itself: in rotation it receives one task in ten, 12,600 in 90 s.
#[test]
fn in_rotation_a_hung_worker_receives_its_full_share() {
    let run = run(&faulty(5 * SECOND, FaultKind::Hang), RoundRobin);
    assert!(run.stuck > 12_000, "{}", run.stuck);
}

#[test]
fn a_fast_failing_worker_receives_no_more_than_its_share() {
    let kind = FaultKind::FailFast { after: Duration::from_micros(10) };
    for strategy in ROBUST {
        for at in BEGINS {
            let failing = run(&faulty(at, kind), strategy);
            // The tasks before the fault are the same in a shorter run.
            let part = (failing.tasks as f64 * at.as_secs_f64() / ARRIVING.as_secs_f64()) as u64;
            let before = |tasks: u64| match tasks {
                0 => 0,
                _ => {
                    run(&Scenario { tasks, ..faulty(at, kind) }, strategy).workers[FAULTY]
                        .dispatched
                }
            };
            let received = failing.workers[FAULTY].dispatched - before(part);
            let tasks = (failing.tasks - part) as f64;
            let fair = match strategy {
                // The share of its own keys, seen under a load so light that no worker is full.
                BoundedHash => {
                    let mut light = healthy();
                    light.load.arrivals = Arrivals::Steady { rate: 2.0 };
                    let own = |tasks| match tasks {
                        0 => 0,
                        _ => {
                            run(&Scenario { tasks, ..light.clone() }, strategy).workers[FAULTY]
                                .dispatched
                        }
                    };
                    (own(failing.tasks) - own(part)) as f64
                }
                _ => tasks / WORKERS as f64,
            };
            // Four standard deviations of that many draws of one in ten.
            let margin = 4.0 * (tasks * 0.1 * 0.9).sqrt();
            let (share, seed) = (received as f64 / fair, failing.seed);
            println!("{strategy}, failing from {at:?}, seed {seed}: {share:.3} of its share");
            assert!(
                received as f64 <= fair + margin,
                "{strategy}, from {at:?}: {received} of {fair}"
            );
            assert!(received > 0, "{strategy}: its recovery would go unnoticed");
        }
    }
}

#[test]
fn the_queue_of_a_worker_ten_times_slower_does_not_grow() {
    for strategy in ROBUST {
        for at in BEGINS {
            let mut scenario = faulty(at, FaultKind::SlowDown { factor: 10.0 });
            scenario.sample_interval = Some(SECOND / 10);
            for &durations_known in durations_known(strategy) {
                // Known are the tasks' durations at speed 1, not those on the slow worker.
                scenario.durations_known = durations_known;
                let run = run(&scenario, strategy);
                let (most, seed) = (max_growth(&run, ARRIVING), run.seed);
                let longest = run.workers[FAULTY].max_in_flight;
                println!("{strategy}, slow from {at:?}, seed {seed}: {most:.2}, most {longest}");
                assert!(most < NOISE, "{strategy}, slow from {at:?}: by {most}");
            }
        }
    }
}

/// Checks the measure itself: in rotation a slow worker receives seven times its capacity.
#[test]
fn in_rotation_the_queue_of_a_worker_ten_times_slower_grows() {
    let mut scenario = faulty(5 * SECOND, FaultKind::SlowDown { factor: 10.0 });
    scenario.sample_interval = Some(SECOND / 10);
    let run = run(&scenario, RoundRobin);
    assert!(growth(&run, ARRIVING, FAULTY) > 100.0 * NOISE, "{}", growth(&run, ARRIVING, FAULTY));
    let others = (0..WORKERS).filter(|worker| *worker != FAULTY);
    assert!(others.map(|worker| growth(&run, ARRIVING, worker)).all(|growth| growth < NOISE));
}
