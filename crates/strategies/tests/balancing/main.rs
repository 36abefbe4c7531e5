//! The strategies through the public interface: the properties that all share, and those of each.
#![cfg(not(loom))]

mod bounded_hash;
mod capability;
mod config;
mod config_model;
mod contention;
mod eligibility;
mod failing;
mod forwarding;
mod idle;
mod latency;
mod least_work;
mod properties;
mod report;
mod sampled;
mod simulated;
mod sources;
mod swap;
mod uniformity;
mod weights;

use std::time::Duration;

use raddle_core::{Outcome, Reservation, Roster, TaskProfile, WorkerSpec};
use raddle_strategies::{Balancer, StrategyName};

const MS: Duration = Duration::from_millis(1);

/// Creates a roster of equal generalists.
fn alike(workers: usize) -> Roster {
    Roster::builder().workers(workers, WorkerSpec::general()).build().unwrap()
}

fn balancer(name: StrategyName) -> Balancer {
    let balancer = Balancer::new(name.build()).unwrap();
    assert_eq!(balancer.strategy().name(), name.as_str());
    balancer
}

/// Returns the positions of `count` selections, each released before the next.
fn positions(balancer: &Balancer, task: &TaskProfile, roster: &Roster, count: usize) -> Vec<usize> {
    (0..count).map(|_| balancer.select(task, roster).unwrap().position()).collect()
}

/// Records a task with this outcome and time at the worker at `position`.
fn finish_on(roster: &Roster, position: usize, outcome: Outcome, took: Duration) {
    let worker = &roster.members()[position].worker;
    Reservation::take(worker, position, None).unwrap().finish(outcome, took);
}

/// Notes that the worker at `position` has just become idle: if it fails, it is not tried again yet.
fn note_idle(roster: &Roster, position: usize) {
    let now = roster.clock().now();
    roster.members()[position].worker.recorder().unwrap().mark_idle(now);
}

fn in_flight(roster: &Roster) -> Vec<u64> {
    roster.members().iter().map(|member| member.worker.stats().in_flight()).collect()
}

/// Asserts law 1 while nothing is in flight.
fn assert_settled(roster: &Roster) {
    for member in roster.members() {
        let stats = member.worker.stats();
        let ahead = (stats.in_flight(), stats.work_in_flight());
        assert_eq!(ahead, (0, 0), "{}", member.worker.name());
        assert!(stats.counts().is_balanced(), "{}: {:?}", member.worker.name(), stats.counts());
    }
}
