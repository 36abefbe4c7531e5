//! Recording the end of a task, as a whole and in parts.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use raddle_benches::{criterion, warm_roster, while_written};
use raddle_core::{Clock, Completion, LatencyRing, Outcome, PeakLatency, Reservation, TaskProfile};
use raddle_strategies::{Balancer, RoundRobin};

const MS: Duration = Duration::from_millis(1);

const END: Completion = Completion {
    wait: 20_000,
    service: 1_000_000,
    at: 1 << 40,
    ..Completion::new(Outcome::Completed)
};

fn main() {
    let mut criterion = criterion();
    base(&mut criterion);
    whole(&mut criterion);
    ring(&mut criterion);
    peak(&mut criterion);
    criterion.final_summary();
}

fn base(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record/base");
    group.bench_function("noop", |bencher| bencher.iter(|| black_box(&END)));
    let real = Clock::real();
    group.bench_function("clock", |bencher| bencher.iter(|| black_box(real.now())));
    let (simulated, _time) = Clock::simulated();
    group.bench_function("clock_simulated", |bencher| bencher.iter(|| black_box(simulated.now())));
    group.finish();
}

/// Measures a task from its reservation to its end.
fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    let roster = warm_roster(1);
    let worker = &roster.members()[0].worker;
    let take = || Reservation::take(worker, 0, None).expect("nobody closes it");

    group.bench_function("take_drop", |bencher| bencher.iter(|| drop(black_box(take()))));
    group.bench_function("take_finish", |bencher| {
        bencher.iter(|| take().finish(black_box(Outcome::Completed), black_box(MS)));
    });
    group.bench_function("take_finish_failed", |bencher| {
        bencher.iter(|| take().finish(black_box(Outcome::Failed), black_box(MS)));
    });
    group.bench_function("take_finish_dirty", |bencher| {
        while_written(&roster, || {
            bencher.iter(|| take().finish(black_box(Outcome::Completed), black_box(MS)));
        });
    });
    let (balancer, task) = (Balancer::new(RoundRobin::new()).unwrap(), TaskProfile::default());
    group.bench_function("take_detach_record", |bencher| {
        bencher.iter(|| {
            let id = take().detach();
            balancer.record(&roster, id, &task, black_box(Outcome::Completed), black_box(MS))
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("record/recorder");
    let mut recorder = worker.recorder().expect("nobody else has it");
    group.bench_function("start", |bencher| bencher.iter(|| recorder.start(black_box(7))));
    group.bench_function("take_start_end", |bencher| {
        bencher.iter(|| {
            let _ = take().detach();
            recorder.start(black_box(7));
            recorder.end(black_box(&END));
        });
    });
    // Without the peak latency, which needs the time of the end.
    let undated = Completion { at: 0, ..END };
    group.bench_function("take_start_end_undated", |bencher| {
        bencher.iter(|| {
            let _ = take().detach();
            recorder.start(black_box(7));
            recorder.end(black_box(&undated));
        });
    });
    let failed = Completion { outcome: Outcome::Failed, ..END };
    group.bench_function("take_start_end_failed", |bencher| {
        bencher.iter(|| {
            let _ = take().detach();
            recorder.start(black_box(7));
            recorder.end(black_box(&failed));
        });
    });
    // An expired task updates everything but the ring and the service histogram.
    let expired = Completion { outcome: Outcome::Expired, ..END };
    group.bench_function("take_end_expired", |bencher| {
        bencher.iter(|| {
            let _ = take().detach();
            recorder.end(black_box(&expired));
        });
    });
    group.finish();
}

fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record/ring");
    for window in [100, 65_536] {
        let ring = LatencyRing::new(window).expect("the window is within its bounds");
        let id = |name| criterion::BenchmarkId::new(name, window);
        group.bench_function(id("push"), |bencher| bencher.iter(|| ring.push(black_box(1_000))));
        group.bench_function(id("push_exclusive"), |bencher| {
            bencher.iter(|| ring.push_exclusive(black_box(1_000)));
        });
        group.bench_function(id("mean"), |bencher| bencher.iter(|| black_box(ring.mean())));
    }
    group.finish();
}

fn peak(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record/peak");
    let peak = PeakLatency::new(Duration::from_secs(1)).expect("the decay is within its bounds");
    let mut now = 1 << 40;
    let mut later = || {
        now += 1_000_000;
        now
    };
    group.bench_function("push", |bencher| bencher.iter(|| peak.push(black_box(1_000), later())));
    group.bench_function("push_exclusive", |bencher| {
        bencher.iter(|| peak.push_exclusive(black_box(1_000), later()));
    });
    group.bench_function("get", |bencher| bencher.iter(|| black_box(peak.get(later()))));
    group.finish();
}
