//! Planned panics, which are distinguished from all others.

use std::panic::{self, panic_any};
use std::sync::{Mutex, PoisonError};

const PREFIX: &str = "planted: ";

/// Panics silently.
pub fn blow_up(what: &str) -> ! {
    panic!("{PREFIX}{what}")
}

/// Panics silently, with a payload that panics when dropped.
pub fn blow_up_twice() -> ! {
    panic_any(Bomb)
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            blow_up("dropping a payload");
        }
    }
}

static UNPLANNED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Makes planned panics silent, and keeps all others for [`unplanned`].
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
        let text = format!("{} in thread {}", info, thread.name().unwrap_or("?"));
        UNPLANNED.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        usual(info);
    }));
}

/// Returns the unplanned panics since the last call.
pub fn unplanned() -> Vec<String> {
    std::mem::take(&mut *UNPLANNED.lock().unwrap_or_else(PoisonError::into_inner))
}
