use std::time::Duration;

use proptest::prelude::*;
use raddle_core::{FastThreshold, Outcome, Reservation, Roster, TaskProfile, Tracking, WorkerSpec};
use raddle_strategies::{
    Balancer, CapabilityBest, LatencyBased, LeastLoaded, Strategy as _, StrategyName,
    WeightedRoundRobin,
};

use crate::simulated::{Load, Pool, share};
use crate::{MS, alike, balancer, finish_on};

const US: Duration = Duration::from_micros(1);
const SEED: u64 = 0x6c61_7465_6e63;

/// A quiet, a half busy and a busy pool of four workers that take a millisecond.
const LOADS: [Load; 4] = [
    Load::Callers(1),
    Load::Callers(4),
    Load::Callers(12),
    Load::Every(Duration::from_micros(500)),
];

fn run(pool: &mut Pool, load: Load, tasks: usize, odd: (Outcome, Duration)) -> Vec<usize> {
    let balancer = Balancer::new(LatencyBased::new());
    let serve = |position| {
        if position == 3 { odd } else { (Outcome::Completed, MS) }
    };
    pool.run(&balancer, load, tasks, serve)
}

/// The share of a worker that fails at once from the start, among three that take a millisecond.
fn share_of_failing(load: Load, pool_has_a_mean: bool) -> f64 {
    fastrand::seed(SEED);
    let mut pool = Pool::new(4);
    if pool_has_a_mean {
        finish_on(&pool.roster, 0, Outcome::Completed, MS);
    }
    share(&run(&mut pool, load, 4_000, (Outcome::Failed, US)), 3)
}

#[test]
fn a_worker_that_fails_at_once_gets_less_than_half_of_its_fair_share() {
    for load in [Load::Callers(1), Load::Callers(4), Load::Every(MS / 2)] {
        let share = share_of_failing(load, true);
        assert!(share < 0.125, "{load:?}, seed {SEED:#x}: {share}");
    }
}

#[test]
fn a_worker_that_fails_at_once_is_no_black_hole_in_a_pool_that_just_started() {
    for load in [Load::Callers(1), Load::Callers(4), Load::Every(MS / 2)] {
        let share = share_of_failing(load, false);
        assert!(share < 0.125, "{load:?}, seed {SEED:#x}: {share}");
    }
}

#[test]
fn a_worker_that_starts_to_fail_loses_its_share() {
    for load in LOADS {
        fastrand::seed(SEED);
        let mut pool = Pool::new(4);
        run(&mut pool, load, 4_000, (Outcome::Completed, MS));
        let selected = run(&mut pool, load, 4_000, (Outcome::Failed, US));
        let share = share(&selected, 3);
        assert!(share < 0.125, "{load:?}, seed {SEED:#x}: {share}");
    }
}

#[test]
fn a_worker_ten_times_slower_gets_less_than_half_of_its_fair_share() {
    for load in LOADS {
        fastrand::seed(SEED);
        let mut pool = Pool::new(4);
        let selected = run(&mut pool, load, 4_000, (Outcome::Completed, 10 * MS));
        let share = share(&selected, 3);
        assert!(share < 0.125, "{load:?}, seed {SEED:#x}: {share}");
    }
}

#[test]
fn a_new_worker_gets_its_share_while_it_warms_up_and_afterwards() {
    for load in [Load::Callers(4), Load::Callers(12)] {
        fastrand::seed(SEED);
        let mut pool = Pool::new(3);
        run(&mut pool, load, 4_000, (Outcome::Completed, MS));
        pool.add("new");
        let warming = run(&mut pool, load, 400, (Outcome::Completed, MS));
        let share_of_new = share(&warming, 3);
        assert!(
            share_of_new > 0.0 && share_of_new < 0.25 * 1.25,
            "{load:?}, seed {SEED:#x}: {share_of_new}"
        );
        let warm = run(&mut pool, load, 4_000, (Outcome::Completed, MS));
        let share = share(&warm, 3);
        assert!((share - 0.25).abs() < 0.05, "{load:?}, seed {SEED:#x}: {share}");
    }
}

