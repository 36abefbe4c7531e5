//! Producers of tasks with keys, which check that tasks of one key run in order and one at a time.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use raddle_core::WorkerSpec;
use raddle_sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::{Do, ObedientPool, end, number};

/// What the tasks of one key share.
#[derive(Default)]
struct Track {
    busy: AtomicBool,
    ran: AtomicU64,
}

impl Track {
    /// Panics unless it is the task's turn.
    fn run(&self, number: u64) {
        assert!(!self.busy.swap(true, Relaxed), "task {number} runs beside another of its key");
        assert_eq!(self.ran.load(Relaxed), number, "a task runs out of order");
        // A chance for another task to interfere.
        thread::yield_now();
        self.ran.store(number + 1, Relaxed);
        self.busy.store(false, Relaxed);
    }
}

const PRODUCERS: u64 = 3;
const KEYS_EACH: u64 = 8;
const ROUNDS: usize = 60;

/// Sends tasks with and without keys from several threads while workers join and leave, and calls
/// `change` in each round. Shuts the pool down.
///
/// # Panics
/// If tasks of one key ran out of order or at the same time, or a task did not run.
pub fn assert_kept_while_workers_come_and_go(pool: &ObedientPool, change: impl Fn(usize)) {
    let stop = AtomicBool::new(false);
    let sent_per_key: u64 = thread::scope(|scope| {
        let produce = |producer: u64| {
            let (stop, mut handle) = (&stop, pool.local());
            scope.spawn(move || {
                let tracks: Vec<_> = (0..KEYS_EACH).map(|_| Arc::new(Track::default())).collect();
                let mut number = 0;
                while !stop.load(Relaxed) {
                    for (key, track) in tracks.iter().enumerate() {
                        let track = Arc::clone(track);
                        let task = handle.task(Do::call(move || track.run(number)));
                        // Of every size, for mailboxes that go by it.
                        let expected = Duration::from_nanos(1 << (number * 7 % 24));
                        let task = task.key((producer, key)).expected_duration(expected);
                        task.tell().unwrap();
                    }
                    // A task without a key, which may be stolen from the same mailboxes.
                    handle.tell(Do::Return(0)).unwrap();
                    if number % 4 == 0 {
                        // Leaves time for keys to run out of tasks, so that they can move.
                        thread::yield_now();
                    }
                    number += 1;
                }
                (tracks, number)
            })
        };
        let producers: Vec<_> = (0..PRODUCERS).map(produce).collect();
        for round in 0..ROUNDS {
            change(round);
            pool.resize([4, 1, 3, 2, 6, 2][round % 6]).unwrap();
            let added = pool.add_worker(WorkerSpec::new(format!("extra-{round}"))).unwrap();
            assert_eq!(number(pool.ask(Do::Return(1))), 1, "the pool serves meanwhile");
            pool.retire_worker(added).unwrap();
        }
        stop.store(true, Relaxed);
        let ended: Vec<_> = producers.into_iter().map(|thread| thread.join().unwrap()).collect();
        end(pool);
        for (tracks, number) in &ended {
            let all_ran = tracks.iter().all(|track| track.ran.load(Relaxed) == *number);
            assert!(all_ran, "every task ran");
        }
        ended.iter().map(|(_, number)| number).sum()
    });
    let account = pool.account();
    assert_eq!(account.counts.panicked, 0, "each task ran in its turn");
    assert_eq!(account.counts.completed, sent_per_key * (KEYS_EACH + 1) + ROUNDS as u64);
}
