//! Tasks with a key under a strategy that knows which workers have run it.
mod common;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Do, ObedientPool, admitted, builder, by, end, watchdog};
use raddle_core::{Clock, VirtualTime};
use raddle_runtime::{Overflow, Pool};
use raddle_strategies::{SlowStart, Strategy, WarmFirst};

const MS: Duration = Duration::from_millis(1);

/// Runs tasks for a millisecond, and for ten if the worker has not run the key.
struct Caches {
    pool: ObedientPool,
    time: VirtualTime,
    known: Arc<Mutex<HashSet<(String, u64)>>>,
}

impl Caches {
    fn of(strategy: impl Strategy + 'static) -> Self {
        let (clock, time) = Clock::simulated();
        time.advance(MS);
        let pool: Pool<_, _> = builder(4)
            .mailbox(64, Overflow::Block)
            .strategy(strategy)
            .clock(clock)
            .spawn(|_| common::Obedient::default())
            .unwrap();
        Self { pool, time, known: Arc::default() }
    }

    /// Runs a task with this key; returns its worker.
    fn run(&self, key: u64) -> String {
        let (time, known) = (self.time.clone(), Arc::clone(&self.known));
        let task = Do::with(move |cx| {
            let new = known.lock().unwrap().insert((cx.worker().name().to_owned(), key));
            time.advance(if new { 10 * MS } else { MS });
        });
        by(admitted(self.pool.task(task).key(key).ask())).unwrap()
    }
}

fn assert_keys_stay(caches: &Caches) {
    // Before the cost of a cold key is known, keys move.
    for key in 0..100 {
        (0..3).for_each(|_| drop(caches.run(key)));
    }
    let mut owners = HashSet::new();
    for key in 1_000..1_200 {
        let owner = caches.run(key);
        assert_eq!([caches.run(key), caches.run(key)], [owner.clone(), owner.clone()], "{key}");
        owners.insert(owner);
    }
    assert_eq!(owners.len(), 4, "and every worker has some");
    end(&caches.pool);
}

#[test]
fn keys_return_to_the_worker_that_has_run_them() {
    let _watchdog = watchdog();
    assert_keys_stay(&Caches::of(WarmFirst::new()));
}

#[test]
fn keys_return_to_it_through_a_wrapper() {
    let _watchdog = watchdog();
    assert_keys_stay(&Caches::of(SlowStart::new(WarmFirst::new()).ramp(Duration::ZERO)));
}