/// Latencies that vary by a tenth: where all were the same, the pool's mean would be that of its
/// best worker and never below it.
#[test]
fn a_new_worker_is_tried_when_tasks_come_one_by_one() {
    fastrand::seed(SEED);
    let mut pool = Pool::new(3);
    let balancer = Balancer::new(LatencyBased::new());
    let serve = |position: usize| {
        let base = [1_000, 1_100, 1_200, 1_000][position];
        (Outcome::Completed, US * fastrand::u32(base - base / 10..base + base / 10))
    };
    pool.run(&balancer, Load::Callers(1), 1_000, serve);
    pool.add("new");
    let selected = pool.run(&balancer, Load::Callers(1), 1_000, serve);
    assert!(share(&selected, 3) > 0.0, "seed {SEED:#x}");
}

#[test]
fn a_worker_that_recovers_is_tried_again_when_tasks_come_one_by_one() {
    fastrand::seed(SEED);
    let mut pool = Pool::new(4);
    run(&mut pool, Load::Callers(4), 1_000, (Outcome::Completed, MS));
    run(&mut pool, Load::Callers(4), 1_000, (Outcome::Failed, US));
    let selected = run(&mut pool, Load::Callers(1), 10_000, (Outcome::Completed, MS));
    assert!(share(&selected, 3) > 0.0, "seed {SEED:#x}");
}

#[test]
fn a_hung_worker_is_given_a_few_tasks_and_no_more() {
    let (clock, time) = raddle_core::Clock::simulated();
    let roster = Roster::builder().workers(4, WorkerSpec::general()).clock(clock).build().unwrap();
    let mut held = Vec::new();
    (0..4).for_each(|position| finish_on(&roster, position, Outcome::Completed, MS));
    let balancer = Balancer::new(LatencyBased::new());
    for _ in 0..10_000 {
        let reservation = balancer.select(&TaskProfile::default(), &roster).unwrap();
        time.advance(MS);
        if reservation.position() == 3 {
            held.push(reservation);
        } else {
            reservation.finish(Outcome::Completed, MS);
        }
    }
    assert!((1..=3).contains(&held.len()), "{} of 10,000 tasks are stuck", held.len());
}

#[test]
fn workers_that_take_no_time_still_share() {
    fastrand::seed(SEED);
    let roster = alike(4);
    let balancer = Balancer::new(LatencyBased::new());
    let mut counts = [0u32; 4];
    for _ in 0..4_000 {
        let reservation = balancer.select(&TaskProfile::default(), &roster).unwrap();
        counts[reservation.position()] += 1;
        reservation.finish(Outcome::Completed, Duration::ZERO);
    }
    assert!(counts.iter().all(|count| count.abs_diff(1_000) < 150), "seed {SEED:#x}: {counts:?}");
}

/// What is known of one worker: how its tasks ended and took, what it has now and for how long.
#[derive(Clone, Debug)]
struct Known {
    records: Vec<(bool, u64)>,
    in_flight: usize,
    age: u64,
}

#[derive(Clone, Copy, Debug)]
enum Worse {
    Slower { which: usize, by: u64 },
    Failing { which: usize },
    Busier { by: usize },
    Older { by: u64 },
}

impl Known {
    fn made(&self, worse: Worse) -> Self {
        let mut known = self.clone();
        let count = known.records.len();
        match worse {
            Worse::Slower { which, by } => known.records[which % count].1 += by,
            Worse::Failing { which } => known.records[which % count].0 = false,
            Worse::Busier { by } => known.in_flight += by,
            Worse::Older { by } => known.age += by,
        }
        known
    }
}

const NOW: u64 = 1 << 50;

/// A roster of two workers of whom this is known, and what they have in flight.
fn with_roster<T>(known: [&Known; 2], fast: FastThreshold, ask: impl FnOnce(&Roster) -> T) -> T {
    let (clock, time) = raddle_core::Clock::simulated();
    let tracking = Tracking { fast, ..Tracking::default() };
    let roster = Roster::builder()
        .workers(2, WorkerSpec::general())
        .tracking(tracking)
        .clock(clock)
        .build()
        .unwrap();
    let mut held = Vec::new();
    for (position, known) in known.into_iter().enumerate() {
        for (success, micros) in &known.records {
            let outcome = if *success { Outcome::Completed } else { Outcome::Failed };
            finish_on(&roster, position, outcome, *micros as u32 * US);
        }
        let worker = &roster.workers()[position].worker;
        let since = NOW - known.age * 1_000;
        held.extend(
            (0..known.in_flight)
                .map(|_| Reservation::take_at(worker, position, None, since).unwrap()),
        );
    }
    time.set(NOW);
    ask(&roster)
}

