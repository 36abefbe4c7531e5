//! The strategies through the public interface: what every one of them promises, and what each
//! promises alone.
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

/// A roster of generalists that are all alike.
fn alike(workers: usize) -> Roster {
    Roster::builder().workers(workers, WorkerSpec::general()).build().unwrap()
}

fn balancer(name: StrategyName) -> Balancer {
    let balancer = Balancer::new(name.build()).unwrap();
    assert_eq!(balancer.strategy().name(), name.as_str());
    balancer
}

/// The positions of so many selections, each given back before the next.
fn positions(balancer: &Balancer, task: &TaskProfile, roster: &Roster, count: usize) -> Vec<usize> {
    (0..count).map(|_| balancer.select(task, roster).unwrap().position()).collect()
}

/// Gives the worker at `position` a task that ended like this.
fn finish_on(roster: &Roster, position: usize, outcome: Outcome, took: Duration) {
    let worker = &roster.members()[position].worker;
    Reservation::take(worker, position, None).unwrap().finish(outcome, took);
}

fn in_flight(roster: &Roster) -> Vec<u64> {
    roster.members().iter().map(|member| member.worker.stats().in_flight()).collect()
}

/// Law 1 at a quiet moment.
fn assert_settled(roster: &Roster) {
    for member in roster.members() {
        let stats = member.worker.stats();
        let ahead = (stats.in_flight(), stats.work_in_flight());
        assert_eq!(ahead, (0, 0), "{}", member.worker.name());
        assert!(stats.counts().is_balanced(), "{}: {:?}", member.worker.name(), stats.counts());
    }
}
