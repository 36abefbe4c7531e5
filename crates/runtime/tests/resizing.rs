//! Adding and retiring workers while a pool is in use.
mod common;

use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{
    At, Do, Gate, LONG, Obedient, ObedientPool, ask_at, await_event, builder, by, end, hold, id,
    key_of, names, number, so_far, watchdog, worker,
};
use raddle_core::{Health, WorkerId, WorkerSpec};
use raddle_runtime::{
    EventKind, MembershipError, Overflow, Pool, RetireReason, SpawnError, Watchdog,
};
use raddle_strategies::StrategyName;
use raddle_sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

fn pool(workers: usize) -> ObedientPool {
    common::pool(workers, 64, Overflow::Block)
}

fn retired(kind: &EventKind) -> bool {
    *kind == EventKind::Retired { reason: RetireReason::Requested }
}

/// Sends tasks from two threads, one with keys and one without, while `change` runs. Checks that
/// every task runs, and returns their number.
fn under_traffic(pool: &ObedientPool, change: impl FnOnce()) -> u64 {
    let over = AtomicBool::new(false);
    let send = |keyed: bool| {
        let mut local = pool.local();
        let mut sent = 0;
        while !over.load(SeqCst) || sent < 200 {
            let task = local.task(Do::Return(sent));
            let task = if keyed { task.key(sent % 20) } else { task };
            assert_eq!(number(task.ask()), sent);
            sent += 1;
        }
        sent
    };
    std::thread::scope(|scope| {
        let senders = [scope.spawn(|| send(false)), scope.spawn(|| send(true))];
        change();
        over.store(true, SeqCst);
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    })
}

#[test]
fn a_worker_that_is_added_under_traffic_gets_its_share() {
    let _watchdog = watchdog();
    let pool = pool(1);
    let mut events = pool.subscribe();
    let sent = under_traffic(&pool, || {
        let added = pool.add_worker(WorkerSpec::new("next")).unwrap();
        assert_eq!(id(&pool, "next"), added);
    });
    let added = events.recv_timeout(LONG).unwrap();
    assert_eq!((added.name.as_str(), added.kind), ("next", EventKind::Added));
    let by: Vec<_> = (0..4).map(|_| by(pool.ask(Do::WhoAreYou)).unwrap()).collect();
    assert_eq!(by.iter().filter(|name| *name == "next").count(), 2, "every second task: {by:?}");
    assert_eq!(end(&pool).counts.completed, sent + 4);
}

#[test]
fn a_retired_worker_takes_no_more_tasks_and_runs_those_it_has() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    let key = key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let queued: Vec<_> = (0..5).map(|number| ask_at(&pool, 0, Do::Return(number))).collect();
    let keyed: Vec<_> = (0..5).map(|number| pool.task(Do::Return(number)).key(key).ask()).collect();
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    // In any order: the actors have no keyed state, so its keys move without it.
    let first = [(); 2].map(|()| events.recv_timeout(LONG).unwrap());
    assert!(first.iter().all(|event| event.name == "w-0"), "{first:?}");
    assert!(first.iter().any(|event| event.kind == EventKind::Draining), "{first:?}");
    let moved = |kind: &EventKind| matches!(kind, EventKind::KeysMoved { keys, to } if keys.contains(&key) && to.as_deref() == Some("w-1"));
    assert!(first.iter().any(|event| moved(&event.kind)), "{first:?}");
    assert_eq!(worker(&pool, "w-0").health, Health::Draining);
    let later = pool.task(Do::WhoAreYou).key(key).ask();
    for _ in 0..4 {
        assert_eq!(by(pool.ask(Do::WhoAreYou)).unwrap(), "w-1");
    }
    assert_eq!(so_far(&mut events), [], "it leaves after its last task");
    gate.open();
    for (number, ask) in (0..5).chain(0..5).zip(queued.into_iter().chain(keyed)) {
        let said = ask.wait().unwrap().unwrap();
        assert_eq!((said.number, said.by.as_str()), (number, "w-0"));
    }
    assert_eq!(by(later).unwrap(), "w-1", "the key has moved");
    let gone = events.recv_timeout(LONG).unwrap();
    assert!(gone.name == "w-0" && retired(&gone.kind), "{gone:?}");
    assert_eq!(names(&pool), ["w-1"]);
    end(&pool);
}

