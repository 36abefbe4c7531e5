use raddle_sim::{Fault, FaultKind};
use raddle_strategies::StrategyName::{LeastLoaded, Random, RoundRobin};

use super::*;

fn fault(worker: usize, at: u32, duration: Option<u32>, kind: FaultKind) -> Fault {
    Fault { worker, at: at * MS, duration: duration.map(|ms| ms * MS), kind }
}

fn with(faults: &[Fault], scenario: Scenario) -> Scenario {
    Scenario { faults: faults.to_vec(), ..scenario }
}

/// All sojourns in milliseconds, sorted.
fn sojourns(run: &Run) -> Vec<u64> {
    let millis = |value: u64| (value + 500_000) / 1_000_000;
    run.sojourn
        .histogram()
        .iter_recorded()
        .flat_map(|at| vec![millis(at.value_iterated_to()); at.count_at_value() as usize])
        .collect()
}

#[test]
fn a_hang_stops_time_for_the_running_task() {
    let scenario = with(&[fault(0, 4, Some(20), FaultKind::Hang)], trace(1, &[(0, 10), (1, 5)]));
    let run = run(&scenario, Random);
    assert_eq!(sojourns(&run), [30, 34], "10 + 20, then 5 more, arrived at 1");
    assert_eq!((run.completed, run.stuck), (2, 0));
}

#[test]
fn a_worker_that_hangs_for_the_rest_of_the_run_keeps_its_tasks() {
    let scenario =
        with(&[fault(0, 4, None, FaultKind::Hang)], trace(1, &[(0, 1), (3, 10), (8, 5)]));
    let run = run(&scenario, Random);
    assert_eq!((run.completed, run.stuck), (1, 2));
    assert_accounted(&run);
}

#[test]
fn fast_failures_take_the_set_time_and_are_no_sojourns() {
    let kind = FaultKind::FailFast { after: 2 * MS };
    let scenario =
        with(&[fault(0, 1, Some(9), kind)], trace(1, &[(0, 4), (2, 4), (5, 4), (20, 4)]));
    let run = run(&scenario, Random);
    assert_eq!((run.completed, run.failed), (2, 2));
    assert_eq!(sojourns(&run), [4, 4], "a task that started before the fault completes");
}

#[test]
fn a_slow_down_affects_the_tasks_that_start_during_it() {
    let kind = FaultKind::SlowDown { factor: 3.0 };
    let scenario = with(&[fault(0, 5, Some(10), kind)], trace(1, &[(0, 6), (7, 4), (30, 4)]));
    assert_eq!(sojourns(&run(&scenario, Random)), [4, 6, 12]);
}

#[test]
fn a_restart_panics_the_running_task_and_keeps_the_queue() {
    let scenario =
        with(&[fault(0, 2, Some(6), FaultKind::Restart)], trace(1, &[(0, 9), (1, 3), (4, 1)]));
    let run = run(&scenario, Random);
    assert_eq!((run.panicked, run.completed), (1, 2));
    assert_eq!(
        sojourns(&run),
        [8, 10],
        "from 8 on: arrived at 1, ended at 11; arrived at 4, ended at 12"
    );
}

#[test]
fn faults_of_one_worker_may_overlap() {
    let faults = [fault(0, 2, Some(10), FaultKind::Hang), fault(0, 5, Some(15), FaultKind::Hang)];
    let run = run(&with(&faults, trace(1, &[(0, 4)])), Random);
    assert_eq!(sojourns(&run), [22], "it hangs from 2 to 20");
}

#[test]
fn a_fault_after_the_last_task_changes_nothing() {
    let plain = trace(2, &[(0, 1), (0, 1)]);
    let faulty = with(&[fault(0, 1_000_000_000, None, FaultKind::Restart)], plain.clone());
    assert_eq!(run(&plain, RoundRobin), run(&faulty, RoundRobin));
}

#[test]
fn every_fault_at_once_loses_no_task() {
    let mut scenario = scenario(8, 0.8, 30_000);
    scenario.faults = vec![
        fault(0, 500, None, FaultKind::Hang),
        fault(1, 300, Some(700), FaultKind::Hang),
        fault(2, 0, Some(2_000), FaultKind::FailFast { after: MS / 100 }),
        fault(3, 100, Some(900), FaultKind::SlowDown { factor: 10.0 }),
        fault(4, 400, Some(50), FaultKind::Restart),
        fault(4, 420, Some(500), FaultKind::Hang),
    ];
    scenario.failure_rate = 0.05;
    scenario.timeout = Some(20 * MS);
    scenario.mailbox = Some(8);
    // Whether a restart meets a running task, or a mailbox is ever full, depends on the strategy.
    let mut met = [0; 4];
    for stealing in [false, true] {
        scenario.stealing = stealing;
        for strategy in [Random, RoundRobin, LeastLoaded] {
            let run = run(&scenario, strategy);
            assert_accounted(&run);
            assert!((1..=9).contains(&run.stuck), "{}", run.stuck);
            assert_eq!(run.stolen > 0, stealing);
            let counts = [run.expired, run.rejected, run.failed, run.panicked];
            met.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    assert!(met.iter().all(|count| *count > 0), "{met:?}");
}