/// How likely the second worker is to be picked: 0 never, 2 always, 1 in between. Wrong once in
/// 2^39 ties.
fn chance(strategy: &dyn raddle_strategies::Strategy, roster: &Roster) -> u8 {
    let task = TaskProfile::default().given_at(NOW);
    let picks: usize = (0..40).map(|_| strategy.pick(&task, &roster.candidates(None))).sum();
    match picks {
        0 => 0,
        40 => 2,
        _ => 1,
    }
}

fn known(records: impl Strategy<Value = (bool, u64)>) -> impl Strategy<Value = Known> {
    (prop::collection::vec(records, 1..20), 0usize..4, 0u64..20_000)
        .prop_map(|(records, in_flight, age)| Known { records, in_flight, age })
}

/// A worker, and a way in which it may get worse. One that is to fail more has not failed before:
/// a failure is penalised by the pool's mean, which a success less may move.
fn worker_and_worse() -> impl Strategy<Value = (Known, Worse)> {
    let time = 1u64..5_000;
    let worse = prop_oneof![
        (any::<usize>(), 1u64..50_000).prop_map(|(which, by)| Worse::Slower { which, by }),
        (1usize..4).prop_map(|by| Worse::Busier { by }),
        (1u64..100_000).prop_map(|by| Worse::Older { by }),
    ];
    prop_oneof![
        (known((any::<bool>(), time.clone())), worse),
        (known((Just(true), time)), any::<usize>().prop_map(|which| Worse::Failing { which })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Law 6, for the strategies that read what was measured. The other worker has succeeded in
    /// all it did, so that the pool's mean weighs on nobody else.
    #[test]
    fn slower_busier_or_more_failing_never_improves_a_chance(
        other in known((Just(true), 1u64..5_000)),
        (before, worse) in worker_and_worse(),
    ) {
        let after = before.made(worse);
        let fast = FastThreshold::Fixed(1_000 * US);
        let strategies: [&dyn raddle_strategies::Strategy; 3] =
            [&LatencyBased::new(), &CapabilityBest::new(), &LeastLoaded::new()];
        for strategy in strategies {
            let first = with_roster([&other, &before], fast, |roster| chance(strategy, roster));
            let then = with_roster([&other, &after], fast, |roster| chance(strategy, roster));
            prop_assert!(then <= first, "{}: {first} became {then}", strategy.name());
        }
        let share = |known| {
            with_roster([&other, known], fast, |roster| {
                let weights = WeightedRoundRobin::new().weights(roster).unwrap();
                weights[1] / (weights[0] + weights[1])
            })
        };
        let (first, then): (f64, f64) = (share(&before), share(&after));
        prop_assert!(then <= first + 1e-9, "weighted_round_robin: {first} became {then}");
    }
}

/// A worker 20 times slower than the pool must not look better for failing at once instead: its
/// penalty is ten times the pool's mean, half of what it took when it succeeded.
#[test]
fn a_very_slow_worker_does_not_improve_by_failing() {
    let mean_after = |outcome, took| {
        let roster = alike(2);
        let finish = |position, outcome, took| {
            (0..10).for_each(|_| finish_on(&roster, position, outcome, took));
        };
        finish(1, Outcome::Completed, 20 * MS);
        (0..50).for_each(|_| finish(0, Outcome::Completed, MS));
        finish(1, outcome, took);
        roster.workers()[1].worker.stats().latencies().mean().unwrap()
    };
    let succeeding = mean_after(Outcome::Completed, 20 * MS);
    let failing = mean_after(Outcome::Failed, US);
    assert!(failing >= succeeding, "{failing} ns, and {succeeding} ns when it succeeds");
}

#[test]
fn the_unguarded_rule_is_there_and_falls_into_the_trap() {
    fastrand::seed(SEED);
    let roster = alike(4);
    (0..4).for_each(|position| finish_on(&roster, position, Outcome::Completed, MS));
    finish_on(&roster, 2, Outcome::Completed, US);
    let unguarded = Balancer::new(LatencyBased::unguarded());
    let select = || unguarded.select(&TaskProfile::default(), &roster).unwrap();
    let held: Vec<_> = (0..100).map(|_| select()).collect();
    assert!(held.iter().all(|reservation| reservation.position() == 2), "all herd onto one");
    drop(held);
    let guarded = balancer(StrategyName::LatencyBased);
    let select = || guarded.select(&TaskProfile::default(), &roster).unwrap();
    let held: Vec<_> = (0..100).map(|_| select()).collect();
    let herd = held.iter().filter(|reservation| reservation.position() == 2).count();
    assert!((25..60).contains(&herd), "{herd}");
}
