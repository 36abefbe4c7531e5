//! Ctrl-C as an event that threads can wait for.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

/// The exit code after Ctrl-C, as shells report it.
pub const INTERRUPTED: u8 = 130;

/// Signals that the run must stop. Nothing is ever sent: dropping the other end of the channel
/// wakes every holder, and stays visible.
#[derive(Clone, Debug)]
pub struct Stop(Receiver<()>);

impl Stop {
    /// Creates a signal that is set when the returned sender is dropped.
    pub fn new() -> (Sender<()>, Self) {
        let (end, stop) = bounded(1);
        (end, Self(stop))
    }

    /// Creates a signal that the first Ctrl-C sets; a second one ends the process at once.
    pub fn on_ctrl_c() -> Result<Self, ctrlc::Error> {
        let (end, stop) = Self::new();
        let mut end = Some(end);
        ctrlc::set_handler(move || {
            if end.take().is_none() {
                std::process::exit(INTERRUPTED.into());
            }
        })?;
        Ok(stop)
    }

    /// Returns whether the run must stop.
    pub fn is_set(&self) -> bool {
        self.0.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Sleeps until `then`; returns false if the signal was set before.
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
    fn a_stop_wakes_sleepers_and_stays_set() {
        let (end, stop) = Stop::new();
        assert!(!stop.is_set());
        assert!(stop.sleep_until(Instant::now() + Duration::from_millis(1)));
        drop(end);
        assert!(stop.is_set());
        assert!(!stop.sleep_until(Instant::now() + Duration::from_secs(3600)));
        assert!(!stop.sleep_until(Instant::now()));
    }
}
