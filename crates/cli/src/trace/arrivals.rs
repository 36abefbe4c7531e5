//! Arrival times.

use std::time::Duration;

use super::columns::Line;
use super::error::Fault;

/// The longest trace and the longest task: sums and sleeps stay far from overflow.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Arrivals relative to the first. They must not go back: an unsorted trace is more likely two
/// concatenated files than a trace that needs sorting.
#[derive(Default)]
pub struct Arrivals {
    first: Option<Duration>,
    last: Duration,
}

impl Arrivals {
    /// Returns the time since the first arrival of `arrival`, the first column of `line`.
    pub fn since_first(&mut self, arrival: Duration, line: &Line<'_>) -> Result<Duration, Fault> {
        let first = *self.first.get_or_insert(arrival);
        let since = arrival.checked_sub(first).filter(|since| *since >= self.last);
        let since = since.ok_or_else(|| Self::out_of_order(line))?;
        if since > LONGEST {
            return Err(line.fault(0, "an arrival at most a year after the first"));
        }
        self.last = since;
        Ok(since)
    }

    /// Returns the error that `line` arrives before the line above.
    pub fn out_of_order(line: &Line<'_>) -> Fault {
        let expected =
            "an arrival no earlier than that of the line above (traces are in order of time)";
        line.fault(0, expected)
    }
}