#[test]
fn an_impossible_change_is_an_error_and_changes_nothing() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    let taken = pool.add_worker(WorkerSpec::new("w-1")).unwrap_err();
    assert!(matches!(&taken, MembershipError::Spawn(SpawnError::Roster(_))), "{taken:?}");
    assert!(taken.to_string().contains("`w-1`"), "{taken}");
    let error = pool.add_worker(WorkerSpec::new("a\0b")).unwrap_err();
    assert!(matches!(error, MembershipError::Spawn(SpawnError::Name { .. })), "{error:?}");
    let error = pool.retire_worker(WorkerId(77)).unwrap_err();
    assert!(matches!(error, MembershipError::UnknownWorker(WorkerId(77))), "{error:?}");
    let error = pool.resize(0).unwrap_err();
    assert!(matches!(error, MembershipError::NoWorkers), "{error:?}");
    pool.resize(2).unwrap();
    assert_eq!((names(&pool), so_far(&mut events)), (vec!["w-0".into(), "w-1".into()], vec![]));
    end(&pool);
}

#[test]
fn the_last_worker_that_takes_tasks_cannot_be_retired() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    let gate = hold(&pool, 0);
    let (first, second) = (id(&pool, "w-0"), id(&pool, "w-1"));
    pool.retire_worker(first).unwrap();
    let error = pool.retire_worker(second).unwrap_err();
    assert!(matches!(error, MembershipError::LastWorker(id) if id == second), "{error:?}");
    let error = pool.retire_worker(first).unwrap_err();
    assert!(matches!(error, MembershipError::UnknownWorker(id) if id == first), "{error:?}");
    gate.open();
    await_event(&mut events, retired);
    let error = pool.retire_worker(first).unwrap_err();
    assert!(matches!(error, MembershipError::UnknownWorker(id) if id == first), "{error:?}");
    let error = pool.retire_worker(second).unwrap_err();
    assert!(matches!(error, MembershipError::LastWorker(id) if id == second), "{error:?}");
    end(&pool);
}

#[test]
fn a_pool_that_is_shut_down_cannot_be_changed() {
    let _watchdog = watchdog();
    let created = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&created);
    let pool = builder(2)
        .spawn(move |_| {
            count.fetch_add(1, SeqCst);
            Obedient::default()
        })
        .unwrap();
    let first = id(&pool, "w-0");
    end(&pool);
    let refused = [
        pool.add_worker(WorkerSpec::new("late")).map(drop),
        pool.retire_worker(first),
        pool.resize(1),
        pool.resize(2),
        pool.resize(3),
    ];
    for result in refused {
        assert!(matches!(result, Err(MembershipError::Closed)), "{result:?}");
    }
    assert_eq!(names(&pool), ["w-0", "w-1"]);
    assert_eq!(created.load(SeqCst), 2, "no further actor is created");
    end(&pool);
}

#[test]
fn the_newest_workers_are_retired_first_and_no_two_have_one_name() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    pool.add_worker(WorkerSpec::new("w-3")).unwrap();
    pool.resize(5).unwrap();
    assert_eq!(names(&pool), ["w-0", "w-1", "w-3", "w-2", "w-4"], "a taken name is skipped");
    let ids: Vec<_> = names(&pool).iter().map(|name| id(&pool, name)).collect();
    pool.resize(2).unwrap();
    for _ in 0..3 {
        await_event(&mut events, retired);
    }
    assert_eq!(names(&pool), ["w-0", "w-1"]);
    pool.resize(4).unwrap();
    let now = names(&pool);
    assert_eq!(now, ["w-0", "w-1", "w-2", "w-3"], "the lowest free names");
    for name in &now[2..] {
        assert!(!ids.contains(&id(&pool, name)), "an id is never used again");
    }
    // The name of a worker that is gone can be used again.
    pool.add_worker(WorkerSpec::new("w-4")).unwrap();
    assert_eq!(worker(&pool, "w-4").counts.admitted, 0, "it is another worker");
    end(&pool);
}

