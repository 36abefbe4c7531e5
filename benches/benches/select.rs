//! A selection with its reservation given back, by strategy and number of workers: on lines that
//! nobody else writes (`hot`), and while another thread writes them (`dirty`).

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use raddle_benches::{criterion, warm_roster, while_written};
use raddle_core::{Reservation, Roster, TaskProfile};
use raddle_strategies::{Balancer, StrategyName};

const WORKERS: [usize; 5] = [4, 16, 64, 256, 1024];

fn main() {
    let mut criterion = criterion();
    base(&mut criterion);
    let mut hot = criterion.benchmark_group("select/hot");
    each(|name, roster| select(&mut hot, name, roster));
    hot.finish();
    let mut dirty = criterion.benchmark_group("select/dirty");
    each(|name, roster| while_written(roster, || select(&mut dirty, name, roster)));
    dirty.finish();
    criterion.final_summary();
}

/// What is in every figure: the loop alone, and the reservation of a worker that needs no
/// selection.
fn base(criterion: &mut Criterion) {
    let roster = warm_roster(4);
    let task = TaskProfile::default();
    let mut group = criterion.benchmark_group("select/base");
    group.bench_function("noop", |bencher| bencher.iter(|| black_box(&task)));
    let worker = &roster.workers()[0].worker;
    group.bench_function("reservation", |bencher| {
        bencher.iter(|| drop(black_box(Reservation::take(black_box(worker), 0, None))));
    });
    let clock = roster.clock();
    group.bench_function("clock", |bencher| bencher.iter(|| black_box(clock.now())));
    group.finish();
}

fn each(mut measure: impl FnMut(StrategyName, &Roster)) {
    for name in StrategyName::ALL {
        for workers in WORKERS {
            measure(name, &warm_roster(workers));
        }
    }
}

fn select(group: &mut BenchmarkGroup<'_, WallTime>, name: StrategyName, roster: &Roster) {
    let balancer = Balancer::new(name.build());
    balancer.refresh(roster);
    let task = TaskProfile::default();
    group.bench_function(BenchmarkId::new(name.as_str(), roster.workers().len()), |bencher| {
        // Used, then given back. As a whole it is not put into a black box: its way through memory
        // takes longer than the selection.
        bencher.iter(|| {
            let selected = balancer.select(black_box(&task), black_box(roster));
            selected.map(|reservation| reservation.position())
        });
    });
}
