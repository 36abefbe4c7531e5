//! Ejection of workers that fail too often. The clock is simulated: the test decides when a review
//! takes place.
mod common;

use std::time::Duration;

use common::{
    Answer, Do, Gate, Obedient, ObedientPool, admitted, ask_at, await_event, builder, by, end,
    hold, id, key_of, owner, so_far, watchdog, worker,
};
use raddle_core::{Clock, Health, VirtualTime, WorkerSpec};
use raddle_runtime::{
    EventKind, Events, MembershipError, PoolBuilder, RetireReason, SpawnError, Watchdog,
};
use raddle_strategies::{Ejection, EjectionReason, LeastLoaded};

/// The simulated time between reviews.
const INTERVAL: Duration = Duration::from_millis(4);
/// The duration of a worker's first ejection.
const EJECTED: Duration = Duration::from_secs(1);
/// The watchdog's limit.
const LIMIT: Duration = Duration::from_millis(40);

fn reviewed(workers: usize) -> (PoolBuilder<Do, Answer>, VirtualTime) {
    let (clock, time) = Clock::simulated();
    let ejection =
        Ejection::default().interval(INTERVAL).base_duration(EJECTED).max_duration(10 * EJECTED);
    (builder(workers).ejection(ejection).clock(clock), time)
}

fn spawn(builder: PoolBuilder<Do, Answer>) -> (ObedientPool, Events) {
    let pool = builder.spawn(|_| Obedient::default()).unwrap();
    let events = pool.subscribe();
    (pool, events)
}

/// Lets this number of tasks fail at the candidate at this index.
fn fail(pool: &ObedientPool, index: usize, tasks: usize) {
    for _ in 0..tasks {
        let reply = ask_at(pool, index, Do::Fail("out of order")).wait();
        assert_eq!(reply.unwrap(), Err("out of order"));
    }
}

fn ejected(failures: u64, tasks: u64) -> EventKind {
    EventKind::Ejected { reason: EjectionReason::Failing { failures, tasks } }
}

/// Waits for an ejection; returns the name of the worker.
fn await_ejected(events: &mut Events) -> String {
    await_event(events, |kind| matches!(kind, EventKind::Ejected { .. })).name
}

/// Waits for a readmission; returns the name of the worker.
fn await_readmitted(events: &mut Events) -> String {
    await_event(events, |kind| *kind == EventKind::Readmitted).name
}

/// Lets five tasks of the first worker fail, and waits for its ejection.
fn eject_first(pool: &ObedientPool, time: &VirtualTime, events: &mut Events) {
    fail(pool, 0, 5);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(events), "w-0");
}

/// The names of the workers that reply to this number of tasks.
fn repliers(pool: &ObedientPool, tasks: usize) -> Vec<String> {
    let replies: Vec<_> = (0..tasks).map(|_| admitted(pool.ask(Do::WhoAreYou))).collect();
    let mut names: Vec<_> = replies.into_iter().map(|reply| by(reply).unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn a_worker_that_fails_is_ejected_at_the_next_review_and_readmitted_later() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(3);
    let (pool, mut events) = spawn(builder);
    fail(&pool, 0, 5);
    assert_eq!(by(ask_at(&pool, 0, Do::WhoAreYou)).unwrap(), "w-0");
    time.advance(INTERVAL);
    let event = await_event(&mut events, |kind| *kind == ejected(5, 6));
    assert_eq!((event.name.as_str(), event.worker), ("w-0", Some(id(&pool, "w-0"))));
    assert_eq!(worker(&pool, "w-0").health, Health::Ejected);
    assert_eq!(repliers(&pool, 30), ["w-1", "w-2"]);
    time.advance(EJECTED);
    assert_eq!(await_readmitted(&mut events), "w-0");
    let back = worker(&pool, "w-0");
    assert_eq!((back.health, back.counts.failed), (Health::Active, 5), "its counts are kept");
    assert_eq!(repliers(&pool, 30), ["w-0", "w-1", "w-2"]);
    assert_eq!(so_far(&mut events), []);
    end(&pool);
}

#[test]
fn a_smaller_pool_keeps_the_worker_that_is_not_ejected() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(2);
    let (pool, mut events) = spawn(builder);
    eject_first(&pool, &time, &mut events);
    let last = pool.retire_worker(id(&pool, "w-1"));
    assert!(matches!(last, Err(MembershipError::LastWorker(_))), "{last:?}");
    pool.resize(1).unwrap();
    let draining = await_event(&mut events, |kind| *kind == EventKind::Draining);
    assert_eq!(draining.name, "w-0");
    assert_eq!(repliers(&pool, 10), ["w-1"]);
    end(&pool);
}

#[test]
fn no_worker_is_ejected_unless_ejection_is_enabled() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let pool = builder(2).clock(clock).spawn(|_| Obedient::default()).unwrap();
    fail(&pool, 0, 20);
    time.advance(EJECTED);
    assert_eq!(repliers(&pool, 10), ["w-0", "w-1"]);
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    end(&pool);
}

#[test]
fn if_all_workers_fail_half_of_them_are_ejected() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(4);
    let (pool, mut events) = spawn(builder);
    (0..4).for_each(|index| fail(&pool, index, 10));
    time.advance(INTERVAL);
    let mut names = [await_ejected(&mut events), await_ejected(&mut events)];
    names.sort_unstable();
    for _ in 0..3 {
        // The others go on failing, and are reviewed.
        (0..2).for_each(|index| fail(&pool, index, 10));
        time.advance(INTERVAL);
    }
    time.advance(EJECTED);
    let mut back = [await_readmitted(&mut events), await_readmitted(&mut events)];
    back.sort_unstable();
    assert_eq!(back, names);
    end(&pool);
}

