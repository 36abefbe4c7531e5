use std::time::Duration;

use proptest::prelude::*;
use raddle_core::{
    Candidates, FastThreshold, Outcome, Reservation, Roster, TaskProfile, Tracking, WorkerSpec,
};
use raddle_strategies::{
    Balancer, CapabilityBest, ExpectedDelay, HotCold, LatencyBased, LeastLoaded, PeakEwma,
    Strategy as _, StrategyName, WeightedRoundRobin,
};

use crate::simulated::{Load, Pool, share};
use crate::{MS, alike, balancer, finish_on};

const US: Duration = Duration::from_micros(1);
const SEED: u64 = 0x6c61_7465_6e63;

/// Loads of a quiet, a half-busy and a busy pool of four workers that take a millisecond.
const LOADS: [Load; 4] = [
    Load::Callers(1),
    Load::Callers(4),
    Load::Callers(12),
    Load::Every(Duration::from_micros(500)),
];

/// A balancer for each strategy that reads latencies and guards against bad data.
fn balancers() -> [Balancer; 4] {
    [
        Balancer::new(LatencyBased::new()).unwrap(),
        Balancer::new(ExpectedDelay::new()).unwrap(),
        Balancer::new(PeakEwma::new()).unwrap(),
        Balancer::new(HotCold::new()).unwrap(),
    ]
}

/// The figure under each load, with the strategy's name.
fn each_under(loads: &[Load]) -> impl Iterator<Item = (&'static str, Balancer, Load)> {
    let each = loads.iter().flat_map(|load| balancers().map(|balancer| (balancer, *load)));
    each.map(|(balancer, load)| (balancer.strategy().name(), balancer, load))
}

fn run(
    balancer: &Balancer,
    pool: &mut Pool,
    load: Load,
    tasks: usize,
    odd: (Outcome, Duration),
) -> Vec<usize> {
    let serve = |position| {
        if position == 3 { odd } else { (Outcome::Completed, MS) }
    };
    pool.run(balancer, load, tasks, serve)
}

/// Returns the share of a worker that fails at once from the start, among three that take a
/// millisecond.
fn share_of_failing(balancer: &Balancer, load: Load, pool_has_a_mean: bool) -> f64 {
    fastrand::seed(SEED);
    let mut pool = Pool::new(4);
    if pool_has_a_mean {
        finish_on(&pool.roster, 0, Outcome::Completed, MS);
    }
    share(&run(balancer, &mut pool, load, 4_000, (Outcome::Failed, US)), 3)
}

#[test]
fn a_worker_that_fails_at_once_gets_less_than_half_of_its_fair_share() {
    for (name, balancer, load) in each_under(&[Load::Callers(1), Load::Callers(4), LOADS[3]]) {
        let share = share_of_failing(&balancer, load, true);
        assert!(share < 0.125, "{name}, {load:?}, seed {SEED:#x}: {share}");
    }
}

#[test]
fn a_worker_that_fails_at_once_does_not_swallow_the_tasks_of_a_new_pool() {
    for (name, balancer, load) in each_under(&[Load::Callers(1), Load::Callers(4), LOADS[3]]) {
        let share = share_of_failing(&balancer, load, false);
        assert!(share < 0.125, "{name}, {load:?}, seed {SEED:#x}: {share}");
    }
}

#[test]
fn a_worker_that_starts_to_fail_loses_its_share() {
    for (name, balancer, load) in each_under(&LOADS) {
        fastrand::seed(SEED);
        let mut pool = Pool::new(4);
        run(&balancer, &mut pool, load, 4_000, (Outcome::Completed, MS));
        let selected = run(&balancer, &mut pool, load, 4_000, (Outcome::Failed, US));
        let share = share(&selected, 3);
        assert!(share < 0.125, "{name}, {load:?}, seed {SEED:#x}: {share}");
    }
}

#[test]
fn a_worker_ten_times_slower_gets_less_than_half_of_its_fair_share() {
    for (name, balancer, load) in each_under(&LOADS) {
        fastrand::seed(SEED);
        let mut pool = Pool::new(4);
        let selected = run(&balancer, &mut pool, load, 4_000, (Outcome::Completed, 10 * MS));
        let share = share(&selected, 3);
        assert!(share < 0.125, "{name}, {load:?}, seed {SEED:#x}: {share}");
    }
}

#[test]
fn a_new_worker_gets_its_share_while_it_warms_up_and_afterwards() {
    for (name, balancer, load) in each_under(&[Load::Callers(4), Load::Callers(12)]) {
        fastrand::seed(SEED);
        let mut pool = Pool::new(3);
        run(&balancer, &mut pool, load, 4_000, (Outcome::Completed, MS));
        pool.add("new");
        let warming = run(&balancer, &mut pool, load, 400, (Outcome::Completed, MS));
        let share_of_new = share(&warming, 3);
        assert!(
            share_of_new > 0.0 && share_of_new < 0.25 * 1.25,
            "{name}, {load:?}, seed {SEED:#x}: {share_of_new}"
        );
        let warm = run(&balancer, &mut pool, load, 4_000, (Outcome::Completed, MS));
        let share = share(&warm, 3);
        assert!((share - 0.25).abs() < 0.05, "{name}, {load:?}, seed {SEED:#x}: {share}");
    }
}

