//! Producers of tasks with keys, which hold that each key's run in order and one at a time.

use std::sync::Arc;
use std::thread;

use raddle_core::WorkerSpec;
use raddle_runtime::Pool;
use raddle_sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::{Do, Obedient, end};

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
        assert_eq!(self.ran.load(Relaxed), number, "out of order");
        // Time for another to come.
        thread::yield_now();
        self.ran.store(number + 1, Relaxed);
        self.busy.store(false, Relaxed);
    }
}

const PRODUCERS: u64 = 3;
const KEYS_EACH: u64 = 8;

/// Gives tasks with keys, and free ones, from several threads while workers come and go, `change`
/// being called in each round; ends the pool.
///
/// # Panics
/// When a task of a key ran out of order or beside another, or was not run.
pub fn assert_kept_while_workers_come_and_go(pool: &Pool<Obedient>, change: impl Fn(usize)) {
    let stop = AtomicBool::new(false);
    let given: u64 = thread::scope(|scope| {
        let produce = |producer: u64| {
            let (stop, mut handle) = (&stop, pool.local());
            scope.spawn(move || {
                let tracks: Vec<_> = (0..KEYS_EACH).map(|_| Arc::new(Track::default())).collect();
                let mut number = 0;
                while !stop.load(Relaxed) {
                    for (key, track) in tracks.iter().enumerate() {
                        let track = Arc::clone(track);
                        let task = handle.task(Do::call(move || track.run(number)));
                        task.key((producer, key)).tell().unwrap();
                    }
                    // Free tasks, to be stolen, go by the same mailboxes.
                    handle.tell(Do::Return(0)).unwrap();
                    if number % 4 == 0 {
                        // Keys without tasks, to be given elsewhere.
                        thread::yield_now();
                    }
                    number += 1;
                }
                (tracks, number)
            })
        };
        let producers: Vec<_> = (0..PRODUCERS).map(produce).collect();
        for round in 0..60 {
            change(round);
            pool.resize([4, 1, 3, 2, 6, 2][round % 6]).unwrap();
            let added = pool.add_worker(WorkerSpec::new(format!("extra-{round}"))).unwrap();
            // Traffic goes on meanwhile.
            assert!(pool.ask(Do::Return(1)).unwrap().wait().is_ok());
            pool.retire_worker(added).unwrap();
        }
        stop.store(true, Relaxed);
        let ended: Vec<_> = producers.into_iter().map(|thread| thread.join().unwrap()).collect();
        end(pool);
        for (tracks, number) in &ended {
            assert!(tracks.iter().all(|track| track.ran.load(Relaxed) == *number), "all were run");
        }
        ended.iter().map(|(_, number)| number).sum()
    });
    let account = pool.account();
    assert_eq!(account.counts.panicked, 0, "each task came in its turn");
    assert_eq!(account.counts.completed, given * (KEYS_EACH + 1) + 60);
}
