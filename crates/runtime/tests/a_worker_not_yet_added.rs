//! A worker takes part when it has been added, and not before.
mod common;

use std::sync::mpsc::channel;
use std::time::Duration;

use common::{Do, Gate, Obedient, watchdog};
use raddle_core::WorkerSpec;
use raddle_runtime::{Drain, MembershipError, Pool};

#[test]
fn what_is_added_with_one_that_cannot_start_has_taken_no_task() {
    let _watchdog = watchdog();
    let (run, runs) = channel();
    let runs = std::sync::Mutex::new(runs);
    let pool = Pool::builder("test")
        .workers(2, WorkerSpec::new("w"))
        .stealing(true)
        .spawn(move |worker| {
            if worker.name() == "w-3" {
                // Long enough for the one that is added with it to look around.
                let taken = runs.lock().unwrap().recv_timeout(Duration::from_millis(100));
                panic!("a task was taken: {}", taken.is_ok());
            }
            Obedient::default()
        })
        .unwrap();
    let gates = [Gate::new(), Gate::new()];
    for gate in &gates {
        pool.tell(Do::Hold(gate.clone())).unwrap();
        gate.reached();
    }
    for _ in 0..10 {
        let run = run.clone();
        pool.tell(Do::Call(Box::new(move || run.send(()).unwrap()))).unwrap();
    }
    let refused = pool.resize(4);
    gates.iter().for_each(Gate::open);
    let account = pool.shutdown(Drain::all()).unwrap();
    let Err(MembershipError::Spawn(error)) = refused else { panic!("w-3 cannot start") };
    assert!(error.to_string().contains("a task was taken: false"), "{error}");
    assert_eq!((account.counts.admitted, account.counts.completed), (12, 12));
}
