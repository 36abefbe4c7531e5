use std::time::{Duration, Instant};

use raddle_core::{Clock, nanos};
use raddle_sync::time;

/// The deadline of a task that has none, in nanoseconds of the pool's clock.
pub(crate) const NEVER: u64 = u64::MAX;

/// The time until a deadline by this clock, zero once it has passed; `None` for [`NEVER`]. Reads the
/// clock.
pub(crate) fn remaining(deadline: u64, clock: &Clock) -> Option<Duration> {
    let left = || deadline.saturating_sub(clock.now());
    (deadline != NEVER).then(|| Duration::from_nanos(left()))
}

/// The deadline of a task, as its caller set it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Deadline {
    #[default]
    Never,
    /// This long after the task is submitted.
    After(Duration),
    At(Instant),
}

impl Deadline {
    /// The deadline by the pool's clock, for a task that is submitted at the clock's `now`.
    #[inline]
    pub(crate) fn by_clock(self, now: u64) -> u64 {
        let timeout = match self {
            Self::Never => return NEVER,
            Self::After(timeout) => timeout,
            Self::At(deadline) => deadline.saturating_duration_since(time::now()),
        };
        now.saturating_add(nanos(timeout))
    }
}
