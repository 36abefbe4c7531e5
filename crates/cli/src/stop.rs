//! Ctrl-C and SIGTERM as an event that threads can wait for.

use std::io;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

/// The exit code after Ctrl-C, as shells report it, and after SIGTERM.
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

    /// Creates a signal that the first Ctrl-C or SIGTERM sets; a second one ends the process at
    /// once.
    pub fn on_signals() -> io::Result<Self> {
        let (end, stop) = Self::new();
        let mut end = Some(end);
        each_signal(move || {
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

/// Calls `handle` for each signal, on a thread of its own.
#[cfg(unix)]
fn each_signal(mut handle: impl FnMut() + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    // Not SIGHUP: `nohup` has it ignored, which a handler would undo.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(move || signals.forever().for_each(|_| handle()))?;
    Ok(())
}

#[cfg(not(unix))]
fn each_signal(handle: impl FnMut() + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(handle).map_err(io::Error::other)
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
