//! Tasks with a key whose strategy routes keys: they run in order, one at a time, on a worker with
//! room.
mod common;

use std::thread;

use common::{
    Do, Gate, Obedient, ObedientPool, admitted, ask_at, await_event, builder, by, end, hold, id,
    names, number, owner, watchdog, worker,
};
use raddle_core::WorkerSpec;
use raddle_runtime::{EventKind, Overflow, Pool, RetireReason};
use raddle_strategies::{BoundedHash, LeastLoaded, Random};

fn pool(workers: usize) -> ObedientPool {
    builder(workers)
        .mailbox(64, Overflow::Block)
        .strategy(BoundedHash::new())
        .spawn(|_| Obedient::default())
        .unwrap()
}

/// The worker of each of 200 keys, asked one after the other.
fn homes(pool: &ObedientPool) -> Vec<String> {
    (0..200).map(|key| owner(pool, key)).collect()
}

#[test]
fn without_load_keys_have_the_workers_that_they_have_by_plain_hashing() {
    let _watchdog = watchdog();
    let (bounded, plain) = (pool(4), common::pool(4, 64, Overflow::Block));
    assert_eq!(homes(&bounded), homes(&plain));
    end(&bounded);
    end(&plain);
}

#[test]
fn a_key_without_tasks_avoids_a_busy_worker_and_a_key_with_tasks_stays() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let (free, hot) = (0..)
        .map(|key| [key, key + 1])
        .find_map(|[a, b]| {
            let both = owner(&pool, a) == "w-0" && owner(&pool, b) == "w-0";
            both.then_some((a, b))
        })
        .unwrap();
    let gate = hold(&pool, 0);
    let ask = |key: u64| admitted(pool.task(Do::WhoAreYou).key(key).ask());
    // The bound is 1.25 times the mean load: one task is within it, since 1.25 * 2 / 2 > 1, and two
    // are not, since 1.25 * 3 / 2 < 2.
    let waiting: Vec<_> = (0..10).map(|_| ask(hot)).collect();
    assert_eq!(by(ask(free)).unwrap(), "w-1", "w-0 has no room, and is held");
    assert_eq!(by(ask(free)).unwrap(), "w-1");
    gate.open();
    assert!(waiting.into_iter().all(|reply| by(reply).unwrap() == "w-0"), "the key has stayed");
    // An asker is answered before its task is counted as ended.
    while worker(&pool, "w-0").in_flight > 0 {
        thread::yield_now();
    }
    assert_eq!([owner(&pool, free), owner(&pool, hot)], ["w-0"; 2], "both are home again");
    end(&pool);
}

#[test]
fn a_key_with_tasks_away_from_home_stays_there_when_another_worker_leaves() {
    let _watchdog = watchdog();
    let pool = pool(3);
    let mut events = pool.subscribe();
    let key = common::key_of(&pool, "w-0");
    let home = hold(&pool, 0);
    // Two tasks exceed the bound: 1.25 * 3 / 3 < 2.
    let more = ask_at(&pool, 0, Do::Return(0));
    let gate = Gate::new();
    let held = admitted(pool.task(Do::Hold(gate.clone())).key(key).ask());
    gate.reached();
    let at = busy_besides_first(&pool);
    let leaves = if at == "w-1" { "w-2" } else { "w-1" };
    pool.retire_worker(id(&pool, leaves)).unwrap();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    let next = admitted(pool.task(Do::WhoAreYou).key(key).ask());
    gate.open();
    assert_eq!([by(held).unwrap(), by(next).unwrap()], [at.clone(), at], "w-0 is still held");
    home.open();
    assert_eq!(by(more).unwrap(), "w-0");
    end(&pool);
}

/// The worker other than `w-0` that has a task.
fn busy_besides_first(pool: &ObedientPool) -> String {
    let mut others = names(pool).into_iter().filter(|name| name != "w-0");
    others.find(|name| worker(pool, name).in_flight > 0).expect("one of them is held")
}

