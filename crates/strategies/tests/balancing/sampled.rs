//! Peak EWMA, hot cold and expected delay: their own properties, and those of every strategy. Their
//! shares among unequal workers are in `latency.rs`.

use std::time::Duration;

use raddle_core::{Capability, Clock, Health, Outcome, Reservation, Roster, TaskProfile, WorkerId};
use raddle_core::{VirtualTime, WorkerSpec};
use raddle_strategies::{Balancer, ExpectedDelay, HotCold, PeakEwma, SelectError};

use crate::latency::used_to;
use crate::simulated::share;
use crate::{MS, alike, assert_settled, positions};

const SEED: u64 = 0x7361_6d70_6c64;
const SECOND: u64 = 1_000_000_000;

fn balancers() -> [Balancer; 3] {
    [
        Balancer::new(PeakEwma::new()).unwrap(),
        Balancer::new(HotCold::new()).unwrap(),
        Balancer::new(ExpectedDelay::new()).unwrap(),
    ]
}

/// Creates a roster whose clock is at one second.
fn timed(workers: usize) -> (Roster, VirtualTime) {
    let (clock, time) = Clock::simulated();
    time.set(SECOND);
    let builder = Roster::builder().workers(workers, WorkerSpec::general());
    (builder.clock(clock).build().unwrap(), time)
}

/// Reserves a worker and notes the time.
fn take(roster: &Roster, position: usize) -> Reservation<'_> {
    let worker = &roster.members()[position].worker;
    Reservation::take_at(worker, position, None, roster.clock().now()).unwrap()
}

/// Records a task with this outcome at the worker, at the clock's time.
fn finish(roster: &Roster, position: usize, outcome: Outcome, took: Duration) {
    take(roster, position).finish(outcome, took);
}

/// Returns the share of each position in `count` selections, each released at once.
fn shares(balancer: &Balancer, roster: &Roster, selections: usize) -> Vec<f64> {
    let selected = positions(balancer, &TaskProfile::default(), roster, selections);
    (0..roster.members().len()).map(|position| share(&selected, position)).collect()
}

/// Asserts that these positions, and no others, have a fair share of 20,000 selections, within four
/// standard deviations of the smallest share.
fn assert_fair(balancer: &Balancer, task: &TaskProfile, roster: &Roster, eligible: &[usize]) {
    fastrand::seed(SEED);
    let selected = positions(balancer, task, roster, 20_000);
    let (name, fair) = (balancer.strategy().name(), 20_000 / eligible.len());
    for position in eligible {
        let count = selected.iter().filter(|selected| *selected == position).count();
        let context = format!("{name}, seed {SEED:#x}: {position} {count} times for {fair}");
        assert!(count.abs_diff(fair) <= 4 * fair.isqrt(), "{context}");
    }
    assert!(selected.iter().all(|position| eligible.contains(position)), "{name}");
}

#[test]
fn equal_scores_give_equal_shares() {
    for workers in [1, 2, 3, 4, 10, 16] {
        let all: Vec<_> = (0..workers).collect();
        for balancer in balancers() {
            let (roster, _time) = timed(workers);
            assert_fair(&balancer, &TaskProfile::default(), &roster, &all);
            all.iter().for_each(|position| finish(&roster, *position, Outcome::Completed, MS));
            assert_fair(&balancer, &TaskProfile::default(), &roster, &all);
            assert_settled(&roster);
        }
    }
}

#[test]
fn sparse_capabilities_and_sparse_health_are_not_biased_towards_a_neighbour() {
    let able = [0, 1, 2, 9, 31, 32, 63];
    let mut builder = Roster::builder();
    for position in 0..64 {
        let capability = if able.contains(&position) { "sampled-few" } else { "sampled-many" };
        builder = builder.worker(WorkerSpec::new(format!("w{position}")).capability(capability));
    }
    let few = TaskProfile::default().capability(Capability::intern("sampled-few").unwrap());
    let sparse = builder.build().unwrap();
    let mut sick = alike(12);
    for position in (0..12).filter(|position| ![0, 3, 4, 11].contains(position)) {
        let health = [Health::Draining, Health::Quarantined, Health::Ejected][position % 3];
        sick = sick.with_health(WorkerId(position as u32), health).unwrap();
    }
    for balancer in balancers() {
        assert_fair(&balancer, &few, &sparse, &able);
        assert_fair(&balancer, &TaskProfile::default(), &sick, &[0, 3, 4, 11]);
    }
}

#[test]
fn closed_workers_are_skipped_until_all_are_closed() {
    for balancer in balancers() {
        let name = balancer.strategy().name();
        let roster = alike(4);
        for open in (1..4).rev() {
            roster.members()[open].worker.close();
            let shares = shares(&balancer, &roster, 500);
            assert!(shares[..open].iter().all(|share| *share > 0.0), "{name}: {shares:?}");
            assert!(shares[open..].iter().all(|share| *share == 0.0), "{name}: {shares:?}");
        }
        roster.members()[0].worker.close();
        let error = balancer.select(&TaskProfile::default(), &roster).unwrap_err();
        assert_eq!(error, SelectError::Closed, "{name}");
        let nobody = Roster::builder().build().unwrap();
        let error = balancer.select(&TaskProfile::default(), &nobody).unwrap_err();
        assert_eq!(error, SelectError::NoWorker, "{name}");
    }
}

