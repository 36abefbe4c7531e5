//! What is asked of the workers: requests with their times, from a trace or made up.

mod embedded;

use std::time::Duration;

pub use embedded::embedded;
use raddle::sim::Workers;
use thiserror::Error;

/// One task to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// When, from the start of the run.
    pub arrival: Duration,
    /// How long a worker of speed 1 is busy with it.
    pub service: Duration,
    /// What it needs: a number of the workload's [`CapabilityNames`].
    pub capability: Option<u8>,
    /// The hash of its key; the simulator's, as no real run routes by it yet.
    pub key: Option<u64>,
}

/// Requests in order of arrival; at least one.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Where it came from.
    pub source: String,
    /// The capabilities that its requests name.
    pub capabilities: CapabilityNames,
    /// The requests.
    pub requests: Vec<Request>,
}

/// Nobody could do some of the tasks.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "no worker of `--workers {workers}` serves `{capability}`, which tasks ask for: \
     expected one with :{capability}, or one without capabilities, which serves everything"
)]
pub struct NotServed {
    workers: String,
    capability: String,
}

/// The capabilities that a workload names, numbered as they come.
///
/// They are interned for the process only when a pool is made: parsing has no global effect.
#[derive(Clone, Debug, Default)]
pub struct CapabilityNames(Vec<Box<str>>);

impl CapabilityNames {
    const MAX: usize = 128;

    /// The number of this name, which is new or not; `None` if all numbers are taken.
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

    /// The name that has this number.
    #[cfg(test)]
    pub fn name(&self, number: u8) -> &str {
        &self.0[usize::from(number)]
    }

    /// All names, by number.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl Workload {
    /// From the first arrival to the last.
    pub fn span(&self) -> Duration {
        self.requests.last().map_or(Duration::ZERO, |last| last.arrival)
    }

    /// Seconds that one worker of speed 1 would be busy.
    pub fn work_s(&self) -> f64 {
        self.requests.iter().map(|request| request.service.as_secs_f64()).sum()
    }

    /// Checks that each task has a worker that serves it.
    pub fn check_served_by(&self, workers: &Workers) -> Result<(), NotServed> {
        match self.capabilities.iter().find(|name| !workers.serve(name)) {
            None => Ok(()),
            Some(name) => {
                Err(NotServed { workers: workers.to_string(), capability: name.to_owned() })
            }
        }
    }

    /// Divides arrival and service times alike.
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

    /// The smallest speed-up, at least 1, that brings `busiest` to at most `longest`; rounded up
    /// to a tenth so that it can be given again by hand.
    pub fn speedup_to_fit(busiest: Duration, longest: Duration) -> f64 {
        let needed = busiest.as_secs_f64() / longest.as_secs_f64();
        ((needed * 10.0).ceil() / 10.0).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speedup_divides_arrivals_and_services_alike() {
        let request = |ms| Request {
            arrival: Duration::from_millis(ms),
            service: Duration::from_millis(2 * ms),
            capability: None,
            key: None,
        };
        let workload = Workload {
            source: "test".into(),
            capabilities: CapabilityNames::default(),
            requests: vec![request(0), request(40)],
        };
        assert_eq!(workload.work_s(), 0.08);
        let fast = workload.speed_up(4.0);
        assert_eq!(fast.span(), Duration::from_millis(10));
        assert_eq!(fast.requests[1].service, Duration::from_millis(20));
    }

    #[test]
    fn the_chosen_speedup_is_never_below_one_and_always_enough() {
        let eight = Duration::from_secs(8);
        assert_eq!(Workload::speedup_to_fit(Duration::ZERO, eight), 1.0);
        assert_eq!(Workload::speedup_to_fit(Duration::from_secs(8), eight), 1.0);
        assert_eq!(Workload::speedup_to_fit(Duration::from_secs(9), eight), 1.2);
        assert_eq!(Workload::speedup_to_fit(Duration::from_secs(3420), eight), 427.5);
    }

    #[test]
    fn names_are_numbered_once() {
        let mut names = CapabilityNames::default();
        assert_eq!(
            (names.number("a"), names.number("b"), names.number("a")),
            (Some(0), Some(1), Some(0))
        );
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
