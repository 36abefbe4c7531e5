//! Preparing weighted round robin for a roster whose workers all differ, which a pool does once a
//! second and for each new roster.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use raddle_core::{Outcome, Reservation, Roster, WorkerSpec};
use raddle_strategies::{Balancer, WeightedRoundRobin};

pub(crate) fn refresh(group: &mut BenchmarkGroup<'_, WallTime>, workers: usize) {
    let Ok(roster) = Roster::builder().workers(workers, WorkerSpec::general()).build() else {
        return;
    };
    for (position, member) in roster.members().iter().enumerate() {
        for _ in 0..100 {
            let took = Duration::from_micros(100 + position as u64);
            let reservation = Reservation::take(&member.worker, position, None);
            if let Some(reservation) = reservation {
                reservation.finish(Outcome::Completed, took);
            }
        }
    }
    let Ok(balancer) = Balancer::new(WeightedRoundRobin::new()) else { return };
    group.bench_function(BenchmarkId::new("weighted_round_robin", workers), |bencher| {
        bencher.iter(|| black_box(&balancer).refresh(black_box(&roster)));
    });
}
