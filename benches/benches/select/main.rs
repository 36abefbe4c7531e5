//! A selection with its reservation given back, by strategy and number of workers: on lines that
//! nobody else writes (`hot`), while another thread writes them (`dirty`), and while another thread
//! selects from the same roster by the same strategy (`two`); by key (`key`); and what slow start adds
//! to one (`slow_start`).

mod by_key;
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
    slow_start::slow_start(&mut criterion);
    criterion.final_summary();
}

/// What is in every figure: the loop alone, and the reservation of a worker that needs no
/// selection.
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

/// For each strategy and number of workers, a balancer and a roster that it has been refreshed with.
fn each(mut measure: impl FnMut(&Balancer, &Roster)) {
    for name in StrategyName::ALL {
        for workers in WORKERS {
            let roster = warm_roster(workers);
            if name == StrategyName::LeastWork {
                give_sizes(&roster);
            }
            let balancer = Balancer::new(name.build());
            balancer.refresh(&roster);
            measure(&balancer, &roster);
        }
    }
}

/// Lets each worker have two tasks with sizes, and run the first.
fn give_sizes(roster: &Roster) {
    for (position, member) in roster.members().iter().enumerate() {
        let size = 1_000_000 + position as u64;
        for _ in 0..2 {
            let place = Reservation::take(&member.worker, position, None);
            let _ = place.map(|place| place.expecting(size).hand_over());
        }
        if let Some(mut recorder) = member.worker.recorder() {
            recorder.start(roster.clock().now());
            recorder.set_running(size);
        }
    }
}

/// Used, then given back. As a whole it is not put into a black box: its way through memory takes
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