#[test]
fn resize_adds_workers_like_the_first_one() {
    let _watchdog = watchdog();
    let spec = WorkerSpec::new("gpu").capability("vision-of-resizing").weight(4);
    let pool = Pool::builder("test")
        .workers(1, spec)
        .worker(WorkerSpec::new("other").capability("other-of-resizing"))
        .stealing(false)
        .spawn(|_| Obedient::default())
        .unwrap();
    pool.resize(4).unwrap();
    assert_eq!(names(&pool), ["gpu-0", "other", "gpu-1", "gpu-2"]);
    let mut by: Vec<_> = (0..3)
        .map(|index| {
            let task = pool.task(Do::WhoAreYou).capability("vision-of-resizing");
            by(task.strategy(&At(index)).ask()).unwrap()
        })
        .collect();
    by.sort();
    assert_eq!(by, ["gpu-0", "gpu-1", "gpu-2"]);
    end(&pool);
}

#[test]
fn the_tasks_of_retired_workers_stay_in_the_account() {
    let _watchdog = watchdog();
    let pool = pool(3);
    let mut events = pool.subscribe();
    for index in 0..3 {
        assert!(ask_at(&pool, index, Do::Return(1)).wait().is_ok());
        assert!(ask_at(&pool, index, Do::Fail("no")).wait().unwrap().is_err());
        assert!(ask_at(&pool, index, Do::Panic("oh")).wait().is_err());
    }
    let before = pool.account();
    assert_eq!(before.counts.admitted, 9);
    assert_eq!((before.counts.completed, before.counts.failed, before.counts.panicked), (3, 3, 3));
    pool.resize(1).unwrap();
    for _ in 0..2 {
        await_event(&mut events, retired);
    }
    assert_eq!(names(&pool), ["w-0"]);
    assert_eq!(pool.account(), before);
    assert_eq!(end(&pool), before);
}

#[test]
fn no_task_is_lost_while_workers_come_and_go() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    let sent = under_traffic(&pool, || {
        for workers in [5, 1, 4, 2, 6, 1, 3].into_iter().cycle().take(21) {
            pool.resize(workers).unwrap();
            assert_eq!(taking(&pool), workers);
        }
    });
    let count = |events: Vec<(String, EventKind)>| {
        let of =
            |wanted: fn(&EventKind) -> bool| events.iter().filter(|(_, kind)| wanted(kind)).count();
        (of(|kind| *kind == EventKind::Added), of(|kind| *kind == EventKind::Draining))
    };
    let (added, draining) = count(so_far(&mut events));
    assert_eq!(2 + added - draining, 3);
    let account = end(&pool);
    assert_eq!((account.counts.admitted, account.counts.completed), (sent, sent));
}

/// The number of workers that take tasks.
fn taking(pool: &ObedientPool) -> usize {
    let workers = pool.stats().balancer.workers;
    workers.iter().filter(|worker| worker.health == Health::Active).count()
}

#[test]
fn the_strategy_can_change_while_workers_come_and_go() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let sent = under_traffic(&pool, || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for name in StrategyName::ALL.into_iter().cycle().take(40) {
                    pool.set_strategy(name.build()).unwrap();
                }
            });
            for workers in [4, 1, 3, 2].into_iter().cycle().take(20) {
                pool.resize(workers).unwrap();
            }
        });
        assert_eq!(taking(&pool), 2);
    });
    pool.set_strategy(StrategyName::Random.build()).unwrap();
    assert_eq!(pool.stats().balancer.strategy, "random", "neither change undoes the other");
    assert_eq!(end(&pool).counts.completed, sent);
}

