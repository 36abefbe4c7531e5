//! What is read: the routing, by every dispatch, and the statistics, by who wants a report.

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

/// The snapshot that a pool keeps its roster in: loaded anew, as by `Pool::tell`, and kept at hand, as
/// by a `LocalPool`; alone, and while another thread loads it too.
fn routing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read/routing");
    let snapshot = Snapshot::new(Arc::new(warm_roster(4)));
    let mut kept = snapshot.reader();
    group.bench_function("noop", |bencher| bencher.iter(|| black_box(&snapshot)));
    group.bench_function("load", |bencher| {
        bencher.iter(|| black_box(&snapshot).load().version());
    });
    group.bench_function("kept", |bencher| bencher.iter(|| black_box(&mut kept).load().version()));
    beside(
        || snapshot.load().version(),
        || {
            group.bench_function("load/two", |bencher| {
                bencher.iter(|| black_box(&snapshot).load().version());
            });
        },
    );
    let mut of_other = snapshot.reader();
    beside(
        move || of_other.load().version(),
        || {
            group.bench_function("kept/two", |bencher| {
                bencher.iter(|| black_box(&mut kept).load().version());
            });
        },
    );
    group.finish();
}

/// Of one worker.
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

/// Of all workers: what a report costs the thread that asks for it.
fn reports(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read/report");
    let balancer = Balancer::new(RoundRobin::new());
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
