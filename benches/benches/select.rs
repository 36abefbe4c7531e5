//! A selection with its reservation given back, by strategy and number of workers: on lines that
//! nobody else writes (`hot`), and while another thread writes them (`dirty`); by key (`key`); and
//! what slow start adds to one, where nobody is new and where all are (`slow_start`).

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use raddle_benches::{criterion, give_sizes, warm_roster, while_written};
use raddle_core::{Reservation, Roster, TaskProfile};
use raddle_strategies::{Balancer, BoundedHash, Random, SlowStart, Strategy, StrategyName};

const WORKERS: [usize; 5] = [4, 16, 64, 256, 1024];

fn main() {
    let mut criterion = criterion();
    base(&mut criterion);
    let mut hot = criterion.benchmark_group("select/hot");
    each(|strategy, roster| select(&mut hot, strategy, roster));
    hot.finish();
    let mut dirty = criterion.benchmark_group("select/dirty");
    each(|strategy, roster| while_written(roster, || select(&mut dirty, strategy, roster)));
    dirty.finish();
    let mut keyed = criterion.benchmark_group("select/key");
    WORKERS.iter().for_each(|workers| by_key(&mut keyed, *workers));
    keyed.finish();
    slow_start(&mut criterion);
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

fn slow_start(criterion: &mut Criterion) {
    const HOUR: Duration = Duration::from_secs(3_600);
    let roster = warm_roster(16);
    let given_at = TaskProfile::default().given_at(roster.clock().now());
    let new = || SlowStart::new(Random::new()).ramp(HOUR);
    let mut group = criterion.benchmark_group("select/slow_start");
    for (name, balancer, task) in [
        ("without", Balancer::new(Random::new()), TaskProfile::default()),
        (
            "nobody_new",
            Balancer::new(SlowStart::new(Random::new()).ramp(Duration::ZERO)),
            TaskProfile::default(),
        ),
        ("all_new", Balancer::new(new()), TaskProfile::default()),
        ("all_new_time_told", Balancer::new(new()), given_at),
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

fn each(mut measure: impl FnMut(Box<dyn Strategy>, &Roster)) {
    for name in StrategyName::ALL {
        for workers in WORKERS {
            let roster = warm_roster(workers);
            if name == StrategyName::LeastWork {
                give_sizes(&roster);
            }
            measure(name.build(), &roster);
        }
    }
}

fn select(group: &mut BenchmarkGroup<'_, WallTime>, strategy: Box<dyn Strategy>, roster: &Roster) {
    let balancer = Balancer::new(strategy);
    balancer.refresh(roster);
    let name = balancer.strategy().name();
    let task = TaskProfile::default();
    group.bench_function(BenchmarkId::new(name, roster.workers().len()), |bencher| {
        // Used, then given back. As a whole it is not put into a black box: its way through memory
        // takes longer than the selection.
        bencher.iter(|| {
            let selected = balancer.select(black_box(&task), black_box(roster));
            selected.map(|reservation| reservation.position())
        });
    });
    if balancer.strategy().reads_age() {
        let timed = task.given_at(roster.clock().now());
        group.bench_function(
            BenchmarkId::new(format!("{name}/timed"), roster.workers().len()),
            |b| {
                b.iter(|| {
                    let selected = balancer.select(black_box(&timed), black_box(roster));
                    selected.map(|reservation| reservation.position())
                });
            },
        );
    }
}

/// Bounded hash by key: where the key's worker is idle, where it is busy and has room, and where it
/// has none.
fn by_key(group: &mut BenchmarkGroup<'_, WallTime>, workers: usize) {
    let roster = warm_roster(workers);
    let balancer = Balancer::new(BoundedHash::new());
    let task = TaskProfile::default().key(7);
    let home = balancer.select(&task, &roster).map_or(0, |reservation| reservation.position());
    let take = |position: usize, times: usize| {
        let worker = &roster.workers()[position].worker;
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
