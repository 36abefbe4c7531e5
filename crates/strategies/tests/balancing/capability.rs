use std::time::Duration;

use raddle_core::{Capability, FastThreshold, Outcome, Roster, TaskProfile, Tracking, WorkerSpec};
use raddle_strategies::{Balancer, BalancerConfig, CapabilityBest};

use crate::{MS, assert_settled};

const US: Duration = Duration::from_micros(1);

/// Creates a roster of a specialist for `capability` and a generalist.
fn pair(capability: &str, tracking: Tracking) -> (Roster, TaskProfile) {
    let roster = Roster::builder()
        .worker(WorkerSpec::new("specialist").capability(capability))
        .worker(WorkerSpec::new("generalist"))
        .tracking(tracking)
        .build()
        .unwrap();
    (roster, TaskProfile::default().capability(Capability::intern(capability).unwrap()))
}

fn reported(balancer: &Balancer, roster: &Roster, position: usize, capability: &str) -> f64 {
    balancer.stats(roster).workers[position].history[capability]
}

/// Returns the specialist's score.
fn specialist_score(roster: &Roster, task: &TaskProfile) -> f64 {
    let candidates = roster.candidates(task.capability);
    CapabilityBest::score(candidates.signals_at(0).unwrap()).into()
}

/// Ends tasks of the idle specialist; each entry is an outcome, a time and the expected sample.
fn follow(
    balancer: &Balancer,
    (roster, task): &(Roster, TaskProfile),
    decay: f64,
    steps: &[(Outcome, Duration, f64)],
) {
    let capability = task.capability.unwrap();
    let mut history = 1.0;
    for (outcome, took, sample) in steps {
        let score = specialist_score(roster, task);
        assert!((score - 1.0 * 2.0 * history * 1.0).abs() < 1e-6, "idle: {score}");
        let reservation = balancer.select(task, roster).unwrap();
        assert_eq!(reservation.worker().name(), "specialist");
        let score = specialist_score(roster, task);
        assert!((score - 1.0 * 2.0 * history * 0.5).abs() < 1e-6, "busy: {score}");
        reservation.finish(*outcome, *took);
        history = history * decay + sample * (1.0 - decay);
        let found = reported(balancer, roster, 0, capability.name());
        assert!((found - history).abs() < 1e-12, "{found} for {history} after {took:?}");
    }
    assert_eq!(reported(balancer, roster, 0, ""), 1.0, "without a capability it did nothing");
    assert_settled(roster);
}

#[test]
fn a_record_by_id_counts_for_the_tasks_capability_and_duration() {
    let (roster, task) = pair("by-id", Tracking::default());
    let task = task.expected_duration(7 * US);
    let balancer = BalancerConfig::default().build().unwrap();
    let taken = balancer.select(&task, &roster).unwrap();
    let position = taken.position();
    let worker = taken.detach();
    let stats = roster.members()[position].worker.stats();
    assert_eq!(stats.work_in_flight(), 7_000);
    balancer.record(&roster, worker, &task, Outcome::Failed, 3 * MS).unwrap();
    assert_eq!((stats.work_in_flight(), stats.busy_time()), (0, Duration::from_millis(3)));
    let history = |capability| (stats.history(capability) - 0.95).abs() < 1e-6;
    assert!(history(task.capability) && !history(None), "a tenth of the way from 1 to 0.5");
}

#[test]
fn scores_are_the_numbers_of_the_rule_by_a_fixed_threshold() {
    let config: BalancerConfig = "capability_best,fast_threshold=10us".parse().unwrap();
    let pair = pair("capability-fixed", config.tracking());
    follow(
        &config.build().unwrap(),
        &pair,
        0.9,
        &[
            (Outcome::Completed, 9 * US, 1.5),
            (Outcome::Completed, 10 * US, 1.2),
            (Outcome::Completed, 11 * US, 1.2),
            (Outcome::Failed, US, 0.5),
            (Outcome::Panicked, US, 0.5),
            (Outcome::Completed, Duration::ZERO, 1.5),
        ],
    );
}