#[test]
fn a_quarantine_takes_precedence_over_an_ejection_which_outlasts_it() {
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
    assert_eq!(worker(&pool, "w-0").health, Health::Ejected, "the ejection is not over");
    assert_eq!(repliers(&pool, 10), ["w-1"]);
    time.advance(EJECTED);
    assert_eq!(await_readmitted(&mut events), "w-0");
    assert_eq!(worker(&pool, "w-0").health, Health::Active);
    end(&pool);
}

#[test]
fn the_end_of_an_ejection_does_not_end_a_quarantine() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(5);
    let (pool, mut events) = spawn(builder.watchdog(Watchdog::after(LIMIT).max_lost(0)));
    fail(&pool, 0, 5);
    let gate = hold(&pool, 0);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-0");
    time.advance(2 * EJECTED);
    await_event(&mut events, |kind| *kind == EventKind::Quarantined);
    // The ejection of another worker shows that a review has taken place since. A review may also
    // fall between these tasks, so there are more of them than it needs.
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
fn an_ejected_worker_can_be_retired_and_is_not_readmitted() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(3);
    let (pool, mut events) = spawn(builder);
    eject_first(&pool, &time, &mut events);
    pool.retire_worker(id(&pool, "w-0")).unwrap();
    let gone = await_event(&mut events, |kind| matches!(kind, EventKind::Retired { .. }));
    assert_eq!(gone.kind, EventKind::Retired { reason: RetireReason::Requested });
    time.advance(EJECTED);
    fail(&pool, 0, 10);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-1", "no event of w-0 comes before this");
    assert_eq!(end(&pool).counts.failed, 15);
}

#[test]
fn an_ejection_survives_changes_of_the_pool_and_new_workers_are_reviewed() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(2);
    let (pool, mut events) = spawn(builder);
    eject_first(&pool, &time, &mut events);
    pool.set_strategy(LeastLoaded::new()).unwrap();
    pool.add_worker(WorkerSpec::new("new")).unwrap();
    pool.resize(4).unwrap();
    assert_eq!(worker(&pool, "w-0").health, Health::Ejected);
    assert!(!repliers(&pool, 40).contains(&"w-0".to_owned()));
    time.advance(EJECTED);
    assert_eq!(
        await_readmitted(&mut events),
        "w-0",
        "after a review, which has seen the new workers"
    );
    fail(&pool, 2, 10);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "new");
    end(&pool);
}

#[test]
fn an_ejected_worker_keeps_its_keys() {
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
fn an_ejected_worker_does_not_steal() {
    let _watchdog = watchdog();
    let (builder, time) = reviewed(3);
    let (pool, mut events) = spawn(builder.stealing(true));
    let keys = ["w-0", "w-1", "w-2"].map(|name| key_of(&pool, name));
    let key = keys[0];
    // With a key: a task without one may be stolen, and would then fail or hold another worker.
    let hold = |key: u64| {
        let gate = Gate::new();
        pool.task(Do::Hold(gate.clone())).key(key).tell().unwrap();
        gate.reached();
        gate
    };
    // Too few for a low success rate, which would also keep it from stealing.
    for _ in 0..5 {
        let reply = pool.task(Do::Fail("out of order")).key(key).ask().wait();
        assert_eq!(reply.unwrap(), Err("out of order"));
    }
    assert!(worker(&pool, "w-0").success_rate > 0.5);
    let ejected = hold(key);
    time.advance(INTERVAL);
    assert_eq!(await_ejected(&mut events), "w-0");
    // `w-1` stays busy, `w-2` may steal.
    let (busy, thief) = (hold(keys[1]), hold(keys[2]));
    let waiting: Vec<_> = (0..20).map(|_| ask_at(&pool, 0, Do::WhoAreYou)).collect();
    ejected.open();
    for _ in 0..5 {
        assert_eq!(
            owner(&pool, key),
            "w-0",
            "it has had the chance to steal after each task but the last"
        );
    }
    thief.open();
    for reply in waiting {
        assert_eq!(by(reply).unwrap(), "w-2");
    }
    busy.open();
    end(&pool);
}

#[test]
fn a_configuration_can_enable_ejection() {
    let _watchdog = watchdog();
    let (clock, time) = Clock::simulated();
    let builder = builder(2).balancer("round_robin,ejection=true".parse().unwrap()).clock(clock);
    // With a watchdog, the pool's own thread reads the simulated clock more than once a second.
    let (pool, mut events) = spawn(builder.watchdog(Watchdog::after(LIMIT)));
    fail(&pool, 0, 5);
    time.advance(Ejection::default().review_interval());
    assert_eq!(await_ejected(&mut events), "w-0");
    end(&pool);
}

#[test]
fn a_wrong_parameter_is_refused() {
    let wrong = builder::<Do, Answer>(2).ejection(Ejection::default().max_ejected_share(0.0));
    let error = wrong.spawn(|_| Obedient::default()).unwrap_err();
    assert!(matches!(error, SpawnError::Ejection(_)), "{error}");
    assert!(error.to_string().contains("maximum ejected share"), "{error}");
}
