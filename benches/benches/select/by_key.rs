//! Bounded hash with a key.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use raddle_benches::warm_roster;
use raddle_core::{Reservation, TaskProfile};
use raddle_strategies::{Balancer, BoundedHash};

/// Measures a key whose worker is idle, is busy but below its bound, and is at its bound.
pub(crate) fn by_key(group: &mut BenchmarkGroup<'_, WallTime>, workers: usize) {
    let roster = warm_roster(workers);
    let balancer = Balancer::new(BoundedHash::new()).unwrap();
    let task = TaskProfile::default().key(7);
    let home = balancer.select(&task, &roster).map_or(0, |reservation| reservation.position());
    let take = |position: usize, times: usize| {
        let worker = &roster.members()[position].worker;
        (0..times).filter_map(|_| Reservation::take(worker, position, None)).collect::<Vec<_>>()
    };
    let others = (0..workers).filter(|position| *position != home);
    let mut select = |state: &str| {
        group.bench_function(BenchmarkId::new(state, workers), |bencher| {
            bencher.iter(|| {
                let selected = balancer.select(black_box(&task), black_box(&roster));
                selected.map(|reservation| reservation.position())
            });
        });
    };
    select("idle");
    let _all_alike: Vec<_> = others.chain([home]).flat_map(|position| take(position, 2)).collect();
    select("room");
    let _hot = take(home, 2);
    select("full");
}
