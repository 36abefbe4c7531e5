//! Requests with their times, read from a trace or generated.

mod embedded;

use std::time::Duration;

pub use embedded::embedded;
use raddle::sim::Workers;
use thiserror::Error;

/// A task to submit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// The arrival time, from the start of the run.
    pub arrival: Duration,
    /// How long a worker of speed 1 is busy with it.
    pub service: Duration,
    /// The required capability, as a number of the workload's [`CapabilityNames`].
    pub capability: Option<u8>,
    /// The hash of its key, which only simulations use.
    pub key: Option<u64>,
}

/// At least one request, in order of arrival.
#[derive(Clone, Debug)]
pub struct Workload {
    /// `embedded`, or the path of the trace, `-` for standard input.
    pub source: String,
    /// Whether the trace has tokens instead of service times.
    pub has_tokens: bool,
    /// The capabilities that requests require.
    pub capabilities: CapabilityNames,
    /// The requests.
    pub requests: Vec<Request>,
}

/// No worker serves a capability that tasks require.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "no worker of `--workers {workers}` serves `{capability}`, which tasks require: \
     expected one with :{capability}, or one without capabilities, which serves every task"
)]
pub struct NotServed {
    workers: String,
    capability: String,
}

/// The capabilities of a workload, numbered in order of appearance.
///
/// Parsing has no global effect: names are interned only when a pool is built.
#[derive(Clone, Debug, Default)]
pub struct CapabilityNames(Vec<Box<str>>);

impl CapabilityNames {
    const MAX: usize = 128;

    /// Returns the number of a name, which may be new; `None` if there are too many.
    pub fn number(&mut self, name: &str) -> Option<u8> {
        let known = self.0.iter().position(|known| **known == *name);
        let number = known.unwrap_or(self.0.len());
        if number == Self::MAX {
            return None;
        }
        if known.is_none() {
            self.0.push(name.into());
        }
        u8::try_from(number).ok()
    }

    /// Returns the name with this number.
    #[cfg(test)]
    pub fn name(&self, number: u8) -> &str {
        &self.0[usize::from(number)]
    }

    /// Returns all names in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl Workload {
    /// Returns the time from the first arrival to the last.
    pub fn span(&self) -> Duration {
        self.requests.last().map_or(Duration::ZERO, |last| last.arrival)
    }

    /// Returns the service time of the longest task.
    pub fn longest(&self) -> Duration {
        self.requests.iter().map(|request| request.service).max().unwrap_or_default()
    }

    /// Returns the seconds that one worker of speed 1 would be busy.
    pub fn work_s(&self) -> f64 {
        self.requests.iter().map(|request| request.service.as_secs_f64()).sum()
    }

    /// Checks that every task has a worker that serves it.
    pub fn check_served_by(&self, workers: &Workers) -> Result<(), NotServed> {
        match self.capabilities.iter().find(|name| !workers.can_serve(name)) {
            None => Ok(()),
            Some(name) => {
                Err(NotServed { workers: workers.to_string(), capability: name.to_owned() })
            }
        }
    }

    /// Divides arrival and service times by `speedup`.
    #[must_use]
    pub fn speed_up(mut self, speedup: f64) -> Self {
        if speedup != 1.0 {
            for request in &mut self.requests {
                request.arrival = request.arrival.div_f64(speedup);
                request.service = request.service.div_f64(speedup);
            }
        }
        self
    }

    /// Returns the smallest speedup, at least 1, that brings `busiest` down to `longest`; rounded
    /// up to a tenth, so that it is easy to type.
    pub fn speedup_to_fit(busiest: Duration, longest: Duration) -> f64 {
        let needed = busiest.as_secs_f64() / longest.as_secs_f64();
        ((needed * 10.0).ceil() / 10.0).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speedup_divides_arrivals_and_service_times() {
        let request = |ms| Request {
            arrival: Duration::from_millis(ms),
            service: Duration::from_millis(2 * ms),
            capability: None,
            key: None,
        };
        let workload = Workload {
            source: "test".into(),
            has_tokens: false,
            capabilities: CapabilityNames::default(),
            requests: vec![request(0), request(40)],
        };
        assert_eq!(workload.work_s(), 0.08);
        let fast = workload.speed_up(4.0);
        assert_eq!(fast.span(), Duration::from_millis(10));
        assert_eq!(fast.requests[1].service, Duration::from_millis(20));
    }

    #[test]
    fn the_chosen_speedup_is_at_least_one_and_always_enough() {
        let eight = Duration::from_secs(8);
        assert_eq!(Workload::speedup_to_fit(Duration::ZERO, eight), 1.0);
        assert_eq!(Workload::speedup_to_fit(Duration::from_secs(8), eight), 1.0);
        assert_eq!(Workload::speedup_to_fit(Duration::from_secs(9), eight), 1.2);
        assert_eq!(Workload::speedup_to_fit(Duration::from_secs(3420), eight), 427.5);
    }

    #[test]
    fn each_name_has_one_number() {
        let mut names = CapabilityNames::default();
        assert_eq!(
            (names.number("a"), names.number("b"), names.number("a")),
            (Some(0), Some(1), Some(0))
        );
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
