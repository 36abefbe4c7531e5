//! What `raddle advise` may conclude from its data, and what it must not.

#[allow(dead_code, reason = "not every program of tests uses all of it")]
mod common;

use common::{HEADER, json, raddle, text, trace};
use serde_json::Value;
use tempfile::TempDir;

/// A trace of tasks at random times and of random durations, at this load of `--workers=4x1.0`.
fn random_trace(tasks: usize, load: f64) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let mut exponential = |mean: f64| -(1.0 - random.f64()).ln() * mean;
    let mut at = 0.0;
    let mut line = |_| {
        at += exponential(1_000.0 / (4.0 * load));
        format!("{},,{}\n", at as u64, exponential(1_000.0) as u64 + 1)
    };
    HEADER.to_owned() + &(0..tasks).map(&mut line).collect::<String>()
}

/// Advises on a trace; returns the report and what was printed.
fn advise(content: &str, arguments: &[&str]) -> (Value, String) {
    let folder = TempDir::new().unwrap();
    let (trace, file) = (trace(&folder, content), folder.path().join("a.json"));
    let given =
        ["advise", trace.to_str().unwrap(), "--workers=4x1.0", "--json", file.to_str().unwrap()];
    let output = raddle(&[&given[..], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    (json(&file), text(&output.stdout))
}

fn assert_nothing_is_recommended(report: &Value, printed: &str, reason: &str) {
    assert!(report["recommended"].is_null(), "{report}");
    assert!(!printed.contains("Use "), "{printed}");
    let first = report["advice"][0].as_str().unwrap();
    assert!(first.starts_with("No recommendation: ") && first.contains(reason), "{first}");
    assert!(printed.contains(first), "{printed}");
}

#[test]
fn two_requests_are_too_few_for_a_recommendation() {
    for objective in ["p99", "mean", "throughput"] {
        let tasks = format!("{HEADER}0,,1000\n100,,9000\n");
        let (report, printed) = advise(&tasks, &["--objective", objective]);
        assert_nothing_is_recommended(&report, &printed, "2 tasks are too few");
        assert!(printed.contains("at least 1000"), "{printed}");
    }
}

#[test]
fn a_recommendation_uses_the_highest_percentile_with_a_hundred_tasks_beyond_it() {
    let (report, printed) = advise(&random_trace(4_000, 0.9), &["--strategy=all"]);
    assert_eq!((&report["objective"], &report["asked"]), (&"p97".into(), &"p99".into()));
    assert!(printed.contains("p97 ms"), "{printed}");
    let reason = "Ranked by p97 instead of p99: of 4000 tasks, only 40 are beyond p99";
    assert!(printed.contains(reason), "{printed}");
    let best = report["recommended"].as_str().unwrap();
    assert_eq!(report["ranking"][0]["strategy"], best);
    assert!(printed.contains(&format!("Use {best}: its 97th percentile of latency")), "{printed}");

    let (report, _) = advise(&random_trace(12_000, 0.9), &["--seeds=2"]);
    assert_eq!((&report["objective"], &report["asked"]), (&"p99".into(), &"p99".into()));
}

#[test]
fn the_intervals_of_a_trace_cover_its_own_randomness() {
    // Round robin makes no random choice: with every seed, it has the same figure.
    let (report, printed) = advise(&random_trace(2_000, 0.7), &["--objective=mean"]);
    let ranking = report["ranking"].as_array().unwrap();
    let one = ranking.iter().find(|one| one["strategy"] == "round_robin").unwrap();
    let figure = |end: &str| one["objective"][end].as_f64().unwrap();
    let share = (figure("high") - figure("low")) / figure("mean");
    assert!((0.05..2.0).contains(&share), "{one}");
    assert!(report["block_tasks"].as_u64().unwrap() > 1, "{report}");
    assert!(printed.contains("resampled in blocks of"), "{printed}");
}

#[test]
fn an_objective_that_the_load_does_not_exercise_is_reported() {
    let (report, printed) = advise(&random_trace(2_000, 0.6), &["--objective=throughput"]);
    assert_nothing_is_recommended(&report, &printed, "does not exercise throughput");

    // Each task finds every worker idle.
    let apart: String = (0..2_000).map(|n| format!("{},,{}\n", n * 9_000, 1_000 + n % 7)).collect();
    for objective in ["p99", "mean"] {
        let tasks = HEADER.to_owned() + &apart;
        let (report, printed) = advise(&tasks, &["--objective", objective]);
        assert_nothing_is_recommended(&report, &printed, "does not exercise");
    }

    let (report, printed) = advise(&random_trace(2_000, 1.5), &["--objective=throughput"]);
    assert!(!printed.contains("does not exercise"), "{printed}");
    assert!(report["ranking"][0]["throughput_per_s"].as_f64().unwrap() > 3_000.0, "{report}");
}

#[test]
fn a_strategy_alone_is_not_recommended() {
    let (report, printed) = advise(&random_trace(2_000, 0.7), &["--strategy=random"]);
    assert_nothing_is_recommended(&report, &printed, "nothing to compare it with");
}

#[test]
fn boosted_mailboxes_are_offered_beside_the_strategies_where_tasks_tell_their_sizes() {
    // Random arrivals at 70 % load; one task in 50 takes 40 ms, the others 1 ms.
    let mut random = fastrand::Rng::with_seed(7);
    let mut at = 0.0;
    let line = |_| {
        at += -(1.0 - random.f64()).ln() * 1_780.0 / 0.7 / 4.0;
        let service = if random.u8(..50) == 0 { 40_000 } else { 1_000 };
        format!("{at:.0},,{service}\n")
    };
    let tasks = HEADER.to_owned() + &(0..20_000).map(line).collect::<String>();
    let given = ["--objective=mean", "--seeds=2"];
    let (report, printed) =
        advise(&tasks, &[&given[..], &["--strategy=random,random+boost"]].concat());
    assert_eq!(report["recommended"], "random+boost", "{printed}");
    assert!(printed.contains("Give the pool boosted mailboxes (`mailbox_order`)"), "{printed}");
    let names = |arguments: &[&str]| {
        let (report, _) = advise(&tasks, &[&given[..], arguments].concat());
        let ranking = report["ranking"].as_array().unwrap().iter();
        ranking.map(|one| one["strategy"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = names(&["--tasks=2000"]);
    assert_eq!(all.iter().filter(|name| name.ends_with("+boost")).count(), all.len() / 2);
    let unknown = names(&["--tasks=2000", "--durations-unknown"]);
    assert!(unknown.iter().all(|name| !name.contains('+')), "{unknown:?}");
}
