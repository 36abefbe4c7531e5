//! Tasks with a key where the strategy routes keys: in order, never two at a time, and at a worker
//! with room.
mod common;

use std::thread;

use common::{
    Do, Gate, Obedient, ask_at, await_event, builder, by, end, hold, id, names, owner, watchdog,
    worker,
};
use raddle_core::WorkerSpec;
use raddle_runtime::{EventKind, Overflow, Pool, RetireReason};
use raddle_strategies::{BoundedHash, LeastLoaded, Random};

fn pool(workers: usize) -> Pool<Obedient> {
    builder(workers)
        .mailbox(64, Overflow::Block)
        .strategy(BoundedHash::new())
        .spawn(|_| Obedient::default())
        .unwrap()
}

/// The worker of each of these keys, of tasks one after the other.
fn homes(pool: &Pool<Obedient>) -> Vec<String> {
    (0..200).map(|key| owner(pool, key)).collect()
}

#[test]
fn at_no_load_keys_are_where_they_are_without_a_strategy() {
    let _watchdog = watchdog();
    let (bounded, plain) = (pool(4), common::pool(4, 64, Overflow::Block));
    assert_eq!(homes(&bounded), homes(&plain));
    end(&bounded);
    end(&plain);
}

#[test]
fn a_key_without_tasks_goes_round_a_busy_worker_and_one_with_tasks_stays() {
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
    let ask = |key: u64| pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    // 1.25 * 2 / 2 is above 1, and 1.25 * 3 / 2 is below 2.
    let waiting: Vec<_> = (0..10).map(|_| ask(hot)).collect();
    assert_eq!(by(ask(free)).unwrap(), "w-1", "where w-0 has no room, and would not answer");
    assert_eq!(by(ask(free)).unwrap(), "w-1");
    gate.open();
    assert!(waiting.into_iter().all(|reply| by(reply).unwrap() == "w-0"), "one after the other");
    // As soon as it has ended what it was given.
    while worker(&pool, "w-0").in_flight > 0 {
        thread::yield_now();
    }
    assert_eq!([owner(&pool, free), owner(&pool, hot)], ["w-0"; 2], "and back");
    end(&pool);
}

#[test]
fn a_key_that_has_tasks_elsewhere_is_not_called_home_by_others_that_leave() {
    let _watchdog = watchdog();
    let pool = pool(3);
    let mut events = pool.subscribe();
    let key = common::key_of(&pool, "w-0");
    let home = hold(&pool, 0);
    // 1.25 * 3 / 3 is below 2.
    let more = ask_at(&pool, 0, Do::Return(0));
    let gate = Gate::new();
    let held = pool.task(Do::Hold(gate.clone())).key(key).ask().unwrap();
    gate.reached();
    let at = stats_busy(&pool);
    let leaves = if at == "w-1" { "w-2" } else { "w-1" };
    pool.retire_worker(id(&pool, leaves)).unwrap();
    await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    let next = pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    gate.open();
    assert_eq!([by(held).unwrap(), by(next).unwrap()], [at.clone(), at], "w-0 is still held");
    home.open();
    assert_eq!(by(more).unwrap(), "w-0");
    end(&pool);
}

/// Whoever besides `w-0` has a task.
fn stats_busy(pool: &Pool<Obedient>) -> String {
    let mut others = names(pool).into_iter().filter(|name| name != "w-0");
    others.find(|name| worker(pool, name).in_flight > 0).expect("one of them is held")
}

#[test]
fn a_worker_that_joins_takes_its_keys_also_those_with_tasks() {
    let _watchdog = watchdog();
    let pool = pool(1);
    let gate = hold(&pool, 0);
    let ask = |key: u64| pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    let before: Vec<_> = (0..20).map(ask).collect();
    pool.add_worker(WorkerSpec::new("joins")).unwrap();
    let after: Vec<_> = (0..20).map(ask).collect();
    gate.open();
    assert!(before.into_iter().all(|reply| by(reply).unwrap() == "w-0"));
    let by_whom = after.into_iter().map(|reply| by(reply).unwrap());
    let taken = by_whom.filter(|by| by == "joins").count();
    // Half of them, with a deviation of 2.2.
    assert!((2..=18).contains(&taken), "{taken} of 20");
    end(&pool);
}

#[test]
fn a_worker_that_leaves_has_run_what_its_keys_had() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let mut events = pool.subscribe();
    let key = common::key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let ask = || pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    let before = [ask(), ask()];
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    let after = [ask(), ask()];
    gate.open();
    assert_eq!(before.map(|reply| by(reply).unwrap()), ["w-0"; 2]);
    assert_eq!(after.map(|reply| by(reply).unwrap()), ["w-1"; 2]);
    let retired = await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(retired.kind, EventKind::Retired { reason: RetireReason::Asked });
    assert_eq!(names(&pool), ["w-1"]);
    end(&pool);
}

#[test]
fn keys_go_home_when_a_strategy_that_does_not_route_them_takes_over() {
    let _watchdog = watchdog();
    let pool = pool(2);
    let key = common::key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let more = ask_at(&pool, 0, Do::Return(0));
    assert_eq!(owner(&pool, key), "w-1");
    pool.set_strategy(LeastLoaded::new()).unwrap();
    let home = pool.task(Do::WhoAreYou).key(key).ask().unwrap();
    gate.open();
    assert_eq!([by(more).unwrap(), by(home).unwrap()], ["w-0"; 2]);
    end(&pool);
}

#[test]
fn a_shadow_of_another_kind_does_not_stop_it() {
    let _watchdog = watchdog();
    let pool = pool(2);
    pool.set_shadow(Random::new()).unwrap();
    let key = common::key_of(&pool, "w-0");
    let gate = hold(&pool, 0);
    let more = ask_at(&pool, 0, Do::Return(0));
    assert_eq!(owner(&pool, key), "w-1");
    gate.open();
    by(more).unwrap();
    end(&pool);
}

#[test]
fn keys_of_a_capability_go_to_workers_that_serve_it() {
    let _watchdog = watchdog();
    let pool = Pool::builder("test")
        .workers(3, WorkerSpec::new("gpu").capability("bounded-gpu"))
        .workers(3, WorkerSpec::new("cpu").capability("bounded-cpu"))
        .strategy(BoundedHash::new())
        .spawn(|_| Obedient::default())
        .unwrap();
    let replies: Vec<_> = (0..300u64)
        .map(|key| pool.task(Do::WhoAreYou).key(key).capability("bounded-gpu").ask().unwrap())
        .collect();
    assert!(replies.into_iter().all(|reply| by(reply).unwrap().starts_with("gpu")));
    end(&pool);
}

#[test]
fn order_and_exclusivity_are_kept_while_workers_come_and_go_and_the_strategy_is_swapped() {
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
