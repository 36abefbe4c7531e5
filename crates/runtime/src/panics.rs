//! Catches panics of the user's code.

use crate::{log, payload};
use std::error::Error;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the user's code; returns the message of a panic.
///
/// The code may leave the actor half changed, but the actor is then dropped and restarted.
#[inline]
pub(crate) fn catch<R>(code: impl FnOnce() -> R) -> Result<R, String> {
    let (mut code, mut result) = (Some(code), None);
    let ended = run(&mut || {
        if let Some(code) = code.take() {
            result = Some(code());
        }
    });
    match (result, ended) {
        (Some(result), _) => Ok(result),
        (None, Err(message)) => Err(message),
        (None, Ok(())) => unreachable!("the code has a result unless it panicked"),
    }
}

/// Runs the user's code where nothing depends on its result (a hook, a callback, a `Drop`, a waker): a
/// panic is logged and has no other effect.
#[inline]
pub(crate) fn contain(code: impl FnOnce()) {
    let mut code = Some(code);
    run_contained(&mut || {
        if let Some(code) = code.take() {
            code();
        }
    });
}

/// As [`contain`], compiled into its caller: more code, and fewer instructions on the path of a task.
#[inline(always)]
pub(crate) fn contain_inline(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        report(payload::message(payload));
    }
}

/// Catching takes much code, and each type of pool does it dozens of times, so this is not generic.
fn run(code: &mut dyn FnMut()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(payload::message)
}

fn run_contained(code: &mut dyn FnMut()) {
    if let Err(message) = run(code) {
        report(message);
    }
}

/// The text of a user's error, which may panic when it is formatted or dropped.
#[cold]
pub(crate) fn text(error: Box<dyn Error + Send + Sync>) -> String {
    let text = catch(|| error.to_string()).unwrap_or_else(|message| message);
    contain(|| drop(error));
    text
}

#[cold]
fn report(message: String) {
    log::error!(message, "a panic in a hook, a callback, a drop or a waker was caught");
}

/// A user's value that may be dropped anywhere: a panic in its `Drop` is [contained](contain).
pub struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    #[inline]
    pub(crate) fn into_inner(mut self) -> T {
        let Some(value) = self.0.take() else { unreachable!("nothing else takes it") };
        value
    }
}

impl<T> Deref for Contained<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let Some(value) = &self.0 else { unreachable!("only `into_inner` takes it") };
        value
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        if std::mem::needs_drop::<T>()
            && let Some(value) = self.0.take()
        {
            contain(|| drop(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Bomb);
        }
    }

    #[test]
    fn every_payload_has_a_message() {
        assert_eq!(catch(|| panic!("plain")), Err("plain".into()));
        assert_eq!(catch(|| panic!("number {}", 7)), Err("number 7".into()));
        assert_eq!(catch(|| panic_any(7)), Err("a panic without a message".into()));
        assert_eq!(catch(|| 7), Ok(7));
    }

    #[test]
    fn a_payload_or_value_that_panics_when_dropped_is_contained() {
        assert_eq!(catch(|| panic_any(Bomb)), Err("a panic without a message".into()));
        let bomb = Bomb;
        contain(|| drop(bomb));
        drop(Contained::new(Bomb));
        std::mem::forget(Contained::new(Bomb).into_inner());
    }
}
