//! A task without an answer: the caller's side and the worker's.

use std::hint::black_box;

use crate::TIMES;
use crate::actor::Held;
use crate::marks::count;

/// By a handle, by the pool itself, and what the worker does of it.
pub(crate) fn all() {
    let held = Held::new();
    held.hold();
    let mut handle = held.pool.local();
    count("tell/caller", || handle.tell(black_box(7)).expect("there is room"));
    held.release();

    held.hold();
    count("tell/caller/without_handle", || {
        held.pool.tell(black_box(7)).expect("there is room");
    });
    held.release();

    held.hold();
    held.begin();
    (0..TIMES).for_each(|_| handle.tell(7).expect("there is room"));
    held.count("tell/worker");
    drop(handle);
    held.close();
}