#[test]
fn two_concurrent_resizes_to_one_size_leave_that_many_workers() {
    let _watchdog = watchdog();
    let pool = pool(1);
    let start = Barrier::new(2);
    let resize = |workers| {
        start.wait();
        pool.resize(workers).unwrap();
    };
    for _ in 0..10 {
        std::thread::scope(|scope| {
            scope.spawn(|| resize(4));
            resize(4);
        });
        assert_eq!(taking(&pool), 4);
        pool.resize(1).unwrap();
    }
    end(&pool);
}

#[test]
fn a_slow_start_delays_neither_tasks_nor_a_retirement() {
    let _watchdog = watchdog();
    let gate = Gate::new();
    let slow = gate.clone();
    let pool = builder(2)
        .spawn(move |worker| {
            if worker.name() == "slow" {
                slow.pass();
            }
            Obedient::default()
        })
        .unwrap();
    let mut events = pool.subscribe();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| pool.add_worker(WorkerSpec::new("slow")));
        gate.reached();
        assert!(pool.ask(Do::WhoAreYou).wait().is_ok());
        assert_eq!(common::worker(&pool, "slow").health, Health::Starting);
        pool.retire_worker(id(&pool, "w-0")).unwrap();
        await_event(&mut events, retired);
        gate.open();
        assert!(adding.join().unwrap().is_ok());
    });
    assert_eq!(names(&pool), ["w-1", "slow"]);
    end(&pool);
}

/// A pool whose actors pass the gate when they start, if their worker has this name, and whose hung
/// workers stay quarantined.
fn slow_to_start(name: &'static str, gate: &Gate) -> ObedientPool {
    let gate = gate.clone();
    builder(1)
        .watchdog(Watchdog::after(Duration::from_millis(5)).max_lost(0))
        .spawn(move |worker| {
            if worker.name() == name {
                gate.pass();
            }
            Obedient::default()
        })
        .unwrap()
}

#[test]
fn a_worker_that_has_not_started_does_not_stand_in_for_the_last_one() {
    let _watchdog = watchdog();
    let start = Gate::new();
    let pool = slow_to_start("slow", &start);
    let mut events = pool.subscribe();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| pool.add_worker(WorkerSpec::new("slow")));
        start.reached();
        let hung = hold(&pool, 0);
        await_event(&mut events, |kind| *kind == EventKind::Quarantined);
        let last = id(&pool, "w-0");
        let error = pool.retire_worker(last).unwrap_err();
        assert!(matches!(error, MembershipError::LastWorker(id) if id == last), "{error:?}");
        hung.open();
        await_event(&mut events, |kind| *kind == EventKind::Recovered);

        pool.add_worker(WorkerSpec::new("next")).unwrap();
        pool.retire_worker(last).unwrap();
        await_event(&mut events, retired);
        let hung = hold(&pool, 0);
        await_event(&mut events, |kind| *kind == EventKind::Quarantined);
        pool.resize(1).unwrap();
        assert_eq!(worker(&pool, "next").health, Health::Quarantined, "it is kept");
        assert_eq!(worker(&pool, "slow").health, Health::Draining);
        start.open();
        adding.join().unwrap().unwrap();
        hung.open();
    });
    assert!(pool.ask(Do::WhoAreYou).wait().is_ok());
    end(&pool);
}

#[test]
fn workers_are_added_although_one_that_starts_with_them_is_retired() {
    let _watchdog = watchdog();
    let start = Gate::new();
    let pool = slow_to_start("w-2", &start);
    let mut events = pool.subscribe();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| pool.resize(3));
        start.reached();
        pool.retire_worker(id(&pool, "w-1")).unwrap();
        await_event(&mut events, retired);
        start.open();
        adding.join().unwrap().unwrap();
    });
    assert_eq!(worker(&pool, "w-2").health, Health::Active);
    assert_eq!(so_far(&mut events), [("w-2".to_owned(), EventKind::Added)]);
    end(&pool);
}
