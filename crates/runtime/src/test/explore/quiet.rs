use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::payload;

thread_local! {
    /// Whether the panics of this thread are not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs what may panic, often and on purpose, without printing it.
///
/// # Errors
/// The message of a panic.
pub(super) fn quietly(code: impl FnOnce()) -> Result<(), String> {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                print(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let ended = catch_unwind(AssertUnwindSafe(code));
    QUIET.set(before);
    ended.map_err(payload::message)
}