#[test]
fn a_worker_that_joins_takes_its_keys_even_those_with_tasks() {
    let _watchdog = watchdog();
    let pool = pool(1);
    let gate = hold(&pool, 0);
    let ask = |key: u64| admitted(pool.task(Do::WhoAreYou).key(key).ask());
    let before: Vec<_> = (0..20).map(ask).collect();
    pool.add_worker(WorkerSpec::new("joins")).unwrap();
    let after: Vec<_> = (0..20).map(ask).collect();
    gate.open();
    assert!(before.into_iter().all(|reply| by(reply).unwrap() == "w-0"));
    let owners = after.into_iter().map(|reply| by(reply).unwrap());
    let taken = owners.filter(|owner| owner == "joins").count();
    // Half of them are expected, with a standard deviation of 2.2.
    assert!((2..=18).contains(&taken), "{taken} of 20 keys moved");
    end(&pool);
}

#[test]
fn a_worker_that_leaves_runs_the_tasks_that_its_keys_have() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    let key = common::key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let ask = || admitted(pool.task(Do::WhoAreYou).key(key).ask());
    let before = [ask(), ask()];
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    let after = [ask(), ask()];
    gate.open();
    assert_eq!(before.map(|reply| by(reply).unwrap()), ["w-0"; 2]);
    assert_eq!(after.map(|reply| by(reply).unwrap()), ["w-1"; 2]);
    let retired = await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(retired.kind, EventKind::Retired { reason: RetireReason::Requested });
    assert_eq!(names(&pool), ["w-1"]);
    end(&pool);
}

#[test]
fn keys_return_home_when_the_new_strategy_does_not_route_them() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let key = common::key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let more = ask_at(&pool, 0, Do::Return(0));
    assert_eq!(owner(&pool, key), "w-1");
    pool.set_strategy(LeastLoaded::new()).unwrap();
    let home = admitted(pool.task(Do::WhoAreYou).key(key).ask());
    gate.open();
    assert_eq!([by(more).unwrap(), by(home).unwrap()], ["w-0"; 2]);
    end(&pool);
}

#[test]
fn the_strategy_routes_keys_though_its_shadow_does_not() {
    let _watchdog = watchdog();
    let pool = pool(2);
    pool.set_shadow(Random::new()).unwrap();
    let key = common::key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let more = ask_at(&pool, 0, Do::Return(0));
    assert_eq!(owner(&pool, key), "w-1");
    gate.open();
    assert_eq!(number(more), 0);
    end(&pool);
}

#[test]
fn keyed_tasks_with_a_capability_run_on_workers_that_serve_it() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .workers(3, WorkerSpec::new("gpu").capability("bounded-gpu"))
        .workers(3, WorkerSpec::new("cpu").capability("bounded-cpu"))
        .strategy(BoundedHash::new())
        .spawn(|_| Obedient::default())
        .unwrap();
    let replies: Vec<_> = (0..300u64)
        .map(|key| admitted(pool.task(Do::WhoAreYou).key(key).capability("bounded-gpu").ask()))
        .collect();
    assert!(replies.into_iter().all(|reply| by(reply).unwrap().starts_with("gpu")));
    end(&pool);
}

#[test]
fn keys_keep_order_and_exclusivity_while_workers_and_strategies_change() {
    let _watchdog = watchdog();
    let pool = builder(2)
        .stealing(true)
        .mailbox(16, Overflow::Block)
        .strategy(BoundedHash::new())
        .spawn(|_| Obedient::default())
        .unwrap();
    common::key_order::assert_kept_while_workers_come_and_go(&pool, |round| match round % 10 {
        4 => pool.set_strategy(LeastLoaded::new()).unwrap(),
        6 => pool.set_strategy(BoundedHash::new()).unwrap(),
        _ => {}
    });
}
