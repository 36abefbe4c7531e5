//! Selecting and recording allocate nothing, as counted by this process's own allocator.
#![cfg(not(loom))]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use raddle_core::{Capability, Outcome, Reservation, Roster, TaskProfile, WorkerSpec};
use raddle_strategies::{
    Balancer, BoundedHash, LeastLoaded, Random, SelectError, Shadow, SlowStart, Strategy,
    StrategyName, WarmFirst,
};

const MS: Duration = Duration::from_millis(1);
const TIMES: usize = 1_000;

fn roster() -> Roster {
    Roster::builder()
        .workers(4, WorkerSpec::new("able").capability("no-allocation"))
        .workers(4, WorkerSpec::general())
        .build()
        .unwrap()
}

/// Returns the number of allocations while `work` is repeated.
fn allocations(mut work: impl FnMut()) -> u64 {
    measure(|| (0..TIMES).for_each(|_| work())).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(7)))), TIMES as u64);
}

#[test]
fn selecting_and_recording_allocate_nothing() {
    for name in StrategyName::ALL {
        assert_allocates_nothing(|| name.build());
    }
}

fn assert_allocates_nothing(strategy: impl Fn() -> Box<dyn Strategy>) {
    let able = TaskProfile::default().capability(Capability::intern("no-allocation").unwrap());
    for task in [TaskProfile::default(), able] {
        let roster = roster();
        let balancer = Balancer::new(strategy()).unwrap();
        let name = balancer.strategy().name();
        balancer.refresh(&roster);
        // The first number initialises the thread's random generator.
        drop(balancer.select(&task, &roster));

        let select = || balancer.select(&task, &roster).unwrap();
        assert_eq!(allocations(|| drop(select())), 0, "{name}: select and drop");
        let finish = || select().finish(Outcome::Completed, MS);
        assert_eq!(allocations(finish), 0, "{name}: select and finish");
        let fail = || select().finish(Outcome::Failed, MS);
        assert_eq!(allocations(fail), 0, "{name}: select and fail");
        let by_id = || {
            let id = select().detach();
            balancer.record(&roster, id, &task, Outcome::Completed, MS).unwrap();
        };
        assert_eq!(allocations(by_id), 0, "{name}: detach and record");
        let owned = || drop(select().into_owned());
        assert_eq!(allocations(owned), 0, "{name}: an owned reservation");
        // First no worker is idle; then they become idle in turns.
        let busy = roster.members().iter().enumerate();
        let busy: Vec<_> = busy
            .map(|(position, member)| Reservation::take(&member.worker, position, None).unwrap())
            .collect();
        assert_eq!(allocations(|| drop(select())), 0, "{name}: while all are busy");
        let by_turns = || {
            let first = Reservation::take(&roster.members()[0].worker, 0, None).unwrap();
            (0..4).for_each(|_| drop(select()));
            first.finish(Outcome::Completed, MS);
        };
        drop(busy);
        assert_eq!(allocations(by_turns), 0, "{name}: while one is busy by turns");
    }
}

#[test]
fn selecting_by_key_allocates_nothing_even_without_room() {
    let roster = roster();
    let balancer = Balancer::new(BoundedHash::new()).unwrap();
    let task = TaskProfile::default().key(7);
    let select = || balancer.select(&task, &roster).unwrap();
    assert_eq!(allocations(|| drop(select())), 0, "at the key's worker");
    let held = select();
    assert_ne!(select().position(), held.position());
    assert_eq!(allocations(|| drop(select())), 0, "at the next one");
    drop(held);
}

#[test]
fn looking_up_and_noting_keys_allocates_nothing() {
    let roster = roster();
    let balancer = Balancer::new(WarmFirst::new()).unwrap();
    balancer.refresh(&roster);
    let mut key = 0;
    let run = || {
        key += 1;
        for task in [key, key / 2].map(|key| TaskProfile::default().key(key)) {
            let took = Duration::from_millis(1 + key % 2);
            balancer.select(&task, &roster).unwrap().finish(Outcome::Completed, took);
        }
    };
    assert_eq!(allocations(run), 0);
}

#[test]
fn scoring_a_shadow_allocates_nothing() {
    let roster = roster();
    let shadow = Arc::new(Shadow::new(Arc::new(Random::new()), Arc::new(LeastLoaded::new())));
    let balancer = Balancer::new(Arc::clone(&shadow)).unwrap();
    let select = || drop(balancer.select(&TaskProfile::default(), &roster).unwrap());
    select();
    assert_eq!(allocations(select), 0);
    let report = || _ = black_box(shadow.report());
    assert_eq!(allocations(report), 0, "nor does its report");
    assert_eq!(shadow.report().picks, TIMES as u64 + 1);
}

#[test]
fn a_slow_start_allocates_nothing_with_or_without_new_workers() {
    let roster = roster();
    for ramp in [Duration::ZERO, 1_000 * 3_600 * Duration::from_secs(1)] {
        let balancer = Balancer::new(SlowStart::new(LeastLoaded::new()).ramp(ramp)).unwrap();
        let select = || drop(balancer.select(&TaskProfile::default(), &roster).unwrap());
        select();
        assert_eq!(allocations(select), 0, "{ramp:?}");
    }
}

#[test]
fn refusals_allocate_nothing() {
    let nobody = TaskProfile::default().capability(Capability::intern("nobody").unwrap());
    let roster = Roster::builder()
        .workers(2, WorkerSpec::new("able").capability("no-allocation"))
        .build()
        .unwrap();
    for name in StrategyName::ALL {
        let balancer = Balancer::new(name.build()).unwrap();
        let refused = || {
            let error = balancer.select(&nobody, &roster).map(drop).unwrap_err();
            assert!(matches!(error, SelectError::NoCapableWorker { .. }));
        };
        assert_eq!(allocations(refused), 0, "{name}");
        let id = roster.members()[0].worker.id();
        let twice = || {
            let task = TaskProfile::default();
            assert!(balancer.record(&roster, id, &task, Outcome::Completed, MS).is_err());
        };
        assert_eq!(allocations(twice), 0, "{name}");
    }
}

#[test]
fn only_a_refresh_computes_a_schedule() {
    let (roster, other) = (roster(), roster());
    let balancer = Balancer::new(StrategyName::WeightedRoundRobin.build()).unwrap();
    let task = TaskProfile::default();
    let select = |roster| drop(balancer.select(&task, roster).unwrap());
    select(&roster);
    assert_eq!(allocations(|| select(&roster)), 0, "never refreshed");
    let refreshed = measure(|| balancer.refresh(&roster)).count_total;
    assert!(refreshed > 0, "the schedule is computed here");
    select(&roster);
    assert_eq!(allocations(|| select(&roster)), 0, "refreshed");
    assert_eq!(allocations(|| select(&other)), 0, "refreshed for another roster");
}

#[test]
fn the_workers_own_recorder_allocates_nothing() {
    let roster = roster();
    let worker = &roster.members()[0].worker;
    let balancer = Balancer::new(StrategyName::RoundRobin.build()).unwrap();
    let only = (1..8).fold(roster.clone(), |roster, id| {
        roster.without_worker(raddle_core::WorkerId(id)).unwrap()
    });
    let mut recorder = worker.recorder().unwrap();
    let record = || {
        let _ = balancer.select(&TaskProfile::default(), &only).unwrap().detach();
        recorder.start(only.clock().now());
        recorder.end(&raddle_core::Completion {
            wait: 10,
            service: 1_000,
            ..raddle_core::Completion::new(Outcome::Completed)
        });
    };
    assert_eq!(allocations(record), 0);
    assert_eq!(worker.stats().in_flight(), 0);
}
