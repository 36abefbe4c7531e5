use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use raddle_sync::atomic::{AtomicU64, Ordering};
use raddle_sync::fibers;

/// How often a thread reads a simulated clock while it waits for it.
const SIMULATED: Duration = Duration::from_millis(1);

/// A monotonic clock in nanoseconds since its creation. Never 0, which means "unknown" everywhere.
///
/// The real clock reads the processor's time stamp counter if `quanta` trusts it (about 11 ns), and
/// the operating system's monotonic clock otherwise. The simulated clock, for tests and simulation,
/// moves only when its [`VirtualTime`] is moved.
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
    /// Creates a clock that reads the machine's time. The first one in a process may take some
    /// milliseconds to calibrate.
    pub fn real() -> Self {
        let clock = quanta::Clock::new();
        let origin = clock.raw();
        Self(Source::Real { clock, origin })
    }

    /// Creates a clock that stands still until its [`VirtualTime`] moves it.
    pub fn simulated() -> (Self, VirtualTime) {
        let time = Arc::new(AtomicU64::new(1));
        (Self(Source::Simulated(Arc::clone(&time))), VirtualTime(time))
    }

    /// Returns the nanoseconds since the origin, at least 1.
    #[inline]
    pub fn now(&self) -> u64 {
        match &self.0 {
            Source::Real { clock, origin } => {
                // quanta saturates at zero if the counter steps back.
                clock.delta_as_nanos(*origin, clock.raw()) + 1
            }
            Source::Simulated(time) => time.load(Ordering::Relaxed),
        }
    }
}

/// Waits for a clock.
pub trait ClockInternals {
    /// Returns how long a thread may sleep that waits for the clock's `until`, before it must read the
    /// clock again: zero if that has come, and short on a simulated clock, which can move at any time.
    fn sleep_until(&self, until: u64) -> Duration;
}

impl ClockInternals for Clock {
    fn sleep_until(&self, until: u64) -> Duration {
        let left = Duration::from_nanos(until.saturating_sub(self.now()));
        match self.0 {
            // Fibers that wait are woken when their clock is moved.
            Source::Simulated(_) if !fibers::is_active() => left.min(SIMULATED),
            _ => left,
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
    /// Moves the clock forward, at most to its last nanosecond, after 584 years.
    pub fn advance(&self, by: Duration) {
        let moved = |now: u64| Some(now.saturating_add(nanos(by)));
        // The closure never refuses.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    /// Sets the clock's time. It may go backwards, to test how code handles a broken clock. 0 sets
    /// the clock to 1.
    pub fn set(&self, now: u64) {
        self.0.store(now.max(1), Ordering::Relaxed);
    }
}

/// Converts a duration to nanoseconds, saturating at 584 years.
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
    fn a_counter_that_steps_back_reads_as_the_origin() {
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
        time.advance(Duration::MAX);
        assert_eq!(clock.now(), u64::MAX);
    }

    #[test]
    fn a_thread_that_waits_reads_a_simulated_clock_often() {
        let (clock, time) = Clock::simulated();
        assert_eq!(clock.sleep_until(2), Duration::from_nanos(1));
        assert_eq!(clock.sleep_until(u64::MAX), SIMULATED);
        time.set(7);
        assert_eq!(clock.sleep_until(7), Duration::ZERO);
        let clock = Clock::real();
        let hour = Duration::from_secs(3600);
        let until = clock.now() + nanos(hour);
        assert!((SIMULATED..=hour).contains(&clock.sleep_until(until)));
    }

    #[test]
    fn an_endless_duration_saturates() {
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }
}