/// Latencies that vary by a tenth: if all were equal, the pool's mean would be that of its best
/// worker and never below it.
#[test]
fn a_new_worker_is_tried_if_tasks_arrive_one_at_a_time() {
    let serve = |position: usize| {
        let base = [1_000, 1_100, 1_200, 1_000][position];
        (Outcome::Completed, US * fastrand::u32(base - base / 10..base + base / 10))
    };
    for (name, balancer, load) in each_under(&[Load::Callers(1)]) {
        fastrand::seed(SEED);
        let mut pool = Pool::new(3);
        pool.run(&balancer, load, 1_000, serve);
        pool.add("new");
        let selected = pool.run(&balancer, load, 1_000, serve);
        assert!(share(&selected, 3) > 0.0, "{name}, seed {SEED:#x}");
    }
}

#[test]
fn a_worker_that_recovers_is_tried_again_if_tasks_arrive_one_at_a_time() {
    for (name, balancer, load) in each_under(&[Load::Callers(1)]) {
        fastrand::seed(SEED);
        let mut pool = Pool::new(4);
        run(&balancer, &mut pool, Load::Callers(4), 1_000, (Outcome::Completed, MS));
        run(&balancer, &mut pool, Load::Callers(4), 1_000, (Outcome::Failed, US));
        let selected = run(&balancer, &mut pool, load, 10_000, (Outcome::Completed, MS));
        assert!(share(&selected, 3) > 0.0, "{name}, seed {SEED:#x}");
    }
}

#[test]
fn a_hung_worker_gets_only_a_few_tasks() {
    for balancer in balancers() {
        let (clock, time) = raddle_core::Clock::simulated();
        let builder = Roster::builder().workers(4, WorkerSpec::general());
        let roster = builder.clock(clock).build().unwrap();
        let mut held = Vec::new();
        (0..4).for_each(|position| finish_on(&roster, position, Outcome::Completed, MS));
        for _ in 0..10_000 {
            let reservation = balancer.select(&TaskProfile::default(), &roster).unwrap();
            time.advance(MS);
            if reservation.position() == 3 {
                held.push(reservation);
            } else {
                reservation.finish(Outcome::Completed, MS);
            }
        }
        let name = balancer.strategy().name();
        assert!((1..=3).contains(&held.len()), "{name}: {} of 10,000 are stuck", held.len());
    }
}

#[test]
fn workers_with_a_latency_of_zero_share_evenly() {
    for balancer in balancers() {
        fastrand::seed(SEED);
        let roster = alike(4);
        let mut counts = [0u32; 4];
        for _ in 0..4_000 {
            let reservation = balancer.select(&TaskProfile::default(), &roster).unwrap();
            counts[reservation.position()] += 1;
            reservation.finish(Outcome::Completed, Duration::ZERO);
        }
        let name = balancer.strategy().name();
        let even = counts.iter().all(|count| count.abs_diff(1_000) < 150);
        assert!(even, "{name}, seed {SEED:#x}: {counts:?}");
    }
}

/// The statistics of one worker: how its tasks ended, how long they took, and what it has in flight
/// for how long.
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

/// Creates a roster of two workers with these statistics, and their tasks in flight.
fn with_roster<T>(known: [&Known; 2], fast: FastThreshold, ask: impl FnOnce(&Roster) -> T) -> T {
    let (clock, time) = raddle_core::Clock::simulated();
    let tracking = Tracking { fast, ..Tracking::default() };
    let roster = Roster::builder()
        .workers(2, WorkerSpec::general())
        .tracking(tracking)
        .clock(clock)
        .build()
        .unwrap();
    time.set(NOW);
    let mut held = Vec::new();
    for (position, known) in known.into_iter().enumerate() {
        let worker = &roster.members()[position].worker;
        for (success, micros) in &known.records {
            let outcome = if *success { Outcome::Completed } else { Outcome::Failed };
            let timed = Reservation::take_at(worker, position, None, NOW).unwrap();
            timed.finish(outcome, *micros as u32 * US);
        }
        let since = NOW - known.age * 1_000;
        held.extend(
            (0..known.in_flight)
                .map(|_| Reservation::take_at(worker, position, None, since).unwrap()),
        );
    }
    ask(&roster)
}

