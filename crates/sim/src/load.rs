use std::sync::Arc;
use std::time::Duration;

use raddle_core::Capability;

use crate::{Arrivals, Service};

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
