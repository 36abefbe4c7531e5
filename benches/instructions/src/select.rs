//! Selecting a worker, and the parts that all selections share.

use std::hint::black_box;
use std::sync::Arc;

use raddle_core::{Clock, Reservation, Roster, TaskProfile};
use raddle_strategies::{Balancer, Prepared, RoundRobin, StrategyName, reserve};
use raddle_sync::Snapshot;

use crate::marks::count;
use crate::rosters;

/// Counts an empty loop, a clock reading, a reservation without selection, and loading the snapshot
/// that a selection reads.
pub(crate) fn base() {
    count("base/noop", || {
        black_box(7);
    });
    let clock = Clock::real();
    count("base/clock", || {
        black_box(clock.now());
    });
    let roster = rosters::warm(1);
    let worker = &roster.members()[0].worker;
    count("reserve_release", || {
        let reservation = Reservation::take(black_box(worker), 0, None);
        black_box(reservation.map(|reservation| reservation.position()));
    });
    let snapshot = Snapshot::new(Arc::new(roster));
    count("routing/load", || {
        black_box(&snapshot.load());
    });
    let mut reader = snapshot.reader();
    count("routing/kept", || {
        black_box(reader.load());
    });
}

/// Counts selections as a pool makes them: by a strategy known only at run time, for a task with a
/// submission time. The reservation is released.
pub(crate) fn by_strategy() {
    use StrategyName::{JoinIdle, LeastWork, RoundRobin};
    for name in StrategyName::ALL {
        let roster = if name == LeastWork { rosters::with_work(16) } else { rosters::warm(16) };
        one(name, &roster, TaskProfile::default(), "");
    }
    for name in [RoundRobin, JoinIdle] {
        one(name, &rosters::warm(1024), TaskProfile::default(), "");
    }
    for name in [StrategyName::BoundedHash, StrategyName::WarmFirst] {
        one(name, &rosters::warm(16), TaskProfile::default().key(7), "/key");
    }
    by_balancer();
}

fn one(name: StrategyName, roster: &Roster, task: TaskProfile, suffix: &str) {
    let prepared = Prepared::new(name.build().into(), roster);
    let strategy = &*prepared;
    let task = task.submitted_at(roster.clock().now());
    count(&format!("select/{name}/{}{suffix}", roster.members().len()), || {
        let selected = reserve(black_box(strategy), black_box(&task), black_box(roster));
        let _ = black_box(selected.map(|reservation| reservation.position()));
    });
}

fn by_balancer() {
    let (roster, balancer) = (rosters::warm(16), Balancer::new(RoundRobin::new()).unwrap());
    let task = TaskProfile::default();
    count("select/balancer/round_robin/16", || {
        let selected = black_box(&balancer).select(black_box(&task), black_box(&roster));
        let _ = black_box(selected.map(|reservation| reservation.position()));
    });
}
