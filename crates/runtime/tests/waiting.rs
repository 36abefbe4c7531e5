//! How workers wait for tasks, and which cores they run on.
mod common;

use std::thread;

use common::{Do, Obedient, ObedientPool, ask_at, builder, end, number, watchdog};
use raddle_core::WorkerSpec;
use raddle_runtime::{Overflow, SpawnError, WaitStrategy};

const STRATEGIES: [WaitStrategy; 5] = [
    WaitStrategy::Spin,
    WaitStrategy::Yield,
    WaitStrategy::YieldThenPark { polls: 50 },
    WaitStrategy::YieldThenPark { polls: 0 },
    WaitStrategy::Park,
];

fn waiting(wait: WaitStrategy, stealing: bool) -> ObedientPool {
    builder(2)
        .wait(wait)
        .stealing(stealing)
        .mailbox(64, Overflow::Block)
        .spawn(|_| Obedient::default())
        .unwrap()
}

#[test]
fn every_wait_strategy_runs_every_task() {
    let _watchdog = watchdog();
    for (wait, stealing) in STRATEGIES.into_iter().flat_map(|wait| [(wait, false), (wait, true)]) {
        let pool = waiting(wait, stealing);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for batch in 0..50 {
                        let ask = |number| pool.ask(Do::Return(number));
                        let asks: Vec<_> = (0..20).map(|at| ask(20 * batch + at)).collect();
                        (0..20).for_each(|_| pool.tell(Do::Return(0)).unwrap());
                        for (at, ask) in (0..).zip(asks) {
                            assert_eq!(number(ask), 20 * batch + at);
                        }
                    }
                });
            }
        });
        assert_eq!(end(&pool).counts.completed, 4000, "{wait:?}");
    }
}

#[test]
fn a_waiting_worker_notices_a_single_task_and_its_retirement() {
    let _watchdog = watchdog();
    for wait in STRATEGIES {
        let pool = waiting(wait, false);
        // One after the other: each finds a worker that waits, or is about to.
        for sent in 0..50 {
            assert_eq!(number(pool.ask(Do::Return(sent))), sent);
        }
        pool.resize(1).unwrap();
        pool.add_worker(WorkerSpec::new("new")).unwrap();
        assert!(ask_at(&pool, 1, Do::WhoAreYou).wait().is_ok(), "{wait:?}");
        end(&pool);
    }
}

/// The cores that the worker at this index may run on.
fn cores_of(pool: &ObedientPool, index: usize) -> Vec<usize> {
    let (sender, cores) = std::sync::mpsc::channel();
    assert!(ask_at(pool, index, Do::call(move || drop(sender.send(allowed())))).wait().is_ok());
    cores.recv().unwrap()
}

/// The cores that this thread may run on.
fn allowed() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap().into_iter().map(|core| core.id).collect()
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "not every system reports a thread's cores")]
fn workers_run_on_the_cores_they_are_pinned_to() {
    let _watchdog = watchdog();
    let all = allowed();
    let (first, last) = (all[0], *all.last().unwrap());
    let spawn = |workers, cores: &[usize]| {
        let cores = cores.iter().copied();
        builder(workers).pin_workers_to(cores).spawn(|_| Obedient::default()).unwrap()
    };
    let pool = spawn(3, &[last, first]);
    let pinned: Vec<_> = (0..3).map(|index| cores_of(&pool, index)).collect();
    assert_eq!(pinned, [[last], [first], [last]], "in turn");
    end(&pool);
    let pool = spawn(1, &[]);
    assert_eq!(cores_of(&pool, 0), all, "pinned to no core in particular");
    end(&pool);
    assert_eq!(allowed(), all, "the caller's thread is unchanged");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "not every system reports a thread's cores")]
fn workers_are_pinned_to_all_cores_in_turn() {
    let _watchdog = watchdog();
    let all = allowed();
    let workers = all.len() + 1;
    let pool = builder(workers).pin_workers().spawn(|_| Obedient::default()).unwrap();
    for index in 0..workers {
        assert_eq!(cores_of(&pool, index), [all[index % all.len()]]);
    }
    end(&pool);
}

#[test]
fn an_unknown_core_is_refused_and_the_error_lists_the_allowed_ones() {
    let _watchdog = watchdog();
    let cores = [allowed()[0], 9999];
    let error = builder(1).pin_workers_to(cores).spawn(|_| Obedient::default()).unwrap_err();
    assert!(
        matches!(&error, SpawnError::Core { core: 9999, allowed: cores } if *cores == allowed()),
        "{error}"
    );
    assert!(error.to_string().starts_with("core 9999 cannot be used; allowed are ["));
}
