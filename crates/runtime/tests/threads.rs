//! The stacks and names of a pool's threads.
mod common;

use std::collections::BTreeSet;

use common::{Do, Obedient, builder, end, watchdog};
use raddle_core::{Priority, WorkerSpec};
use raddle_runtime::{Actor, Context, Handler, Pool, PoolBuilder, SpawnError};
use raddle_strategies::RoundRobin;

/// Returns a byte of its message, and the name of its thread.
struct Last;

impl Actor for Last {}

impl<const BYTES: usize> Handler<[u8; BYTES]> for Last {
    type Reply = (u8, String);

    fn handle(&mut self, message: [u8; BYTES], _: &mut Context<'_, Self>) -> Self::Reply {
        (message[BYTES - 1], std::thread::current().name().unwrap_or_default().to_owned())
    }
}

fn last<const BYTES: usize>(
    builder: PoolBuilder<[u8; BYTES], (u8, String)>,
) -> Pool<[u8; BYTES], (u8, String)> {
    builder
        .workers(1, WorkerSpec::new("w"))
        .mailbox(2, raddle_runtime::Overflow::Block)
        .spawn(|_| Last)
        .unwrap()
}

/// Runs `caller` on a thread with a large stack: in a build without optimisation, a message is passed
/// on by value some sixty times.
fn on_a_large_stack(caller: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(64 << 20).spawn(caller).unwrap().join().unwrap();
}

#[test]
fn a_message_of_64_kib_fits_on_the_stack_of_a_worker() {
    let _watchdog = watchdog();
    const BYTES: usize = 64 << 10;
    on_a_large_stack(|| {
        let pool = last::<BYTES>(Pool::builder("large"));
        assert_eq!(pool.ask([7; BYTES]).wait().unwrap().0, 7);
        let urgent = pool.task([7; BYTES]).priority(Priority::High);
        assert_eq!(urgent.ask().wait().unwrap().0, 7);
        assert_eq!(pool.task([7; BYTES]).key(1).ask().wait().unwrap().0, 7);
        pool.tell([7; BYTES]).unwrap();
        end(&pool);
    });
}

#[test]
fn a_larger_stack_takes_larger_messages() {
    let _watchdog = watchdog();
    const BYTES: usize = 512 << 10;
    on_a_large_stack(|| {
        let pool = last::<BYTES>(Pool::builder("large").stack_size(32 << 20));
        assert_eq!(pool.ask([7; BYTES]).wait().unwrap().0, 7);
        end(&pool);
    });
}

#[test]
fn a_stack_size_out_of_bounds_is_refused_with_the_bounds() {
    let _watchdog = watchdog();
    let sized = |bytes| builder(1).stack_size(bytes).spawn(|_| Obedient::default());
    for bytes in [0, (128 << 10) - 1, (1 << 30) + 1, usize::MAX] {
        let error = sized(bytes).unwrap_err();
        let expected = format!("stack size is {bytes} bytes; 131072 to 1073741824 are allowed");
        assert_eq!(error.to_string(), expected);
    }
    for bytes in [128 << 10, 1 << 30] {
        let pool = sized(bytes).unwrap();
        assert!(pool.ask(Do::WhoAreYou).wait().is_ok());
        end(&pool);
    }
}

/// The names of the threads that run the workers of a pool.
fn names(builder: PoolBuilder<[u8; 1], (u8, String)>, workers: usize) -> BTreeSet<String> {
    let pool = builder
        .workers(workers, WorkerSpec::general())
        .strategy(RoundRobin::new())
        .stealing(false)
        .spawn(|_| Last)
        .unwrap();
    let asks: Vec<_> = (0..workers).map(|_| pool.ask([7])).collect();
    asks.into_iter().map(|ask| ask.wait().unwrap().1).collect()
}

#[test]
fn the_names_of_threads_tell_workers_apart_within_15_bytes() {
    let _watchdog = watchdog();
    let all = names(Pool::builder("image-resizer"), 12);
    assert_eq!(all.len(), 12);
    assert!(all.contains("image-resizer-0") && all.contains("image-resize-11"), "{all:?}");
    assert!(all.iter().all(|name| name.len() <= 15), "{all:?}");
    let short = names(Pool::builder("image-resizer").thread_name("img"), 2);
    assert_eq!(short, ["img-0", "img-1"].map(str::to_owned).into());
    let umlauts = names(Pool::builder("größenänderung"), 1);
    assert_eq!(umlauts, ["größenände-0".to_owned()].into(), "a character is kept or dropped");
    let error = Pool::<[u8; 1], _>::builder("x").worker(WorkerSpec::general()).thread_name("a\0b");
    let error = error.spawn(|_| Last).unwrap_err();
    assert!(matches!(&error, SpawnError::Name { name } if name == "a\0b"), "{error:?}");
}
