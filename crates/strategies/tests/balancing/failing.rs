//! Workers that fail at once, and so are always idle, under least loaded, which compares tasks in
//! flight. For latency based, which penalises failures, see `latency.rs`.

use std::time::Duration;

use raddle_core::{Outcome, TaskProfile};
use raddle_strategies::{Balancer, LeastLoaded};

use crate::simulated::{Load, Pool, share};
use crate::{MS, alike, finish_on, note_idle};

const SEEDS: [u64; 3] = [0x6661_696c, 0x6661_696d, 0x6661_696e];
const WORKERS: usize = 10;
const TASKS: usize = 20_000;
const FAIR: f64 = 1.0 / WORKERS as f64;

/// A load of 0.7 if tasks take [`a_while`].
fn load() -> Load {
    Load::Every((MS / WORKERS as u32).div_f64(0.7))
}

/// Returns an exponentially distributed time with a mean of a millisecond.
fn a_while() -> Duration {
    MS.mul_f64(-(1.0 - fastrand::f64()).ln())
}

/// Returns the share of worker 0 if it ends its tasks at once with `outcome`, and the others take
/// [`a_while`].
fn share_of_first(pool: &mut Pool, outcome: Outcome) -> f64 {
    let balancer = Balancer::new(LeastLoaded::new()).unwrap();
    let selected = pool.run(&balancer, load(), TASKS, |position| match (position, outcome) {
        (0, Outcome::Failed) => (Outcome::Failed, Duration::from_micros(1)),
        _ => (Outcome::Completed, a_while()),
    });
    share(&selected, 0)
}

#[test]
fn a_worker_that_fails_at_once_attracts_no_traffic() {
    for seed in SEEDS {
        println!("seed {seed:#x}");
        fastrand::seed(seed);
        let share = share_of_first(&mut Pool::new(WORKERS), Outcome::Failed);
        println!("share {share}");
        assert!(share < FAIR, "seed {seed:#x}: {share}");
    }
}

#[test]
fn a_worker_that_starts_to_fail_loses_its_traffic_and_regains_it_when_it_recovers() {
    for seed in SEEDS {
        println!("seed {seed:#x}");
        fastrand::seed(seed);
        let mut pool = Pool::new(WORKERS);
        let shares = [Outcome::Completed, Outcome::Failed, Outcome::Completed]
            .map(|outcome| share_of_first(&mut pool, outcome));
        println!("shares {shares:?}");
        let [before, failing, recovered] = shares;
        assert!(failing < FAIR, "seed {seed:#x}: {failing}");
        for share in [before, recovered] {
            assert!((share - FAIR).abs() < 0.1 * FAIR, "seed {seed:#x}: {share}");
        }
    }
}

#[test]
fn a_failing_worker_is_picked_if_the_others_have_more_in_flight_or_fail_too() {
    let roster = alike(3);
    let balancer = Balancer::new(LeastLoaded::new()).unwrap();
    let select = || balancer.select(&TaskProfile::default(), &roster).unwrap();
    let fail = |position| {
        (0..100).for_each(|_| finish_on(&roster, position, Outcome::Failed, Duration::ZERO));
    };
    fail(0);
    note_idle(&roster, 0);
    for _ in 0..100 {
        assert_ne!(select().position(), 0, "while the others are idle too");
    }
    let held = [select(), select()];
    assert!(held.iter().all(|reservation| reservation.position() != 0), "{held:?}");
    assert_eq!(select().position(), 0, "while the others are busy");
    drop(held);
    (1..3).for_each(fail);
    let mut seen = [0; 3];
    (0..1_000).for_each(|_| seen[select().position()] += 1);
    assert!(seen.iter().all(|count| *count > 200), "all fail, and so all serve: {seen:?}");
}

#[test]
fn a_closed_worker_comes_after_every_failing_one() {
    let roster = alike(3);
    for position in [1, 2] {
        (0..100).for_each(|_| finish_on(&roster, position, Outcome::Failed, Duration::ZERO));
    }
    roster.members()[0].worker.close();
    let balancer = Balancer::new(LeastLoaded::new()).unwrap();
    let strategy = balancer.strategy();
    for _ in 0..100 {
        let held = balancer.select(&TaskProfile::default(), &roster).unwrap();
        assert_ne!(strategy.pick(&TaskProfile::default(), &roster.candidates(None)), 0);
        drop(held);
    }
    roster.members().iter().for_each(|member| member.worker.close());
    assert!(strategy.pick(&TaskProfile::default(), &roster.candidates(None)) < 3);
}
