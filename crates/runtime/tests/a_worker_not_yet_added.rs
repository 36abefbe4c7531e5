//! A worker takes no tasks until it has been added.
mod common;

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::{Do, Obedient, hold, watchdog};
use raddle_core::WorkerSpec;
use raddle_runtime::{Drain, MembershipError, Pool, SpawnError};

#[test]
fn a_worker_takes_no_task_if_another_that_is_added_with_it_cannot_start() {
    let _watchdog = watchdog();
    let (run, runs) = channel();
    let runs = Mutex::new(runs);
    let pool = Pool::builder("test")
        .workers(2, WorkerSpec::new("w"))
        .stealing(true)
        .spawn(move |worker| {
            if worker.name() == "w-3" {
                // Enough time for `w-2`, which is added with it, to steal if it could.
                let stolen = runs.lock().unwrap().recv_timeout(Duration::from_millis(100));
                panic!("a task was stolen: {}", stolen.is_ok());
            }
            Obedient::default()
        })
        .unwrap();
    let gates = [hold(&pool, 0), hold(&pool, 1)];
    for _ in 0..10 {
        let run = run.clone();
        pool.tell(Do::call(move || run.send(()).unwrap())).unwrap();
    }
    let resized = pool.resize(4);
    gates.iter().for_each(common::Gate::open);
    let account = pool.shutdown(Drain::all()).unwrap();
    let Err(MembershipError::Spawn(SpawnError::Actor { worker, source })) = resized else {
        panic!("`w-3` cannot start: {resized:?}")
    };
    assert_eq!(worker, "w-3");
    assert_eq!(source.to_string(), "a task was stolen: false");
    assert_eq!((account.counts.admitted, account.counts.completed), (12, 12));
}