#[test]
fn scores_are_the_numbers_of_the_rule_by_the_pools_mean() {
    let config: BalancerConfig = "capability_best,fast_threshold=pool_mean".parse().unwrap();
    let pair = pair("capability-mean", config.tracking());
    follow(
        &config.build().unwrap(),
        &pair,
        0.9,
        &[
            (Outcome::Failed, US, 0.5),
            // The first success has no mean to be faster than, and becomes the mean.
            (Outcome::Completed, 10 * MS, 1.2),
            (Outcome::Completed, 9 * MS, 1.5),
            (Outcome::Completed, 10 * MS, 1.2),
            (Outcome::Completed, 11 * MS, 1.2),
            (Outcome::Failed, MS, 0.5),
            (Outcome::Completed, 9 * MS, 1.5),
        ],
    );
    let (roster, task) = &pair;
    let mean = roster.baseline().mean_for(task.capability).unwrap();
    assert!((mean - 9.8e6).abs() < 1.0, "of five: {mean}");
}

#[test]
fn the_decay_is_that_of_the_configuration() {
    let config: BalancerConfig =
        "capability_best,history_decay=0.25,fast_threshold=1ms".parse().unwrap();
    let pair = pair("capability-decay", config.tracking());
    let steps =
        [(Outcome::Completed, US, 1.5), (Outcome::Completed, MS, 1.2), (Outcome::Failed, US, 0.5)];
    follow(&config.build().unwrap(), &pair, 0.25, &steps);
}

#[test]
fn a_busy_specialist_ties_with_an_idle_generalist() {
    const SEED: u64 = 17;
    fastrand::seed(SEED);
    let (roster, task) = pair("capability-tie", Tracking::default());
    let balancer = Balancer::new(CapabilityBest::new()).unwrap();
    let busy = balancer.select(&task, &roster).unwrap();
    assert_eq!(busy.worker().name(), "specialist", "it is idle and names the capability");
    let count = (0..2_000)
        .filter(|_| balancer.select(&task, &roster).unwrap().worker().name() == "specialist")
        .count();
    assert!((900..1_100).contains(&count), "seed {SEED}: {count} of 2000");
    drop(busy);
}

#[test]
fn histories_of_two_capabilities_are_independent() {
    let tracking = Tracking { fast: FastThreshold::Fixed(MS), ..Tracking::default() };
    let roster = Roster::builder()
        .worker(WorkerSpec::new("a").capability("capability-p").capability("capability-q"))
        .worker(WorkerSpec::new("b").capability("capability-p").capability("capability-q"))
        .tracking(tracking)
        .build()
        .unwrap();
    let task = |name| TaskProfile::default().capability(Capability::intern(name).unwrap());
    let (p, q) = (task("capability-p"), task("capability-q"));
    let balancer = Balancer::new(CapabilityBest::new()).unwrap();
    let finish = |task: &TaskProfile, position: usize, outcome| {
        let worker = &roster.members()[position].worker;
        let reservation = raddle_core::Reservation::take(worker, position, task.capability);
        reservation.unwrap().finish(outcome, US);
    };
    finish(&p, 0, Outcome::Completed);
    finish(&q, 0, Outcome::Failed);
    fastrand::seed(17);
    for _ in 0..50 {
        assert_eq!(balancer.select(&p, &roster).unwrap().worker().name(), "a", "seed 17");
        assert_eq!(balancer.select(&q, &roster).unwrap().worker().name(), "b", "seed 17");
    }
    let history = |position, name| reported(&balancer, &roster, position, name);
    assert!((history(0, "capability-p") - 1.05).abs() < 1e-12);
    assert!((history(0, "capability-q") - 0.95).abs() < 1e-12);
    assert_eq!((history(1, "capability-p"), history(1, "capability-q")), (1.0, 1.0));
}

#[test]
fn with_tracking_off_only_match_and_status_count() {
    let config: BalancerConfig = "capability_best,tracking_enabled=false".parse().unwrap();
    let (roster, task) = pair("capability-off", config.tracking());
    let balancer = config.build().unwrap();
    for _ in 0..20 {
        let reservation = balancer.select(&task, &roster).unwrap();
        assert_eq!(reservation.worker().name(), "specialist");
        reservation.finish(Outcome::Failed, MS);
    }
    assert_eq!(reported(&balancer, &roster, 0, "capability-off"), 1.0);
    assert_eq!(balancer.stats(&roster).workers[0].counts.failed, 20, "counts are always kept");
    assert_eq!(balancer.stats(&roster).workers[0].mean_latency, None);
}
