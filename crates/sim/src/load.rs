use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::Capability;

use crate::arrivals::ArrivalTimes;
use crate::error::{not_empty, positive};
use crate::random::{Purpose, mix, rng};
use crate::service::ServiceTimes;
use crate::{Arrivals, Service, SimError};

/// The tasks offered to the workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// When tasks arrive.
    pub arrivals: Arrivals,
    /// How long a worker of speed 1 takes for each.
    pub service: Service,
    /// Which capabilities they require.
    pub capabilities: Capabilities,
    /// Which keys they have.
    pub keys: Keys,
}

/// The capabilities that tasks require.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Capabilities {
    /// None.
    None,
    /// Drawn from these, each with its weight; `None` requires no capability.
    Mix(Vec<(Option<Capability>, f64)>),
    /// These, in order of arrival, repeated from the first when exhausted.
    Trace(Arc<[Option<Capability>]>),
}

/// The keys of tasks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Keys {
    /// None.
    None,
    /// Zipf-distributed: the k-th key's share is proportional to `1 / k^exponent`.
    Zipf {
        /// Number of keys.
        count: u32,
        /// 0 for equal shares; 1 is typical.
        exponent: f64,
    },
    /// These key hashes, in order of arrival, repeated from the first when exhausted.
    Trace(Arc<[Option<u64>]>),
}

/// One task of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it arrives, since the start of the run.
    pub arrival: Duration,
    /// How long a worker of speed 1 takes for it.
    pub service: Duration,
    /// The capability it requires.
    pub capability: Option<Capability>,
    /// The hash of its key.
    pub key: Option<u64>,
}

/// The largest number of keys: the table of cumulative shares takes 24 bytes per key.
const MAX_KEYS: u32 = 1 << 24;

impl Load {
    /// Creates a load of tasks without capabilities and keys.
    pub fn new(arrivals: Arrivals, service: Service) -> Self {
        Self { arrivals, service, capabilities: Capabilities::None, keys: Keys::None }
    }

    /// Creates a load that replays a trace.
    pub fn of_trace(requests: &[Request]) -> Self {
        Self {
            arrivals: Arrivals::Trace(requests.iter().map(|request| request.arrival).collect()),
            service: Service::Trace(requests.iter().map(|request| request.service).collect()),
            capabilities: Capabilities::Trace(
                requests.iter().map(|request| request.capability).collect(),
            ),
            keys: Keys::Trace(requests.iter().map(|request| request.key).collect()),
        }
    }

    /// Returns whether the arrivals are those of a trace: then they are the same with every seed.
    pub fn is_recorded(&self) -> bool {
        matches!(self.arrivals, Arrivals::Trace(_))
    }

    pub(crate) fn validate(&self) -> Result<(), SimError> {
        self.arrivals.validate()?;
        self.service.validate()?;
        match &self.capabilities {
            Capabilities::Mix(shares) => {
                for (_, share) in shares {
                    let right = *share >= 0.0 && share.is_finite();
                    SimError::unless(right, "share of a capability", share, || "0 or more".into())?;
                }
                positive("sum of the capabilities' shares", shares.iter().map(|mix| mix.1).sum())?;
            }
            Capabilities::Trace(trace) => not_empty(trace)?,
            Capabilities::None => {}
        }
        match &self.keys {
            Keys::Zipf { count, exponent } => {
                let right = (1..=MAX_KEYS).contains(count);
                SimError::unless(right, "number of keys", count, || format!("1 to {MAX_KEYS}"))?;
                let right = *exponent >= 0.0 && exponent.is_finite();
                SimError::unless(right, "exponent of the keys", exponent, || "0 or more".into())
            }
            Keys::Trace(trace) => not_empty(trace),
            Keys::None => Ok(()),
        }
    }
}

/// An arriving task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    /// Nanoseconds since the start.
    pub(crate) arrival: u64,
    /// Nanoseconds at speed 1.
    pub(crate) service: u64,
    pub(crate) capability: Option<Capability>,
    pub(crate) key: Option<u64>,
}

/// Draws tasks, one after another.
pub(crate) struct Tasks {
    arrivals: ArrivalTimes,
    service: ServiceTimes,
    capabilities: Drawing<Option<Capability>>,
    keys: Drawing<Option<u64>>,
}

/// How a property of tasks is drawn.
enum Drawing<T> {
    Always(T),
    /// Drawn by cumulative shares.
    Mix {
        values: Vec<T>,
        sums: Vec<f64>,
        rng: Rng,
    },
    Trace {
        values: Arc<[T]>,
        next: usize,
    },
}

impl<T: Copy> Drawing<T> {
    fn mix(values: Vec<T>, shares: impl Iterator<Item = f64>, rng: Rng) -> Self {
        let mut sum = 0.0;
        let sums = shares.map(|share| {
            sum += share;
            sum
        });
        Self::Mix { values, sums: sums.collect(), rng }
    }

    fn draw(&mut self) -> T {
        match self {
            Self::Always(value) => *value,
            Self::Mix { values, sums, rng } => {
                let drawn = rng.f64() * sums.last().copied().unwrap_or(0.0);
                let index = sums.partition_point(|sum| *sum <= drawn);
                values[index.min(values.len() - 1)]
            }
            Self::Trace { values, next } => {
                let value = values[*next % values.len()];
                *next += 1;
                value
            }
        }
    }
}

impl Tasks {
    pub(crate) fn new(load: &Load, seed: u64) -> Self {
        let capabilities = match &load.capabilities {
            Capabilities::None => Drawing::Always(None),
            Capabilities::Mix(mix) => Drawing::mix(
                mix.iter().map(|(capability, _)| *capability).collect(),
                mix.iter().map(|(_, share)| *share),
                rng(seed, Purpose::Capabilities),
            ),
            Capabilities::Trace(values) => Drawing::Trace { values: Arc::clone(values), next: 0 },
        };
        let keys = match &load.keys {
            Keys::None => Drawing::Always(None),
            Keys::Zipf { count, exponent } => Drawing::mix(
                (0..*count).map(|key| Some(mix(u64::from(key)))).collect(),
                (1..=*count).map(|rank| f64::from(rank).powf(-exponent)),
                rng(seed, Purpose::Keys),
            ),
            Keys::Trace(values) => Drawing::Trace { values: Arc::clone(values), next: 0 },
        };
        Self {
            arrivals: ArrivalTimes::new(&load.arrivals, rng(seed, Purpose::Arrivals)),
            service: ServiceTimes::new(&load.service, rng(seed, Purpose::Service)),
            capabilities,
            keys,
        }
    }
}

impl Iterator for Tasks {
    type Item = Drawn;

    fn next(&mut self) -> Option<Drawn> {
        Some(Drawn {
            arrival: self.arrivals.next()?,
            service: self.service.draw(),
            capability: self.capabilities.draw(),
            key: self.keys.draw(),
        })
    }
}
