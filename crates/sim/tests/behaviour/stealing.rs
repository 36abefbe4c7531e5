use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use raddle_core::{Candidates, Capability, TaskProfile, WorkerSpec};
use raddle_sim::{Capabilities, Fault, FaultKind, Keys, SimWorker};
use raddle_strategies::Strategy;
use raddle_strategies::StrategyName::{CapabilityBest, LeastLoaded, Random, RoundRobin};

use super::*;

/// Rotates from the first worker on, and lets the others steal.
#[derive(Debug, Default)]
struct InTurn(AtomicUsize);

impl Strategy for InTurn {
    fn name(&self) -> &'static str {
        "in_turn"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        self.0.fetch_add(1, Relaxed) % candidates.len()
    }
    fn lets_steal(&self) -> bool {
        true
    }
}

fn in_turn(scenario: &Scenario) -> Run {
    simulate(scenario, &InTurn::default()).unwrap()
}

#[test]
fn an_idle_worker_steals_a_waiting_task() {
    // In rotation, the third task waits behind the first, which takes long.
    let mut scenario = trace(2, &[(0, 100), (1, 1), (3, 1)]);
    assert_eq!(in_turn(&scenario).sojourn.max().as_millis(), 100);
    scenario.stealing = true;
    let stolen = in_turn(&scenario);
    assert_eq!((stolen.stolen, stolen.wait.max()), (1, Duration::ZERO));
    assert_eq!(stolen.workers[1].completed, 2);
}

#[test]
fn a_worker_that_becomes_idle_steals_too() {
    let mut scenario = trace(2, &[(0, 100), (0, 10), (1, 5), (2, 5), (3, 5)]);
    scenario.stealing = true;
    let run = in_turn(&scenario);
    assert_eq!(run.stolen, 2, "the third and the fifth wait behind the first");
    assert_eq!(run.workers[0].completed, 1);
}

/// Always picks the first worker, and lets the others steal from it.
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
    let fault = Fault { worker: 1, at: Duration::ZERO, duration: None, kind };
    let scenario = Scenario { stealing: true, faults: vec![fault], ..trace(2, &tasks) };
    simulate(&scenario, &First).unwrap()
}

#[test]
fn a_hung_or_restarting_worker_does_not_steal() {
    for kind in [FaultKind::Hang, FaultKind::Restart] {
        let run = with_fault(kind);
        assert_eq!((run.stolen, run.completed), (0, 21), "{kind:?}");
    }
    assert_eq!(with_fault(FaultKind::SlowDown { factor: 1.0 }).stolen, 20);
}

#[test]
fn a_failing_worker_stops_stealing() {
    let run = with_fault(FaultKind::FailFast { after: MS / 10 });
    assert_eq!(
        (run.stolen, run.failed, run.completed),
        (11, 11, 10),
        "after 11 failures it counts as failing"
    );
}

#[test]
fn keyed_tasks_and_other_capabilities_are_not_stolen() {
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
fn a_strategy_can_forbid_stealing() {
    let scenario = Scenario { stealing: true, ..scenario(4, 0.9, 20_000) };
    assert_eq!(run(&scenario, CapabilityBest).stolen, 0);
    let (random, least) = (run(&scenario, Random), run(&scenario, LeastLoaded));
    assert!(random.stolen > least.stolen && least.stolen > 0);
    // With free stealing, no worker is idle while tasks wait: one queue under any strategy.
    let ratio = random.sojourn.mean().div_duration_f64(least.sojourn.mean());
    assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
}
