use raddle_core::{Capability, Health, Outcome, Roster, TaskProfile, WorkerId, WorkerSpec};
use raddle_strategies::StrategyName;

use crate::{MS, alike, balancer, finish_on, in_flight, positions};

const SELECTIONS: usize = 100_000;
/// The maximum deviation, as a share of the fair share: four standard deviations of a uniform choice
/// among 16.
const TOLERANCE: f64 = 0.05;
const SEED: u64 = 0x7261_6464_6c65;

/// Asserts that the positions in `eligible`, and no others, have a fair share of the selections.
fn assert_fair(context: &str, selected: &[usize], eligible: &[usize]) {
    let fair = selected.len() as f64 / eligible.len() as f64;
    for position in eligible {
        let count = selected.iter().filter(|selected| *selected == position).count() as f64;
        assert!(
            (count - fair).abs() <= TOLERANCE * fair,
            "{context}, seed {SEED:#x}: worker {position} was selected {count} times for {fair}"
        );
    }
    assert!(selected.iter().all(|position| eligible.contains(position)), "{context}");
}

fn assert_every_share_is_fair(workers: usize) {
    let eligible: Vec<_> = (0..workers).collect();
    for name in StrategyName::ALL {
        fastrand::seed(SEED);
        let roster = alike(workers);
        let task = TaskProfile::default();
        let selected = positions(&balancer(name), &task, &roster, SELECTIONS);
        assert_fair(&format!("{name} among {workers}"), &selected, &eligible);
        assert_eq!(in_flight(&roster), vec![0; workers]);
    }
}

#[test]
fn equal_scores_give_equal_shares_among_two() {
    assert_every_share_is_fair(2);
}

#[test]
fn equal_scores_give_equal_shares_among_three() {
    assert_every_share_is_fair(3);
}

#[test]
fn equal_scores_give_equal_shares_among_ten() {
    assert_every_share_is_fair(10);
}

#[test]
fn equal_scores_give_equal_shares_among_sixteen() {
    assert_every_share_is_fair(16);
}

#[test]
fn equal_records_give_equal_shares() {
    let roster = alike(5);
    for position in (0..5).cycle().take(50) {
        finish_on(&roster, position, Outcome::Completed, 3 * MS);
    }
    // Their histories are equal, too: the very first success had no mean to be faster than.
    for position in (0..5).cycle().take(5 * 400) {
        finish_on(&roster, position, Outcome::Completed, 3 * MS);
    }
    for name in StrategyName::ALL.into_iter().filter(|name| *name != StrategyName::CapabilityBest) {
        fastrand::seed(SEED);
        let selected = positions(&balancer(name), &TaskProfile::default(), &roster, 20_000);
        assert_fair(&format!("{name} with records"), &selected, &[0, 1, 2, 3, 4]);
    }
}

#[test]
fn the_best_few_share_all_tasks_evenly() {
    // The tied scores are at the end, at the start, and in between the worse ones.
    for best in [vec![0, 7], vec![3, 4], vec![1, 5, 6]] {
        let roster = alike(8);
        for position in (0..8).filter(|position| !best.contains(position)) {
            finish_on(&roster, position, Outcome::Completed, 50 * MS);
        }
        // So many that the pool's mean, which counts for a tenth of theirs, does not change any more.
        for position in best.iter().cycle().take(20_000 * best.len()) {
            finish_on(&roster, *position, Outcome::Completed, MS);
        }
        let held: Vec<_> = (0..8)
            .filter(|position| !best.contains(position))
            .map(|position| {
                let worker = &roster.members()[position].worker;
                raddle_core::Reservation::take(worker, position, None).unwrap()
            })
            .collect();
        for name in [StrategyName::LeastLoaded, StrategyName::LatencyBased] {
            fastrand::seed(SEED);
            let selected = positions(&balancer(name), &TaskProfile::default(), &roster, 20_000);
            assert_fair(&format!("{name}, {best:?} are best"), &selected, &best);
        }
        drop(held);
    }
}

#[test]
fn sparse_capabilities_are_not_biased_towards_a_neighbour() {
    // Uneven gaps: taking the next eligible one from a random position would favour those after a
    // gap.
    let eligible = [0, 1, 2, 9, 31, 32, 63];
    let mut builder = Roster::builder();
    for position in 0..64 {
        let capability = if eligible.contains(&position) { "sparse" } else { "dense" };
        builder = builder.worker(WorkerSpec::new(format!("w{position}")).capability(capability));
    }
    let roster = builder.build().unwrap();
    let task = TaskProfile::default().capability(Capability::intern("sparse").unwrap());
    for name in StrategyName::ALL {
        fastrand::seed(SEED);
        let selected = positions(&balancer(name), &task, &roster, 35_000);
        assert_fair(&format!("{name}, sparse"), &selected, &eligible);
    }
}

#[test]
fn sparse_health_is_not_biased_towards_a_neighbour() {
    let eligible = [0, 3, 4, 11];
    let mut roster = alike(12);
    for position in (0..12).filter(|position| !eligible.contains(position)) {
        let health = [Health::Draining, Health::Quarantined, Health::Ejected][position % 3];
        roster = roster.with_health(WorkerId(position as u32), health).unwrap();
    }
    for name in StrategyName::ALL {
        fastrand::seed(SEED);
        let selected = positions(&balancer(name), &TaskProfile::default(), &roster, 20_000);
        assert_fair(&format!("{name}, few healthy"), &selected, &eligible);
    }
}
