//! What becomes of a worker that fails more than it may. The clock is a simulated one: there is a
//! review when the test says so.
mod common;

use std::time::Duration;

use common::{
    Do, Gate, Obedient, ask_at, await_event, builder, by, end, hold, id, key_of, owner, so_far,
    watchdog, worker,
};
use raddle_core::{Clock, Health, VirtualTime, WorkerSpec};
use raddle_runtime::{EventKind, Events, Pool, PoolBuilder, RetireReason, SpawnError, Watchdog};
use raddle_strategies::{Ejection, EjectionReason, LeastLoaded};

/// Between reviews, of the simulated time.
const INTERVAL: Duration = Duration::from_millis(4);
/// For how long a worker is set aside at first.
const ASIDE: Duration = Duration::from_secs(1);
/// What a handler may take.
const LIMIT: Duration = Duration::from_millis(40);

fn reviewed(workers: usize) -> (PoolBuilder<Obedient>, VirtualTime) {
    let (clock, time) = Clock::simulated();
    let ejection =
        Ejection::default().interval(INTERVAL).base_duration(ASIDE).max_duration(10 * ASIDE);
    (builder(workers).ejection(ejection).clock(clock), time)
}

fn spawn(builder: PoolBuilder<Obedient>) -> (Pool<Obedient>, Events) {
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let events = pool.subscribe();
    (pool, events)
}

/// Lets so many tasks of the candidate at this index fail.
fn fail(pool: &Pool<Obedient>, index: usize, tasks: usize) {
    for _ in 0..tasks {
        assert!(ask_at(pool, index, Do::Fail("out of order")).wait().is_err());
    }
}

fn ejected(failures: u64, tasks: u64) -> EventKind {
    EventKind::Ejected { reason: EjectionReason::Failing { failures, tasks } }
}

/// Waits for an ejection, with a review to come; whose it is.
fn await_ejected(events: &mut Events) -> String {
    await_event(events, |kind| matches!(kind, EventKind::Ejected { .. })).name
}

fn await_readmitted(events: &mut Events) -> String {
    await_event(events, |kind| *kind == EventKind::Readmitted).name
}

/// Lets five tasks of the first worker fail, and waits for its ejection.
fn eject_first(pool: &Pool<Obedient>, time: &VirtualTime, events: &mut Events) {
    fail(pool, 0, 5);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(events), "w-0");
}

/// The workers that answer so many tasks.
fn answerers(pool: &Pool<Obedient>, tasks: usize) -> Vec<String> {
    let replies: Vec<_> = (0..tasks).map(|_| pool.ask(Do::WhoAreYou).unwrap()).collect();
    let mut names: Vec<_> = replies.into_iter().map(|reply| by(reply).unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn who_fails_is_set_aside_at_the_next_review_and_comes_back() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(3);
    let (pool, mut events) = spawn(builder);
    fail(&pool, 0, 5);
    assert_eq!(by(ask_at(&pool, 0, Do::WhoAreYou)).unwrap(), "w-0");
    time.advance(INTERVAL);
    let event = await_event(&mut events, |kind| *kind == ejected(5, 6));
    assert_eq!((event.name.as_str(), event.worker), ("w-0", Some(id(&pool, "w-0"))));
    assert_eq!(worker(&pool, "w-0").health, Health::Ejected);
    assert_eq!(answerers(&pool, 30), ["w-1", "w-2"]);
    time.advance(ASIDE);
    assert_eq!(await_readmitted(&mut events), "w-0");
    let back = worker(&pool, "w-0");
    assert_eq!((back.health, back.counts.failed), (Health::Active, 5), "counts survive");
    assert_eq!(answerers(&pool, 30), ["w-0", "w-1", "w-2"]);
    assert_eq!(so_far(&mut events), []);
    end(&pool);
}

#[test]
fn without_ejection_nobody_is_set_aside() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(2).clock(clock).spawn(|_| Obedient::default()).unwrap();
    fail(&pool, 0, 20);
    time.advance(ASIDE);
    assert_eq!(answerers(&pool, 10), ["w-0", "w-1"]);
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    end(&pool);
}

#[test]
fn when_all_fail_half_of_them_stay() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(4);
    let (pool, mut events) = spawn(builder);
    (0..4).for_each(|index| fail(&pool, index, 10));
    time.advance(INTERVAL);
    let mut names = [await_ejected(&mut events), await_ejected(&mut events)];
    names.sort_unstable();
    for _ in 0..3 {
        // Those that stay fail on, and are reviewed.
        (0..2).for_each(|index| fail(&pool, index, 10));
        time.advance(INTERVAL);
    }
    time.advance(ASIDE);
    let mut back = [await_readmitted(&mut events), await_readmitted(&mut events)];
    back.sort_unstable();
    assert_eq!(back, names);
    end(&pool);
}

