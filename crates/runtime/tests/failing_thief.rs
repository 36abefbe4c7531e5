//! A worker that fails at once is always idle, and must not therefore take what others could do.

mod common;

use common::{Do, Gate, Obedient, watchdog};
use raddle_core::{Candidates, TaskProfile, WorkerSpec};
use raddle_runtime::{Drain, Pool};
use raddle_strategies::{RoundRobin, Strategy};

/// Always the worker of this index.
#[derive(Debug)]
struct Only(usize);

impl Strategy for Only {
    fn name(&self) -> &'static str {
        "only"
    }
    fn pick(&self, _: &TaskProfile, _: &Candidates<'_>) -> usize {
        self.0
    }
}

#[test]
fn a_failing_worker_does_not_steal() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .workers(2, WorkerSpec::new("w"))
        .strategy(RoundRobin::new())
        .stealing(true)
        .spawn(|_| Obedient::default())
        .unwrap();
    let fail = || {
        let failed = pool.task(Do::Fail("no")).strategy(&Only(0)).ask().unwrap().wait();
        assert!(failed.is_err());
    };
    (0..20).for_each(|_| fail());
    let gate = Gate::new();
    let held = pool.task(Do::Hold(gate.clone())).strategy(&Only(1)).ask().unwrap();
    gate.reached();
    let waiting = pool.task(Do::WhoAreYou).strategy(&Only(1)).ask().unwrap();
    // After each of these the failing worker has nothing to do and looks around.
    (0..5).for_each(|_| fail());
    gate.open();
    assert_eq!(held.wait().unwrap().by, "w-1");
    assert_eq!(waiting.wait().unwrap().by, "w-1");
    assert!(pool.shutdown(Drain::all()).unwrap().is_balanced());
}
