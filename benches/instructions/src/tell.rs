//! A task without a reply: the caller's side and the worker's.

use std::hint::black_box;

use crate::actor::PausablePool;
use crate::marks::{TIMES, count};

/// Counts submitting by a `LocalPool` and by the pool itself, and the worker's part.
pub(crate) fn all() {
    let pausable = PausablePool::new();
    pausable.pause();
    let mut local = pausable.pool.local();
    count("tell/caller", || local.tell(black_box(7)).expect("there is room"));
    pausable.resume();

    pausable.pause();
    count("tell/caller/without_handle", || {
        pausable.pool.tell(black_box(7)).expect("there is room");
    });
    pausable.resume();

    pausable.pause();
    pausable.begin();
    (0..TIMES).for_each(|_| local.tell(7).expect("there is room"));
    pausable.count("tell/worker");
    drop(local);
    pausable.close();

    let pausable = PausablePool::new_async();
    let mut local = pausable.pool.local();
    pausable.pause();
    pausable.begin();
    (0..TIMES).for_each(|_| local.tell(7).expect("there is room"));
    pausable.count("tell/worker/async");
    drop(local);
    pausable.close();
}