#[test]
fn a_quarantine_goes_before_and_an_ejection_outlasts_it() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(2);
    let (pool, mut events) = spawn(builder.watchdog(Watchdog::after(LIMIT).max_lost(0)));
    fail(&pool, 0, 5);
    let gate = hold(&pool, 0);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-0");
    time.advance(2 * LIMIT);
    await_event(&mut events, |kind| *kind == EventKind::Quarantined);
    assert_eq!(worker(&pool, "w-0").health, Health::Quarantined);
    gate.open();
    await_event(&mut events, |kind| *kind == EventKind::Recovered);
    assert_eq!(worker(&pool, "w-0").health, Health::Ejected, "its time is not over");
    assert_eq!(answerers(&pool, 10), ["w-1"]);
    time.advance(ASIDE);
    assert_eq!(await_readmitted(&mut events), "w-0");
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    end(&pool);
}

#[test]
fn the_end_of_an_ejection_ends_no_quarantine() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(5);
    let (pool, mut events) = spawn(builder.watchdog(Watchdog::after(LIMIT).max_lost(0)));
    fail(&pool, 0, 5);
    let gate = hold(&pool, 0);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-0");
    time.advance(2 * ASIDE);
    await_event(&mut events, |kind| *kind == EventKind::Quarantined);
    // Another one's ejection tells that there was a review since; enough tasks for it, though one
    // falls in between.
    fail(&pool, 0, 20);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-1");
    assert_eq!(worker(&pool, "w-0").health, Health::Quarantined);
    gate.open();
    await_event(&mut events, |kind| *kind == EventKind::Recovered);
    time.advance(INTERVAL);
    assert_eq!(await_readmitted(&mut events), "w-0");
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    end(&pool);
}

#[test]
fn one_that_is_set_aside_can_be_retired_and_says_nothing_more() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(3);
    let (pool, mut events) = spawn(builder);
    eject_first(&pool, &time, &mut events);
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    let gone = await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(gone.kind, EventKind::Retired { reason: RetireReason::Asked });
    time.advance(ASIDE);
    fail(&pool, 0, 10);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-1", "the first that is told of since");
    assert_eq!(end(&pool).counts.failed, 15);
}

#[test]
fn it_lasts_through_other_changes_and_those_who_come_are_reviewed() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(2);
    let (pool, mut events) = spawn(builder);
    eject_first(&pool, &time, &mut events);
    pool.set_strategy(LeastLoaded::new()).unwrap();
    pool.add_worker(WorkerSpec::new("new")).unwrap();
    pool.resize(4).unwrap();
    assert_eq!(worker(&pool, "w-0").health, Health::Ejected);
    assert!(!answerers(&pool, 40).contains(&"w-0".to_owned()));
    time.advance(ASIDE);
    assert_eq!(await_readmitted(&mut events), "w-0", "and the others have been listed");
    fail(&pool, 2, 10);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "new");
    end(&pool);
}

#[test]
fn its_keys_are_still_its_own() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(2);
    let (pool, mut events) = spawn(builder);
    let key = key_of(&pool, "w-0");
    fail(&pool, 0, 100);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-0");
    assert_eq!(owner(&pool, key), "w-0");
    end(&pool);
}

#[test]
fn it_takes_nothing_from_others() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(3);
    let (pool, mut events) = spawn(builder.stealing(true));
    let keys = ["w-0", "w-1", "w-2"].map(|name| key_of(&pool, name));
    let key = keys[0];
    // By a key, as tasks without one are stolen: then another worker would fail, or be held.
    let hold = |key: u64| {
        let gate = Gate::new();
        pool.task(Do::Hold(gate.clone())).key(key).tell().unwrap();
        gate.reached();
        gate
    };
    // Too few to be known as failing, which would keep it from stealing too.
    for _ in 0..5 {
        let failing = pool.task(Do::Fail("out of order")).key(key).ask().unwrap();
        assert!(failing.wait().is_err());
    }
    assert!(worker(&pool, "w-0").success_rate > 0.5);
    let aside = hold(key);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-0");
    // Of the two that are left.
    let (busy, thief) = (hold(keys[1]), hold(keys[2]));
    let waiting: Vec<_> = (0..20).map(|_| ask_at(&pool, 0, Do::WhoAreYou)).collect();
    aside.open();
    for _ in 0..5 {
        assert_eq!(owner(&pool, key), "w-0", "it has looked around after all but the last");
    }
    thief.open();
    for reply in waiting {
        assert_eq!(by(reply).unwrap(), "w-2");
    }
    busy.open();
    end(&pool);
}

#[test]
fn a_configuration_can_ask_for_it() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let builder = builder(2).balancer("round_robin,ejection=true".parse().unwrap()).clock(clock);
    // The watchdog lets the pool's thread look at the simulated clock more than once a second.
    let (pool, mut events) = spawn(builder.watchdog(Watchdog::after(LIMIT)));
    fail(&pool, 0, 5);
    time.advance(Ejection::default().review_interval());
    assert_eq!(await_ejected(&mut events), "w-0");
    end(&pool);
}

#[test]
fn a_wrong_parameter_is_an_error() {
    let wrong = builder::<Obedient>(2).ejection(Ejection::default().max_ejected_share(0.0));
    let error = wrong.spawn(|_| Obedient::default()).unwrap_err();
    assert!(matches!(error, SpawnError::Ejection(_)), "{error}");
    assert!(error.to_string().contains("maximum ejected share"), "{error}");
}
