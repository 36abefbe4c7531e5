//! Catches panics of the user's code.

use crate::log;
use std::any::Any;
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
        report(message(payload));
    }
}

/// Catching takes much code, and each type of pool does it dozens of times, so this is not generic.
fn run(code: &mut dyn FnMut()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

fn run_contained(code: &mut dyn FnMut()) {
    if let Err(message) = run(code) {
        report(message);
    }
}

#[cold]
fn report(message: String) {
    log::error!(message, "a panic in a hook, a callback, a drop or a waker was caught");
}

/// A user's value that may be dropped anywhere: a panic in its `Drop` is [contained](contain).
pub(crate) struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

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
        if let Some(value) = self.0.take() {
            contain(|| drop(value));
        }
    }
}

#[cold]
fn message(payload: Box<dyn Any + Send>) -> String {
    let message = match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "a panic without a message".to_owned(),
        },
    };
    // A payload may panic when dropped, and so may that panic's payload: the second one is leaked.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(payload);
    }
    message
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