#[test]
fn a_million_picks_change_nothing() {
    for balancer in balancers() {
        let (roster, _time) = timed(2);
        finish(&roster, 0, Outcome::Completed, 2 * MS);
        finish(&roster, 1, Outcome::Completed, MS);
        let peaks = |at| [0, 1].map(|of| roster.members()[of].worker.stats().peak_latency(at));
        let before = [peaks(SECOND), peaks(2 * SECOND)];
        let strategy = balancer.strategy();
        for number in 0..1_000_000 {
            let task = TaskProfile::default().submitted_at(SECOND + number);
            assert_eq!(strategy.pick(&task, &roster.candidates(None)), 1, "{}", strategy.name());
        }
        assert_eq!([peaks(SECOND), peaks(2 * SECOND)], before);
    }
}

#[test]
fn a_clock_that_goes_back_causes_no_age_and_no_decay() {
    for balancer in balancers() {
        let name = balancer.strategy().name();
        let (roster, time) = timed(2);
        time.set(100 * SECOND);
        finish(&roster, 0, Outcome::Completed, MS);
        finish(&roster, 1, Outcome::Completed, 10 * MS);
        let _held = take(&roster, 0);
        time.set(99 * SECOND);
        // Hot cold prefers an idle worker, by `q`; the others compare 2 x 1 ms with 10 ms.
        let expected = if name == "hot_cold" { 1 } else { 0 };
        let task = TaskProfile::default();
        let picked = balancer.strategy().pick(&task, &roster.candidates(None));
        assert_eq!(picked, expected, "{name}");
        finish(&roster, 0, Outcome::Completed, MS);
        assert_eq!(roster.members()[0].worker.stats().stalled_for(99 * SECOND), 0);
        let peak = roster.members()[0].worker.stats().peak_latency(99 * SECOND);
        assert_eq!(peak, Some(1_000_000), "{name}");
    }
}

/// Service times alone, as a runtime records them: the penalty does not grow with the queues.
#[test]
fn a_worker_that_fails_at_once_gets_at_most_its_fair_share_if_queues_are_long() {
    for strategy in 0..2 {
        for queue in [0, 5, 15, 60] {
            let balancer = &balancers()[strategy];
            fastrand::seed(SEED);
            let (roster, _time) = timed(10);
            (1..10).for_each(|position| finish(&roster, position, Outcome::Completed, MS));
            (0..50).for_each(|_| finish(&roster, 0, Outcome::Failed, Duration::ZERO));
            let held: Vec<_> = (0..9 * queue).map(|number| take(&roster, 1 + number % 9)).collect();
            let name = balancer.strategy().name();
            let share = shares(balancer, &roster, 10_000)[0];
            assert!(share < 0.11, "{name}, queues of {queue}, seed {SEED:#x}: {share}");
            drop(held);
        }
    }
}

#[test]
fn if_all_workers_fail_the_one_with_fewest_tasks_is_picked() {
    for balancer in balancers() {
        let (roster, _time) = timed(2);
        for _ in 0..50 {
            (0..2).for_each(|position| finish(&roster, position, Outcome::Failed, MS));
        }
        let _held = [take(&roster, 0), take(&roster, 0)];
        let name = balancer.strategy().name();
        assert_eq!(shares(&balancer, &roster, 100), [0.0, 1.0], "{name}");
    }
}

#[test]
fn one_slow_task_raises_the_peak_and_time_decays_it() {
    let balancer = Balancer::new(PeakEwma::new()).unwrap();
    let (roster, time) = timed(2);
    for _ in 0..100 {
        (0..2).for_each(|position| finish(&roster, position, Outcome::Completed, MS));
    }
    finish(&roster, 0, Outcome::Completed, 8 * MS);
    finish(&roster, 0, Outcome::Completed, MS);
    for half_lives in 0..=3 {
        // Only the other worker gets another latency.
        time.set(SECOND + half_lives * 700_000_000);
        finish(&roster, 1, Outcome::Completed, MS);
        let expected = if half_lives < 3 { [0.0, 1.0] } else { [1.0, 0.0] };
        assert_eq!(shares(&balancer, &roster, 100), expected, "after {half_lives} halves");
    }
}

