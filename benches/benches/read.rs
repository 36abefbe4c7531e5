//! Reading the routing, as every dispatch does, and the statistics, as reports do.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion};
use raddle_benches::{beside, criterion, sum_pool, warm_roster};
use raddle_strategies::{Balancer, RoundRobin, StrategyName};
use raddle_sync::Snapshot;

fn main() {
    let mut criterion = criterion();
    routing(&mut criterion);
    statistics(&mut criterion);
    reports(&mut criterion);
    criterion.final_summary();
}

/// Measures the snapshot of a pool's roster: loaded each time, as by `Pool::tell`, and cached, as
/// by a `LocalPool`; alone, and while another thread loads it too.
fn routing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read/routing");
    let snapshot = Snapshot::new(Arc::new(warm_roster(4)));
    let mut cached = snapshot.reader();
    group.bench_function("noop", |bencher| bencher.iter(|| black_box(&snapshot)));
    group.bench_function("load", |bencher| {
        bencher.iter(|| black_box(&snapshot).load().version());
    });
    group
        .bench_function("kept", |bencher| bencher.iter(|| black_box(&mut cached).load().version()));
    beside(
        || snapshot.load().version(),
        || {
            group.bench_function("load/two", |bencher| {
                bencher.iter(|| black_box(&snapshot).load().version());
            });
        },
    );
    let mut others = snapshot.reader();
    beside(
        move || others.load().version(),
        || {
            group.bench_function("kept/two", |bencher| {
                bencher.iter(|| black_box(&mut cached).load().version());
            });
        },
    );
    group.finish();
}

/// Measures the statistics of one worker.
fn statistics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read/statistics");
    let roster = warm_roster(1);
    let stats = roster.members()[0].worker.stats();
    group.bench_function("in_flight", |bencher| bencher.iter(|| black_box(stats.in_flight())));
    group.bench_function("counts", |bencher| bencher.iter(|| black_box(stats.counts())));
    group.bench_function("histogram_p99", |bencher| {
        bencher.iter(|| black_box(stats.service().snapshot().quantile(0.99)));
    });
    group.finish();
}

/// Measures reports on all workers.
fn reports(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read/report");
    let balancer = Balancer::new(RoundRobin::new()).unwrap();
    for workers in [4, 16, 64, 256, 1024] {
        let roster = warm_roster(workers);
        group.bench_function(BenchmarkId::new("balancer", workers), |bencher| {
            bencher.iter(|| balancer.stats(&roster));
        });
    }
    let pool = sum_pool(16, StrategyName::RoundRobin, 64);
    group.bench_function("pool/16", |bencher| bencher.iter(|| pool.stats()));
    group.bench_function("account/16", |bencher| bencher.iter(|| pool.account()));
    group.finish();
}
