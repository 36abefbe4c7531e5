use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Where handlers hang until their time is over or the round ends.
#[derive(Debug, Default)]
pub struct Hangs {
    released: Mutex<bool>,
    changed: Condvar,
}

impl Hangs {
    /// Hangs for at most `time`; for `None`, until the end of the round.
    pub fn hang(&self, time: Option<Duration>) {
        // An hour is forever: the run is ended as stuck before that.
        let time = time.unwrap_or(Duration::from_secs(3600));
        let released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.changed.wait_timeout_while(released, time, |released| !*released);
    }

    /// Releases all handlers, and all that hang later.
    pub fn release(&self) {
        *self.released.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}
