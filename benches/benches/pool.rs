//! A task through a pool, without and with a reply, compared with the channel alone.

use std::hint::black_box;

use criterion::Criterion;
use raddle_benches::{criterion, sum_pool};
use raddle_runtime::Drain;
use raddle_strategies::StrategyName;
use raddle_sync::channel;

const MAILBOX: usize = 1024;

fn main() {
    let mut criterion = criterion();
    tell(&mut criterion);
    ask(&mut criterion);
    criterion.final_summary();
}

/// Measures a steady stream, and so the slower of the two sides.
fn tell(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tell");
    group.bench_function("crossbeam", |bencher| {
        let (sender, receiver) = channel::bounded::<u64>(MAILBOX);
        let worker = std::thread::spawn(move || receiver.iter().fold(0, u64::wrapping_add));
        bencher.iter(|| sender.send(black_box(7)).expect("the receiver exists"));
        drop(sender);
        black_box(worker.join().expect("adding does not panic"));
    });
    for workers in [1, 4] {
        for name in StrategyName::ALL {
            let pool = sum_pool(workers, name, MAILBOX);
            let mut local = pool.local();
            group.bench_function(format!("{name}/{workers}"), |bencher| {
                bencher.iter(|| local.tell(black_box(7)).expect("the pool is open"));
            });
            let account = pool.shutdown(Drain::all()).expect("there is no limit");
            assert!(account.is_balanced());
        }
    }
    let pool = sum_pool(1, StrategyName::RoundRobin, MAILBOX);
    group.bench_function("round_robin/1/without_handle", |bencher| {
        bencher.iter(|| pool.tell(black_box(7)).expect("the pool is open"));
    });
    group.finish();
}

/// Measures consecutive asks of one thread.
fn ask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ask");
    group.bench_function("crossbeam", |bencher| {
        let (sender, receiver) = channel::bounded::<u64>(MAILBOX);
        let (reply, replies) = channel::bounded::<u64>(1);
        let worker = std::thread::spawn(move || receiver.iter().try_for_each(|n| reply.send(n)));
        bencher.iter(|| {
            sender.send(black_box(7)).expect("the receiver exists");
            replies.recv().expect("the worker replies")
        });
        drop(sender);
        worker.join().expect("sending does not panic").expect("the caller exists");
    });
    let pool = sum_pool(1, StrategyName::RoundRobin, MAILBOX);
    let mut local = pool.local();
    group.bench_function("round_robin/1", |bencher| {
        bencher.iter(|| local.ask(black_box(7)).wait().expect("the pool is open"));
    });
    group.finish();
}
