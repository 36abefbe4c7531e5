use raddle_sync::{hint, thread};

/// How a thread polls before it parks: first with a pause between two polls, then giving other
/// threads the core.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    polls: u32,
    /// Polls that are followed by a pause.
    spins: u32,
    /// Polls before the thread should park.
    limit: u32,
}

/// The longest pause, in spin hints of about 28 ns each.
const PAUSE: u32 = 4;

impl Backoff {
    /// Returns a backoff of `limit` polls, the first `spins` of them with pauses.
    pub(crate) const fn new(spins: u32, limit: u32) -> Self {
        Self { polls: 0, spins, limit }
    }

    /// Waits for a moment before the next poll; `false`, without waiting, if the thread has polled
    /// often enough and should park.
    #[inline]
    pub(crate) fn wait(&mut self) -> bool {
        if self.polls >= self.limit {
            return false;
        }
        if self.polls < self.spins {
            let pause = 1u32.checked_shl(self.polls).map_or(PAUSE, |pause| pause.min(PAUSE));
            (0..pause).for_each(|_| hint::spin_loop());
        } else {
            thread::yield_now();
        }
        self.polls += 1;
        true
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_ends_after_its_polls() {
        let mut backoff = Backoff::new(40, 100);
        assert!((0..100).all(|_| backoff.wait()));
        assert!(!backoff.wait() && !backoff.wait());
        assert!(!Backoff::new(0, 0).wait());
    }
}
