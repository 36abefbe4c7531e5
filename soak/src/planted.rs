//! Panics on purpose, told apart from others.

use std::panic::{self, panic_any};
use std::sync::{Mutex, PoisonError};

const PREFIX: &str = "planted: ";

/// Panics, silently.
pub fn blow_up(what: &str) -> ! {
    panic!("{PREFIX}{what}")
}

/// The same with a payload that panics when it is dropped.
pub fn blow_up_twice() -> ! {
    panic_any(Bomb)
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            blow_up("a payload that was dropped");
        }
    }
}

static UNPLANNED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on planted panics are silent, and others are kept for [`unplanned`].
pub fn install() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        if payload.is::<Bomb>() || text.is_some_and(|text| text.starts_with(PREFIX)) {
            return;
        }
        let thread = std::thread::current();
        let told = format!("{} in thread {}", info, thread.name().unwrap_or("?"));
        UNPLANNED.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        usual(info);
    }));
}

/// The panics since the last call that nobody planted.
pub fn unplanned() -> Vec<String> {
    std::mem::take(&mut *UNPLANNED.lock().unwrap_or_else(PoisonError::into_inner))
}
