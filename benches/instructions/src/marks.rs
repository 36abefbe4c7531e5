//! Functions at which callgrind starts and stops counting. It finds them by their names.

use std::hint::black_box;

/// The repetitions of each step: enough that the marks add less than a tenth of an instruction.
pub(crate) const TIMES: usize = 10_000;

/// Starts counting (`--zero-before`), on the calling thread.
#[inline(never)]
pub(crate) fn instructions_begin() {
    // Not the number below, or the compiler would merge the two functions.
    black_box(1);
}

/// Stops counting (`--dump-before`).
#[inline(never)]
pub(crate) fn instructions_end() {
    black_box(2);
}

/// Counts [`TIMES`] calls of `step` on this thread.
pub(crate) fn count(name: &str, mut step: impl FnMut()) {
    // The first call is not counted, as it may initialize something.
    step();
    count_each(name, 0..TIMES, |_| step());
}

/// Counts one call of `step` for each of the [`TIMES`] things.
pub(crate) fn count_each<T>(name: &str, things: impl Iterator<Item = T>, step: impl FnMut(T)) {
    instructions_begin();
    things.for_each(step);
    instructions_end();
    println!("{name}");
}
