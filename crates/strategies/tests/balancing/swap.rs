use raddle_core::{Outcome, TaskProfile};
use raddle_strategies::{Balancer, StrategyName};

use crate::{MS, alike, assert_settled, balancer, finish_on, in_flight, positions};

#[test]
fn a_swap_keeps_statistics_and_tasks_in_flight() {
    let roster = alike(3);
    let task = TaskProfile::default();
    let first = balancer(StrategyName::RoundRobin);
    let mut held = Vec::new();
    for number in 0..300 {
        let reservation = first.select(&task, &roster).unwrap();
        let millis = [1, 5, 9][reservation.position()];
        if number < 297 {
            reservation.finish(Outcome::Completed, MS * millis);
        } else {
            held.push(reservation);
        }
    }
    let learnt = first.stats(&roster);
    for name in StrategyName::ALL {
        let next = balancer(name);
        let stats = next.stats(&roster);
        assert_eq!((stats.strategy, stats.selections), (name.as_str(), 300));
        for (before, after) in learnt.workers.iter().zip(&stats.workers) {
            assert_eq!(before.mean_latency, after.mean_latency, "{name}");
            assert_eq!((before.counts, before.in_flight), (after.counts, after.in_flight));
            assert_eq!((before.service, &before.history), (after.service, &after.history));
        }
    }
    assert_eq!(in_flight(&roster), [1; 3]);
    drop(held);

    let latency = balancer(StrategyName::LatencyBased);
    assert_eq!(
        positions(&latency, &task, &roster, 20),
        [0; 20],
        "it knows the fastest worker at once"
    );
    let weighted = balancer(StrategyName::WeightedRoundRobin);
    weighted.refresh(&roster);
    let selected = positions(&weighted, &task, &roster, 1_000);
    let count = |position| selected.iter().filter(|selected| **selected == position).count();
    assert!(count(0) > 3 * count(1) && count(1) > count(2) && count(2) > 0);
    assert_settled(&roster);
}

#[test]
fn two_strategies_over_one_roster_see_each_others_reservations() {
    let roster = alike(4);
    let task = TaskProfile::default();
    let (rotation, load) =
        (balancer(StrategyName::RoundRobin), balancer(StrategyName::LeastLoaded));
    let mut held: Vec<_> = (0..3).map(|_| rotation.select(&task, &roster).unwrap()).collect();
    let fourth = load.select(&task, &roster).unwrap();
    held.push(fourth);
    assert_eq!(in_flight(&roster), [1; 4]);
}

#[test]
fn a_strategy_taken_out_of_its_balancer_continues() {
    let roster = alike(3);
    let task = TaskProfile::default();
    let balancer = balancer(StrategyName::RoundRobin);
    let first = positions(&balancer, &task, &roster, 2);
    let again = Balancer::new(balancer.into_strategy()).unwrap();
    let then = positions(&again, &task, &roster, 2);
    let next = |position: usize| (position + 1) % 3;
    assert_eq!(first[1], next(first[0]));
    assert_eq!(then, [next(first[1]), first[0]]);
}

#[test]
fn rosters_share_nothing() {
    let (left, right) = (alike(2), alike(2));
    finish_on(&left, 0, Outcome::Completed, MS);
    let held = balancer(StrategyName::Random).select(&TaskProfile::default(), &left).unwrap();
    assert_eq!(right.baseline().mean(), None);
    assert_eq!(in_flight(&right), [0, 0]);
    assert!(right.members()[0].worker.stats().latencies().mean().is_none());
    drop(held);
}
