//! A selection whose reservation is released, by strategy and number of workers:
//!
//! - `hot`: no other thread writes the cache lines of the statistics;
//! - `dirty`: another thread writes them;
//! - `two`: another thread selects from the same roster by the same strategy;
//! - `key`: the task has a key;
//! - `refresh`: preparing a roster, which no selection does;
//! - `slow_start`: with slow start.

mod by_key;
mod refresh;
mod slow_start;

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use raddle_benches::{beside, criterion, warm_roster, while_written};
use raddle_core::{Reservation, Roster, TaskProfile};
use raddle_strategies::{Balancer, StrategyName};

const WORKERS: [usize; 5] = [4, 16, 64, 256, 1024];

fn main() {
    let mut criterion = criterion();
    base(&mut criterion);
    let mut hot = criterion.benchmark_group("select/hot");
    each(|balancer, roster| select(&mut hot, balancer, roster));
    hot.finish();
    let mut dirty = criterion.benchmark_group("select/dirty");
    each(|balancer, roster| while_written(roster, || select(&mut dirty, balancer, roster)));
    dirty.finish();
    let mut two = criterion.benchmark_group("select/two");
    each(|balancer, roster| {
        let task = TaskProfile::default();
        let other = || select_once(balancer, &task, roster);
        beside(other, || select(&mut two, balancer, roster));
    });
    two.finish();
    let mut keyed = criterion.benchmark_group("select/key");
    WORKERS.iter().for_each(|workers| by_key::by_key(&mut keyed, *workers));
    keyed.finish();
    let mut refreshed = criterion.benchmark_group("refresh");
    [1_000, 2_000, 4_000].iter().for_each(|workers| refresh::refresh(&mut refreshed, *workers));
    refreshed.finish();
    slow_start::slow_start(&mut criterion);
    criterion.final_summary();
}

/// Measures what all figures include: the loop, and a reservation without selection.
fn base(criterion: &mut Criterion) {
    let roster = warm_roster(4);
    let task = TaskProfile::default();
    let mut group = criterion.benchmark_group("select/base");
    group.bench_function("noop", |bencher| bencher.iter(|| black_box(&task)));
    let worker = &roster.members()[0].worker;
    group.bench_function("reservation", |bencher| {
        bencher.iter(|| drop(black_box(Reservation::take(black_box(worker), 0, None))));
    });
    let clock = roster.clock();
    group.bench_function("clock", |bencher| bencher.iter(|| black_box(clock.now())));
    group.finish();
}

/// Calls `measure` for each strategy and number of workers, with a refreshed balancer.
fn each(mut measure: impl FnMut(&Balancer, &Roster)) {
    for name in StrategyName::ALL {
        for workers in WORKERS {
            let roster = warm_roster(workers);
            if name == StrategyName::LeastWork {
                add_work(&roster);
            }
            let balancer = Balancer::new(name.build()).unwrap();
            balancer.refresh(&roster);
            measure(&balancer, &roster);
        }
    }
}

/// Adds two tasks with expected durations to each worker, which runs the first.
fn add_work(roster: &Roster) {
    for (position, member) in roster.members().iter().enumerate() {
        let expected = 1_000_000 + position as u64;
        for _ in 0..2 {
            let reservation = Reservation::take(&member.worker, position, None);
            let _ = reservation.map(|reservation| reservation.expecting(expected).hand_over());
        }
        if let Some(mut recorder) = member.worker.recorder() {
            recorder.start(roster.clock().now());
            recorder.set_running(expected);
        }
    }
}

/// Selects and releases. The reservation as a whole is not passed to `black_box`: storing it takes
/// longer than the selection.
#[inline]
fn select_once(balancer: &Balancer, task: &TaskProfile, roster: &Roster) -> Option<usize> {
    let selected = balancer.select(black_box(task), black_box(roster));
    selected.ok().map(|reservation| reservation.position())
}

fn select(group: &mut BenchmarkGroup<'_, WallTime>, balancer: &Balancer, roster: &Roster) {
    let (name, workers) = (balancer.strategy().name(), roster.members().len());
    let task = TaskProfile::default();
    group.bench_function(BenchmarkId::new(name, workers), |bencher| {
        bencher.iter(|| select_once(balancer, &task, roster));
    });
    if balancer.strategy().reads_age() {
        let timed = task.submitted_at(roster.clock().now());
        group.bench_function(BenchmarkId::new(format!("{name}/timed"), workers), |bencher| {
            bencher.iter(|| select_once(balancer, &timed, roster));
        });
    }
}
