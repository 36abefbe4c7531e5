//! One of ten workers is not well, at load 0.7 with tasks of 5 ms, for 90 s.

use raddle_strategies::StrategyName::{
    BoundedHash, ExpectedDelay, HotCold, JoinIdle, LeastWork, PeakEwma, PowerOfTwo, RoundRobin,
};

use super::*;

/// Those that came after the first six.
const NEW: [StrategyName; 7] =
    [JoinIdle, PowerOfTwo, PeakEwma, HotCold, ExpectedDelay, LeastWork, BoundedHash];

const WORKERS: usize = 10;
const LASTING: Duration = Duration::from_secs(95);
/// Who is not well.
const SICK: usize = 3;
/// When the fault begins: with a history that is good, or none.
const BEGINS: [Duration; 2] = [Duration::ZERO, Duration::from_secs(5)];

/// Without sizes, and with them where they are looked at.
fn sizes_known(strategy: StrategyName) -> &'static [bool] {
    if strategy == LeastWork { &[false, true] } else { &[false] }
}

fn well() -> Scenario {
    scenario(SimWorker::equal(WORKERS), 0.7, SECOND / 200, LASTING)
}

fn sick(at: Duration, kind: FaultKind) -> Scenario {
    Scenario { faults: vec![Fault { worker: SICK, at, lasting: None, kind }], ..well() }
}

#[test]
fn a_hung_worker_is_given_few_tasks() {
    for strategy in NEW {
        for at in BEGINS {
            for &sizes_known in sizes_known(strategy) {
                let scenario = Scenario { sizes_known, ..sick(at, FaultKind::Hang) };
                let run = run(&scenario, strategy);
                // All that it was given from then on, and what it had: nothing of it ends.
                let (stuck, seed) = (run.stuck, run.seed);
                println!("{strategy}, hung at {at:?}, seed {seed}: {stuck} tasks");
                assert!((1..=30).contains(&stuck), "{strategy}, hung at {at:?}: {stuck}");
                assert_eq!(run.completed, run.tasks - stuck);
            }
        }
    }
}

/// The measure itself: in rotation it is given one task in ten, 12,600 in 90 s.
#[test]
fn without_a_look_at_workers_a_hung_one_is_given_its_share() {
    let run = run(&sick(5 * SECOND, FaultKind::Hang), RoundRobin);
    assert!(run.stuck > 12_000, "{}", run.stuck);
}

#[test]
fn who_fails_at_once_is_given_no_more_than_its_share() {
    let kind = FaultKind::FailFast { after: Duration::from_micros(10) };
    for strategy in NEW {
        for at in BEGINS {
            let failing = run(&sick(at, kind), strategy);
            // The same tasks as far as the fault.
            let part = (failing.tasks as f64 * at.as_secs_f64() / LASTING.as_secs_f64()) as u64;
            let before = |tasks: u64| match tasks {
                0 => 0,
                _ => run(&Scenario { tasks, ..sick(at, kind) }, strategy).workers[SICK].given,
            };
            let given = failing.workers[SICK].given - before(part);
            let tasks = (failing.tasks - part) as f64;
            let fair = match strategy {
                // By the keys that are its own. With a task now and then, no one is full.
                BoundedHash => {
                    let mut light = well();
                    light.load.arrivals = Arrivals::Steady { rate: 2.0 };
                    let own = |tasks| match tasks {
                        0 => 0,
                        _ => {
                            run(&Scenario { tasks, ..light.clone() }, strategy).workers[SICK].given
                        }
                    };
                    (own(failing.tasks) - own(part)) as f64
                }
                _ => tasks / WORKERS as f64,
            };
            // Four standard deviations of as many draws of one in ten.
            let margin = 4.0 * (tasks * 0.1 * 0.9).sqrt();
            let (share, seed) = (given as f64 / fair, failing.seed);
            println!("{strategy}, failing from {at:?}, seed {seed}: {share:.3} of its share");
            assert!(given as f64 <= fair + margin, "{strategy}, from {at:?}: {given} of {fair}");
            assert!(given > 0, "{strategy}: nobody would know that it is well again");
        }
    }
}

#[test]
fn who_is_ten_times_slower_has_no_growing_queue() {
    for strategy in NEW {
        for at in BEGINS {
            let mut scenario = sick(at, FaultKind::SlowDown { factor: 10.0 });
            scenario.sample_every = Some(SECOND / 10);
            for &sizes_known in sizes_known(strategy) {
                // They are the tasks', not the workers'.
                scenario.sizes_known = sizes_known;
                let run = run(&scenario, strategy);
                let (most, seed) = (most_growth(&run, LASTING), run.seed);
                let longest = run.workers[SICK].max_in_flight;
                println!("{strategy}, slow from {at:?}, seed {seed}: {most:.2}, most {longest}");
                assert!(most < CHANCE, "{strategy}, slow from {at:?}: by {most}");
            }
        }
    }
}

/// The measure itself: in rotation a slow worker is given seven times what it can do.
#[test]
fn in_rotation_who_is_ten_times_slower_has_a_growing_queue() {
    let mut scenario = sick(5 * SECOND, FaultKind::SlowDown { factor: 10.0 });
    scenario.sample_every = Some(SECOND / 10);
    let run = run(&scenario, RoundRobin);
    assert!(growth(&run, LASTING, SICK) > 100.0 * CHANCE, "{}", growth(&run, LASTING, SICK));
    let others = (0..WORKERS).filter(|worker| *worker != SICK);
    assert!(others.map(|worker| growth(&run, LASTING, worker)).all(|growth| growth < CHANCE));
}
