//! Ctrl-C as something that threads can wait for.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

/// Tells whether, and wakes when, the run is to stop. Nothing is ever sent: what wakes every
/// holder for good is that the other end goes.
#[derive(Clone, Debug)]
pub struct Stop(Receiver<()>);

impl Stop {
    /// Stops when the returned end is dropped.
    pub fn new() -> (Sender<()>, Self) {
        let (end, stop) = bounded(1);
        (end, Self(stop))
    }

    /// Stops at the first Ctrl-C; a second one ends the process at once.
    pub fn on_ctrl_c() -> Result<Self, ctrlc::Error> {
        let (end, stop) = Self::new();
        let mut end = Some(end);
        ctrlc::set_handler(move || {
            if end.take().is_none() {
                std::process::exit(crate::INTERRUPTED.into());
            }
        })?;
        Ok(stop)
    }

    /// Whether the run is to stop.
    pub fn is_set(&self) -> bool {
        self.0.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Sleeps until `then`; returns false when it was to stop before.
    pub fn sleep_until(&self, then: Instant) -> bool {
        if then <= Instant::now() {
            return !self.is_set();
        }
        self.0.recv_deadline(then) != Err(RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_wakes_a_sleeper_for_good() {
        let (end, stop) = Stop::new();
        assert!(!stop.is_set());
        assert!(stop.sleep_until(Instant::now() + Duration::from_millis(1)));
        drop(end);
        assert!(stop.is_set());
        assert!(!stop.sleep_until(Instant::now() + Duration::from_secs(3600)));
        assert!(!stop.sleep_until(Instant::now()));
    }
}
