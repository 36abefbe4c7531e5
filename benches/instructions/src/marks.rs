//! Where counting begins and ends: functions that callgrind is told to look for by their names.

use std::hint::black_box;

/// From here on callgrind counts: `--zero-before`. On whichever thread is to be counted.
#[inline(never)]
pub(crate) fn instructions_begin() {
    // Another number than below, or the two were made one function.
    black_box(1);
}

/// Up to here: `--dump-before`.
#[inline(never)]
pub(crate) fn instructions_end() {
    black_box(2);
}

/// Counts `step` taken [`TIMES`](crate::TIMES) times by this thread.
pub(crate) fn count(name: &str, mut step: impl FnMut()) {
    // What the first of them makes is not counted.
    step();
    count_each(name, 0..crate::TIMES, |_| step());
}

/// Counts `step` taken once with each of as many things.
pub(crate) fn count_each<T>(name: &str, things: impl Iterator<Item = T>, step: impl FnMut(T)) {
    instructions_begin();
    things.for_each(step);
    instructions_end();
    println!("{name}");
}
