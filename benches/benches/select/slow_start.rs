//! The cost that slow start adds to a selection when no worker is new and when all are.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use raddle_benches::warm_roster;
use raddle_core::TaskProfile;
use raddle_strategies::{Balancer, Random, SlowStart};

/// Measures random selection among 16 workers.
pub(crate) fn slow_start(criterion: &mut Criterion) {
    const HOUR: Duration = Duration::from_secs(3_600);
    let roster = warm_roster(16);
    let submitted_at = TaskProfile::default().submitted_at(roster.clock().now());
    let new = || SlowStart::new(Random::new()).ramp(HOUR);
    let mut group = criterion.benchmark_group("select/slow_start");
    for (name, balancer, task) in [
        ("without", Balancer::new(Random::new()).unwrap(), TaskProfile::default()),
        (
            "nobody_new",
            Balancer::new(SlowStart::new(Random::new()).ramp(Duration::ZERO)).unwrap(),
            TaskProfile::default(),
        ),
        ("all_new", Balancer::new(new()).unwrap(), TaskProfile::default()),
        ("all_new_time_told", Balancer::new(new()).unwrap(), submitted_at),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let selected = balancer.select(black_box(&task), black_box(&roster));
                selected.map(|reservation| reservation.position())
            });
        });
    }
    group.finish();
}