/// Returns 0 if the strategy never picks the second worker, 2 if it always does, and 1 if it does so
/// sometimes. For ties, which are broken at random, that is wrong once in 2^39 calls.
fn chance(strategy: &dyn raddle_strategies::Strategy, roster: &Roster) -> u8 {
    let task = TaskProfile::default().submitted_at(NOW);
    let picks: usize = (0..40).map(|_| strategy.pick(&task, &roster.candidates(None))).sum();
    match picks {
        0 => 0,
        40 => 2,
        _ => 1,
    }
}

/// Creates a strategy for which workers are hot above about `level` tasks in flight.
pub fn used_to(level: usize) -> HotCold {
    let roster = alike(3);
    let task = TaskProfile::default().submitted_at(1);
    let take = |position: usize| {
        let worker = &roster.members()[position].worker;
        Reservation::take(worker, position, None).unwrap()
    };
    let _held: Vec<_> = (0..3 * level).map(|number| take(number % 3)).collect();
    let strategy = HotCold::new();
    while strategy.level() < level as u64 {
        strategy.pick(&task, &roster.candidates(None));
    }
    strategy
}

fn known(records: impl Strategy<Value = (bool, u64)>) -> impl Strategy<Value = Known> {
    (prop::collection::vec(records, 1..20), 0usize..4, 0u64..20_000)
        .prop_map(|(records, in_flight, age)| Known { records, in_flight, age })
}

/// Generates a worker and a worse version of it. One whose failures increase had none before: a
/// failure is penalised by the pool's mean, which one success less may move.
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

    /// Law 6, for the strategies that read measurements. The other worker has only succeeded, so
    /// that the pool's mean affects no penalty of its own.
    #[test]
    fn being_slower_busier_or_failing_more_never_improves_the_odds(
        other in known((Just(true), 1u64..5_000)),
        (before, worse) in worker_and_worse(),
    ) {
        let after = before.made(worse);
        let fast = FastThreshold::Fixed(1_000 * US);
        let more = [
            Balancer::new(CapabilityBest::new()).unwrap(),
            Balancer::new(LeastLoaded::new()).unwrap(),
            // In addition to the one in `balancers`, one that has seen longer queues than these.
            Balancer::new(used_to(5)).unwrap(),
        ];
        for balancer in balancers().into_iter().chain(more) {
            let strategy = balancer.strategy();
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
        // What is less certain counts for less, so it may come closer to a fair share, but not above it.
        let most = first.max(0.5);
        prop_assert!(then <= most + 1e-9, "weighted_round_robin: {first} became {then}");
    }
}

/// A worker 20 times slower than the pool must not look better by failing at once: the penalty is
/// ten times the pool's mean, which is half of the time that its successes took.
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
        roster.members()[1].worker.stats().latencies().mean().unwrap()
    };
    let succeeding = mean_after(Outcome::Completed, 20 * MS);
    let failing = mean_after(Outcome::Failed, US);
    assert!(failing >= succeeding, "{failing} ns, and {succeeding} ns when it succeeds");
}

/// The plain rule, without the guards of [`LatencyBased`].
#[derive(Debug)]
struct LowestMean;

impl raddle_strategies::Strategy for LowestMean {
    fn name(&self) -> &'static str {
        "lowest_mean"
    }
    fn pick(&self, _: &TaskProfile, candidates: &Candidates<'_>) -> usize {
        let means = candidates.signals().map(|signals| signals.recent_mean());
        means.enumerate().min_by_key(|(_, mean)| *mean).map_or(0, |(index, _)| index)
    }
}

#[test]
fn without_guards_the_lowest_mean_herds() {
    fastrand::seed(SEED);
    let roster = alike(4);
    (0..4).for_each(|position| finish_on(&roster, position, Outcome::Completed, MS));
    finish_on(&roster, 2, Outcome::Completed, US);
    let unguarded = Balancer::new(LowestMean).unwrap();
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

/// Exponential service times with a mean of a millisecond.
fn exponential() -> Duration {
    MS.mul_f64(-(1.0 - fastrand::f64()).ln())
}

#[test]
fn equal_workers_do_not_starve_each_other() {
    for strategy in [StrategyName::ExpectedDelay, StrategyName::LatencyBased] {
        for seed in 0..3 {
            // At loads of about 0.25, 0.5, 0.7 and 0.9.
            for interval in [250, 125, 90, 70] {
                fastrand::seed(seed);
                let balancer = balancer(strategy);
                let mut pool = Pool::new(16);
                let load = Load::Every(US * interval);
                let serve = |_| (Outcome::Completed, exponential());
                let selected = pool.run(&balancer, load, 100_000, serve);
                let shares = (0..16).map(|position| 16.0 * share(&selected, position));
                let lowest = shares.fold(f64::INFINITY, f64::min);
                println!("{strategy}, seed {seed}, every {interval} us: {lowest:.3}");
                assert!(lowest >= 0.15, "{strategy}, seed {seed}, every {interval} us: {lowest}");
            }
        }
    }
}
