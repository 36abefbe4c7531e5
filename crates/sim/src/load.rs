use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use raddle_core::Capability;

use crate::arrivals::ArrivalTimes;
use crate::error::positive;
use crate::random::{Purpose, mix, rng};
use crate::service::ServiceTimes;
use crate::{Arrivals, Service, SimError};

/// What is asked of the workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// When tasks come.
    pub arrivals: Arrivals,
    /// How long each takes.
    pub service: Service,
    /// What they ask for.
    pub capabilities: Capabilities,
    /// What keys they have.
    pub keys: Keys,
}

/// What capability tasks ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Capabilities {
    /// None.
    None,
    /// One of these, or none, in these proportions.
    Mix(Vec<(Option<Capability>, f64)>),
    /// These, in order of arrival; from the first again when there are no more.
    Trace(Arc<[Option<Capability>]>),
}

/// What keys tasks have.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// None.
    None,
    /// One of so many, the k-th with a share in proportion to `1 / k^exponent`.
    Zipf {
        /// How many keys there are.
        count: u32,
        /// 0 for all alike; 1 is usual.
        exponent: f64,
    },
    /// The hashes of these, in order of arrival; from the first again when there are no more.
    Trace(Arc<[Option<u64>]>),
}

/// One task of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it comes, from the start.
    pub arrival: Duration,
    /// How long a worker of speed 1 is busy with it.
    pub service: Duration,
    /// What it needs.
    pub capability: Option<Capability>,
    /// The hash of its key.
    pub key: Option<u64>,
}

impl Load {
    /// Tasks that ask for nothing in particular.
    pub fn new(arrivals: Arrivals, service: Service) -> Self {
        Self { arrivals, service, capabilities: Capabilities::None, keys: Keys::None }
    }

    /// What a trace holds.
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
}

/// A table of their shares is kept, 24 bytes a key.
const MOST_KEYS: u32 = 1 << 24;

impl Load {
    pub(crate) fn check(&self) -> Result<(), SimError> {
        self.arrivals.check()?;
        self.service.check()?;
        match &self.capabilities {
            Capabilities::Mix(shares) => {
                for (_, share) in shares {
                    let right = *share >= 0.0 && share.is_finite();
                    SimError::unless(right, "share of a capability", share, || "0 or more".into())?;
                }
                positive("sum of the capabilities' shares", shares.iter().map(|mix| mix.1).sum())?;
            }
            Capabilities::Trace(trace) => {
                SimError::unless(!trace.is_empty(), "trace", "empty", || {
                    "at least one task".into()
                })?;
            }
            Capabilities::None => {}
        }
        match &self.keys {
            Keys::Zipf { count, exponent } => {
                let right = (1..=MOST_KEYS).contains(count);
                SimError::unless(right, "number of keys", count, || format!("1 to {MOST_KEYS}"))?;
                let right = *exponent >= 0.0 && exponent.is_finite();
                SimError::unless(right, "exponent of the keys", exponent, || "0 or more".into())
            }
            Keys::Trace(trace) => {
                SimError::unless(!trace.is_empty(), "trace", "empty", || "at least one task".into())
            }
            Keys::None => Ok(()),
        }
    }
}

/// A task as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    /// Nanoseconds from the start.
    pub(crate) arrival: u64,
    /// Nanoseconds at speed 1.
    pub(crate) service: u64,
    pub(crate) capability: Option<Capability>,
    pub(crate) key: Option<u64>,
}

/// Draws tasks, one after the other.
pub(crate) struct Tasks {
    arrivals: ArrivalTimes,
    service: ServiceTimes,
    capabilities: Drawing<Option<Capability>>,
    keys: Drawing<Option<u64>>,
}

/// How a property of tasks is drawn.
enum Drawing<T> {
    Always(T),
    /// By a table of sums of shares.
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
