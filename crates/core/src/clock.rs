use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use raddle_sync::atomic::{AtomicU64, Ordering};

/// Monotonic nanoseconds since the clock was made; never 0, which everywhere means "unknown".
///
/// The real clock reads the processor's time stamp counter where `quanta` trusts it (about 11 ns)
/// and the operating system's monotonic clock elsewhere. The virtual one moves only when its
/// [`VirtualTime`] is told to: for tests and simulation.
///
/// Reading is wait-free and allocates nothing. Clones share one origin.
///
/// ```
/// use std::time::Duration;
/// use raddle_core::Clock;
///
/// let (clock, time) = Clock::simulated();
/// let before = clock.now();
/// time.advance(Duration::from_millis(3));
/// assert_eq!(clock.now() - before, 3_000_000);
/// ```
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Real { clock: quanta::Clock, origin: u64 },
    Simulated(Arc<AtomicU64>),
}

/// Moves a simulated [`Clock`].
#[derive(Clone, Debug)]
pub struct VirtualTime(Arc<AtomicU64>);

impl Clock {
    /// The machine's clock. The first one of a process may take some milliseconds to calibrate.
    pub fn real() -> Self {
        let clock = quanta::Clock::new();
        let origin = clock.raw();
        Self(Source::Real { clock, origin })
    }

    /// A clock that stands still until its [`VirtualTime`] moves it.
    pub fn simulated() -> (Self, VirtualTime) {
        let time = Arc::new(AtomicU64::new(1));
        (Self(Source::Simulated(Arc::clone(&time))), VirtualTime(time))
    }

    /// Nanoseconds since the origin, at least 1.
    #[inline]
    pub fn now(&self) -> u64 {
        match &self.0 {
            Source::Real { clock, origin } => {
                // quanta saturates at zero should the counter step back.
                clock.delta_as_nanos(*origin, clock.raw()) + 1
            }
            Source::Simulated(time) => time.load(Ordering::Relaxed),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Real { .. } => "Clock::Real",
            Source::Simulated(_) => "Clock::Simulated",
        })
    }
}

impl VirtualTime {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(nanos(by), Ordering::Relaxed);
    }

    /// Sets the clock, backwards too: what a broken clock does can be tried out. 0 counts as 1.
    pub fn set(&self, now: u64) {
        self.0.store(now.max(1), Ordering::Relaxed);
    }
}

/// A duration in nanoseconds; what exceeds 584 years counts as that.
#[inline]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_clock_never_reads_zero_and_never_goes_back() {
        let clock = Clock::real();
        let mut last = 0;
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= 1 && now >= last);
            last = now;
        }
    }

    #[test]
    fn a_counter_that_stepped_back_reads_as_the_origin() {
        let clock = quanta::Clock::new();
        let origin = clock.raw() + u64::from(u32::MAX) * 1_000;
        assert_eq!(Clock(Source::Real { clock, origin }).now(), 1);
    }

    #[test]
    fn a_simulated_clock_can_be_moved_and_set_backwards() {
        let (clock, time) = Clock::simulated();
        time.set(50);
        time.advance(Duration::from_nanos(7));
        assert_eq!(clock.now(), 57);
        time.set(0);
        assert_eq!(clock.now(), 1);
    }

    #[test]
    fn an_endless_duration_saturates() {
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }
}
