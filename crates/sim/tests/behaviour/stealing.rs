use raddle_core::{Candidates, Capability, TaskProfile, WorkerSpec};
use raddle_sim::{Capabilities, Fault, FaultKind, Keys, SimWorker};
use raddle_strategies::Strategy;
use raddle_strategies::StrategyName::{CapabilityBest, LeastLoaded, Random, RoundRobin};

use super::*;

#[test]
fn an_idle_worker_takes_what_waits_elsewhere() {
    // By rotation the third task waits behind the first, whose worker is busy for long.
    let mut scenario = trace(2, &[(0, 100), (1, 1), (3, 1)]);
    assert_eq!(run(&scenario, RoundRobin).sojourn.max() / 1_000_000, 100);
    scenario.stealing = true;
    let stolen = run(&scenario, RoundRobin);
    assert_eq!((stolen.stolen, stolen.wait.max()), (1, 0));
    assert_eq!(stolen.workers[1].completed, 2);
}

#[test]
fn whoever_becomes_idle_takes_too() {
    let mut scenario = trace(2, &[(0, 100), (0, 10), (1, 5), (2, 5), (3, 5)]);
    scenario.stealing = true;
    let run = run(&scenario, RoundRobin);
    assert_eq!(run.stolen, 2, "the third and the fifth wait behind the first");
    assert_eq!(run.workers[0].completed, 1);
}

/// Always the first worker, whose siblings may take what waits there.
#[derive(Debug)]
struct First;

impl Strategy for First {
    fn name(&self) -> &'static str {
        "first"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        0
    }
    fn lets_steal(&self) -> bool {
        true
    }
}

fn with_fault(kind: FaultKind) -> Run {
    let mut tasks = vec![(1, 1_000)];
    tasks.extend((0..20).map(|number| (2 + number, 1)));
    let fault = Fault { worker: 1, at: Duration::ZERO, lasting: None, kind };
    let scenario = Scenario { stealing: true, faults: vec![fault], ..trace(2, &tasks) };
    simulate(&scenario, &First).unwrap()
}

#[test]
fn nobody_steals_who_hangs_or_is_down() {
    for kind in [FaultKind::Hang, FaultKind::Restart] {
        let run = with_fault(kind);
        assert_eq!((run.stolen, run.completed), (0, 21), "{kind:?}");
    }
    assert_eq!(with_fault(FaultKind::SlowDown { factor: 1.0 }).stolen, 20);
}

#[test]
fn who_is_known_to_fail_steals_no_more() {
    let run = with_fault(FaultKind::FailFast { after: MS / 10 });
    assert_eq!((run.stolen, run.failed, run.completed), (11, 11, 10), "11 failures make it known");
}

#[test]
fn tasks_with_keys_stay_and_capabilities_are_kept_apart() {
    let mut scenario = trace(2, &[(0, 100), (1, 1), (3, 1)]);
    scenario.stealing = true;
    scenario.load.keys = Keys::Trace([Some(1)].into());
    assert_eq!(run(&scenario, RoundRobin).stolen, 0);

    let name = "sim-steal";
    let capability = Capability::intern(name).unwrap();
    let mut scenario = trace(2, &[(0, 100), (1, 1), (3, 1)]);
    scenario.stealing = true;
    scenario.workers[1] = SimWorker { spec: WorkerSpec::new("other").capability(name), speed: 1.0 };
    scenario.load.capabilities = Capabilities::Mix(vec![(None, 1.0)]);
    assert_eq!(run(&scenario, RoundRobin).stolen, 0);
    scenario.load.capabilities = Capabilities::Mix(vec![(Some(capability), 1.0)]);
    assert_eq!(run(&scenario, Random).rejected, 0);
}

#[test]
fn a_strategy_that_lets_nobody_steal_is_obeyed() {
    let scenario = Scenario { stealing: true, ..scenario(4, 0.9, 20_000) };
    assert_eq!(run(&scenario, CapabilityBest).stolen, 0);
    let (random, least) = (run(&scenario, Random), run(&scenario, LeastLoaded));
    assert!(random.stolen > least.stolen && least.stolen > 0);
    // With free stealing no worker rests while another's tasks wait: one queue, whoever chose.
    let ratio = random.mean_sojourn / least.mean_sojourn;
    assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
}
