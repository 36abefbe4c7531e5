use std::collections::BTreeSet;

use raddle_core::{Capability, Health, Outcome, Reservation, Roster, TaskProfile, WorkerSpec};
use raddle_strategies::{Balancer, StrategyName, WeightedRoundRobin};
use serde_json::{Value, json};

use crate::{MS, balancer};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn roster() -> Roster {
    let roster = Roster::builder()
        .worker(WorkerSpec::new("gpu").capability("report-vision").weight(4))
        .workers(2, WorkerSpec::general())
        .build()
        .unwrap();
    roster.with_health(roster.members()[2].worker.id(), Health::Ejected).unwrap()
}

#[test]
fn statistics_serialise_with_the_documented_fields() {
    let roster = roster();
    let vision = Capability::intern("report-vision").unwrap();
    let gpu = &roster.members()[0].worker;
    for outcome in [Outcome::Completed, Outcome::Completed, Outcome::Failed] {
        Reservation::take(gpu, 0, Some(vision)).unwrap().finish(outcome, 2 * MS);
    }
    let held = Reservation::take(&roster.members()[1].worker, 1, None).unwrap();

    let stats = Balancer::new(WeightedRoundRobin::fixed()).unwrap().stats(&roster);
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!(keys(&json), BTreeSet::from(["selections", "strategy", "workers"]));
    assert_eq!(
        (&json["strategy"], &json["selections"]),
        (&json!("weighted_round_robin"), &json!(4))
    );
    let workers = json["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 3);
    for worker in workers {
        let expected = [
            "blocked_ns",
            "busy_ns",
            "counts",
            "generation",
            "health",
            "history",
            "id",
            "in_flight",
            "is_blocked",
            "mean_latency_ns",
            "name",
            "on_core_ns",
            "service",
            "share",
            "success_rate",
            "wait",
            "weight",
            "work_in_flight_ns",
        ];
        assert_eq!(keys(worker), BTreeSet::from(expected));
        let percentiles = BTreeSet::from(["max_ns", "p50_ns", "p999_ns", "p99_ns"]);
        assert_eq!(
            (keys(&worker["wait"]), keys(&worker["service"])),
            (percentiles.clone(), percentiles)
        );
        let counts = ["admitted", "cancelled", "completed", "expired", "failed", "panicked"];
        assert_eq!(keys(&worker["counts"]), BTreeSet::from(counts));
    }

    let gpu = &workers[0];
    assert_eq!(gpu["id"], json!(0));
    assert_eq!(gpu["name"], json!("gpu"));
    assert_eq!((&gpu["generation"], &gpu["health"]), (&json!(0), &json!("active")));
    assert_eq!(
        gpu["counts"],
        json!({"admitted": 3, "completed": 2, "failed": 1, "panicked": 0, "expired": 0, "cancelled": 0})
    );
    assert_eq!((&gpu["in_flight"], &gpu["share"]), (&json!(0), &json!(0.75)));
    // Two successes of 2 ms, and a failure that counts as ten times the mean.
    assert_eq!(gpu["mean_latency_ns"], json!(8_000_000));
    assert_eq!(gpu["success_rate"], json!(0.9375));
    assert_eq!((&gpu["weight"], &gpu["busy_ns"]), (&json!(4.0), &json!(6_000_000)));
    assert_eq!(gpu["service"]["max_ns"], json!(2_000_000));
    assert_eq!(gpu["wait"]["max_ns"], json!(0));
    assert_eq!(keys(&gpu["history"]), BTreeSet::from(["", "report-vision"]));
    assert_eq!(gpu["history"][""], json!(1.0));
    let history = gpu["history"]["report-vision"].as_f64().unwrap();
    let expected = [1.2, 1.2, 0.5].iter().fold(1.0, |h, x| h * 0.9 + x * 0.1);
    assert!((history - expected).abs() < 1e-12, "{history} for {expected}");

    let general = &workers[1];
    assert_eq!((&general["in_flight"], &general["share"]), (&json!(1), &json!(0.25)));
    assert_eq!(general["mean_latency_ns"], Value::Null);
    assert_eq!((&workers[2]["health"], &workers[2]["weight"]), (&json!("ejected"), &json!(1.0)));
    drop(held);
}

#[test]
fn only_strategies_with_weights_report_them() {
    let roster = roster();
    for name in StrategyName::ALL {
        let stats = balancer(name).stats(&roster);
        assert_eq!(stats.strategy, name.as_str());
        let weighs = name == StrategyName::WeightedRoundRobin;
        assert!(stats.workers.iter().all(|worker| worker.weight.is_some() == weighs), "{name}");
        assert_eq!((stats.selections, stats.workers[0].share), (0, 0.0), "no share of nothing");
    }
}

#[test]
fn shares_add_up_and_generations_are_counted() {
    let roster = roster();
    let balancer = balancer(StrategyName::RoundRobin);
    for _ in 0..10 {
        let reservation = balancer.select(&TaskProfile::default(), &roster).unwrap();
        reservation.finish(Outcome::Completed, MS);
    }
    assert_eq!(roster.members()[1].worker.next_generation(), 1);
    let stats = balancer.stats(&roster);
    assert_eq!(stats.selections, 10);
    let shares: Vec<_> = stats.workers.iter().map(|worker| worker.share).collect();
    assert_eq!(shares, [0.5, 0.5, 0.0]);
    assert_eq!(stats.workers[1].generation, 1);
}