#[test]
fn a_hung_worker_neither_keeps_its_good_latency_nor_improves_as_it_decays() {
    let used_to_queues = Balancer::new(used_to(5)).unwrap();
    for balancer in [
        Balancer::new(PeakEwma::new()).unwrap(),
        Balancer::new(ExpectedDelay::new()).unwrap(),
        used_to_queues,
    ] {
        let name = balancer.strategy().name();
        let (roster, time) = timed(2);
        (0..2).for_each(|position| finish(&roster, position, Outcome::Completed, 10 * MS));
        let _hung = take(&roster, 0);
        let mut busy = [take(&roster, 1), take(&roster, 1), take(&roster, 1)];
        assert_eq!(shares(&balancer, &roster, 20), [1.0, 0.0], "{name}: 2 x 10 ms are less than 4");
        for second in 2..100 {
            time.set(second * SECOND);
            finish(&roster, 1, Outcome::Completed, 10 * MS);
            busy = [take(&roster, 1), take(&roster, 1), take(&roster, 1)];
            assert_eq!(shares(&balancer, &roster, 20), [0.0, 1.0], "{name}, in second {second}");
        }
        drop(busy);
    }
}

/// Creates a pool in which worker i has i tasks in flight, so that their quantile is known.
fn staircase(roster: &Roster) -> Vec<Reservation<'_>> {
    let workers = 0..roster.members().len();
    workers.flat_map(|position| (0..position).map(move |_| take(roster, position))).collect()
}

#[test]
fn the_level_of_hot_is_the_quantile_of_the_pool_and_not_of_the_sample() {
    for quantile in [0.5, 0.84, 0.95] {
        fastrand::seed(SEED);
        let strategy = std::sync::Arc::new(HotCold::with_quantile(quantile));
        let balancer = Balancer::new(std::sync::Arc::clone(&strategy)).unwrap();
        let (roster, _time) = timed(100);
        let held = staircase(&roster);
        let mut levels: Vec<_> = (0..200)
            .map(|_| {
                shares(&balancer, &roster, 200);
                strategy.level()
            })
            .skip(50)
            .collect();
        levels.sort_unstable();
        let (median, expected) = (levels[75] as f64, 100.0 * quantile);
        assert!((median - expected).abs() <= 5.0, "seed {SEED:#x}: {median} for {expected}");
        drop(held);
        shares(&balancer, &roster, 50_000);
        assert_eq!(strategy.level(), 0, "when all are idle again");
    }
}

#[test]
fn eight_threads_find_the_level_too() {
    let strategy = std::sync::Arc::new(HotCold::new());
    let balancer = Balancer::new(std::sync::Arc::clone(&strategy)).unwrap();
    let (roster, _time) = timed(100);
    let _held = staircase(&roster);
    let look = || {
        shares(&balancer, &roster, 10_000);
        let looks = (0..50).map(|_| {
            shares(&balancer, &roster, 100);
            strategy.level()
        });
        looks.collect::<Vec<_>>()
    };
    let mut levels = std::thread::scope(|scope| {
        let threads = [(); 8].map(|()| scope.spawn(look));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    levels.sort_unstable();
    let median = levels[levels.len() / 2];
    assert!(median.abs_diff(84) <= 6, "{median}");
}

#[test]
fn the_fastest_cold_worker_is_picked_or_the_least_busy_if_all_are_hot() {
    // In a pool of three every worker is read. The estimate is still 0, so one task makes a worker
    // hot.
    let balancer = || Balancer::new(HotCold::new()).unwrap();
    let (roster, _time) = timed(3);
    for (position, took) in [(0, MS), (1, 5 * MS), (2, 9 * MS)] {
        finish(&roster, position, Outcome::Completed, took);
    }
    assert_eq!(shares(&balancer(), &roster, 20), [1.0, 0.0, 0.0], "all are cold");
    let first = take(&roster, 0);
    assert_eq!(shares(&balancer(), &roster, 20), [0.0, 1.0, 0.0], "2 x 1 ms, but hot");
    let more = [take(&roster, 1), take(&roster, 1), take(&roster, 2), take(&roster, 2)];
    assert_eq!(shares(&balancer(), &roster, 20), [1.0, 0.0, 0.0], "the least busy");
    let second = take(&roster, 0);
    assert_eq!(shares(&balancer(), &roster, 20), [1.0, 0.0, 0.0], "of those the fastest");
    drop((first, second, more));
    assert_settled(&roster);
}

#[test]
fn expected_delay_shares_tasks_by_speed() {
    let balancer = Balancer::new(ExpectedDelay::new()).unwrap();
    let (roster, time) = timed(2);
    (0..20).for_each(|_| finish(&roster, 0, Outcome::Completed, MS));
    (0..20).for_each(|_| finish(&roster, 1, Outcome::Completed, MS * 35 / 10));
    let mut held = Vec::new();
    let mut order = Vec::new();
    for _ in 0..9 {
        let next = balancer.select(&TaskProfile::default(), &roster).unwrap();
        order.push(next.position());
        held.push(next);
    }
    // 1, 2, 3 ms; then 4 beside 3.5; 4, 5, 6, 7; then 8 beside 7.
    assert_eq!(order[..4], [0, 0, 0, 1], "{order:?}");
    assert_eq!(order[4..7], [0, 0, 0], "{order:?}");
    drop(held);
    for _ in 0..90 {
        let next = balancer.select(&TaskProfile::default(), &roster).unwrap();
        assert_eq!(next.position(), 0, "a lone task goes to the fast worker");
        time.advance(MS);
        next.finish(Outcome::Completed, MS);
    }
}
