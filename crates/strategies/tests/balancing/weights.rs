use raddle_core::{Capability, Outcome, Roster, TaskProfile, WorkerSpec};
use raddle_strategies::{Balancer, StrategyName, WeightedRoundRobin};

use crate::simulated::share;
use crate::{MS, alike, balancer, finish_on, positions};

fn weighted(weights: &[u32]) -> Roster {
    let specs = weights.iter().zip('a'..).map(|(weight, name)| {
        WorkerSpec::new(name.to_string()).weight(*weight).capability("weights-all")
    });
    specs.fold(Roster::builder(), |builder, spec| builder.worker(spec)).build().unwrap()
}

#[test]
fn five_one_one_gives_aabacaa_with_reservations_held_or_released() {
    let roster = weighted(&[5, 1, 1]);
    for balancer in [
        balancer(StrategyName::WeightedRoundRobin),
        Balancer::new(WeightedRoundRobin::fixed()).unwrap(),
        "weighted_round".parse::<raddle_strategies::BalancerConfig>().unwrap().build().unwrap(),
    ] {
        balancer.refresh(&roster);
        let task = TaskProfile::default();
        let held: Vec<_> = (0..21).map(|_| balancer.select(&task, &roster).unwrap()).collect();
        let order: String = held.iter().map(|reservation| reservation.worker().name()).collect();
        assert_round(&order, "aabacaa");
        drop(held);
        let order: String = (0..14)
            .map(|_| balancer.select(&task, &roster).unwrap().worker().name().to_owned())
            .collect();
        assert_round(&order, "aabacaa");
    }
}

/// Asserts that `order` repeats `round`, from any turn on.
fn assert_round(order: &str, round: &str) {
    let turns = round.len();
    assert_eq!(order.len() % turns, 0);
    let starts = (0..turns).map(|start| round.repeat(2)[start..start + turns].to_owned());
    let repeated = |start: String| start.repeat(order.len() / turns);
    assert!(starts.map(repeated).any(|expected| expected == order), "{order} for {round}");
}

#[test]
fn each_group_of_candidates_has_its_own_rotation() {
    let roster = Roster::builder()
        .worker(WorkerSpec::new("a").weight(5).capability("weights-x").capability("weights-y"))
        .worker(WorkerSpec::new("b").weight(1).capability("weights-x"))
        .worker(WorkerSpec::new("c").weight(1).capability("weights-x"))
        .worker(WorkerSpec::new("d").weight(2).capability("weights-y"))
        .build()
        .unwrap();
    let task = |name| TaskProfile::default().capability(Capability::intern(name).unwrap());
    let balancer = balancer(StrategyName::WeightedRoundRobin);
    balancer.refresh(&roster);
    let (mut x, mut y) = (String::new(), String::new());
    for _ in 0..14 {
        x += balancer.select(&task("weights-x"), &roster).unwrap().worker().name();
        y += balancer.select(&task("weights-y"), &roster).unwrap().worker().name();
    }
    assert_round(&x, "aabacaa");
    assert_round(&y, "adaaada");
}

#[test]
fn extreme_weights_are_bounded_and_starve_no_worker() {
    for weights in [
        vec![0, 1, u32::MAX],
        vec![u32::MAX; 4],
        vec![0; 4],
        vec![u32::MAX, 1],
        vec![1; 300],
        (0..200).collect(),
    ] {
        let roster = weighted(&weights);
        let balancer = balancer(StrategyName::WeightedRoundRobin);
        balancer.refresh(&roster);
        let selected = positions(&balancer, &TaskProfile::default(), &roster, 8_192);
        let counts: Vec<_> = (0..weights.len())
            .map(|position| selected.iter().filter(|selected| **selected == position).count())
            .collect();
        assert!(counts.iter().all(|count| *count > 0), "{weights:?}: {counts:?}");
        for (left, right) in weights.iter().zip(&counts).zip(weights.iter().zip(&counts).skip(1)) {
            if left.0 == right.0 {
                assert!(left.1.abs_diff(*right.1) <= 1 + 8_192 / 1_024, "{weights:?}: {counts:?}");
            } else if right.0 > left.0 {
                assert!(right.1 + 1 + 8_192 / 1_024 >= *left.1, "{weights:?}: {counts:?}");
            }
        }
        if weights.contains(&u32::MAX) && weights.iter().any(|weight| *weight < 2) {
            let most = weights.iter().position(|weight| *weight == u32::MAX).unwrap();
            assert!(counts[most] > 8_000, "{weights:?}: {counts:?}");
        }
    }
}

#[test]
fn a_failing_worker_falls_and_recovers() {
    let roster = alike(4);
    let balancer = balancer(StrategyName::WeightedRoundRobin);
    let share_of_first = || {
        balancer.refresh(&roster);
        share(&positions(&balancer, &TaskProfile::default(), &roster, 4_096), 0)
    };
    let all_succeed = || {
        (0..4).for_each(|position| {
            (0..150).for_each(|_| finish_on(&roster, position, Outcome::Completed, MS));
        });
    };
    all_succeed();
    assert!((share_of_first() - 0.25).abs() < 0.0125);
    (0..100).for_each(|_| finish_on(&roster, 0, Outcome::Failed, MS / 100));
    let fallen = share_of_first();
    assert!(fallen > 0.0 && fallen < 0.05, "{fallen}");
    let reported = balancer.stats(&roster).workers[0].weight.unwrap();
    assert!((0.1..0.2).contains(&reported), "{reported}");
    all_succeed();
    assert!((share_of_first() - 0.25).abs() < 0.0125);
}

#[test]
fn weights_follow_speed() {
    let roster = alike(3);
    for (position, millis) in [1, 2, 4].into_iter().enumerate() {
        (0..100).for_each(|_| finish_on(&roster, position, Outcome::Completed, MS * millis));
    }
    let balancer = balancer(StrategyName::WeightedRoundRobin);
    balancer.refresh(&roster);
    let selected = positions(&balancer, &TaskProfile::default(), &roster, 7_000);
    for (position, expected) in [4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0].into_iter().enumerate() {
        let share = share(&selected, position);
        assert!((share - expected).abs() < 0.01, "{position}: {share} for {expected}");
    }
    let fixed = Balancer::new(WeightedRoundRobin::fixed()).unwrap();
    fixed.refresh(&roster);
    let selected = positions(&fixed, &TaskProfile::default(), &roster, 9_000);
    assert!((share(&selected, 2) - 1.0 / 3.0).abs() < 1e-9, "fixed weights learn nothing");
}
