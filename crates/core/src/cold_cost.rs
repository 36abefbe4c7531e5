use crate::mean::Mean;
use crate::stats::history::{COLUMNS, column};
use crate::{Capability, KeyAge};

/// The mean service times of a pool's successes, by capability and by the age of the key.
/// Concurrent updates may be lost.
#[derive(Debug)]
pub(crate) struct ColdCost {
    by_capability: Box<[[Mean<SAMPLES>; KeyAge::COUNT]]>,
}

/// The number of samples from which on a mean moves.
const SAMPLES: u32 = 1024;

impl ColdCost {
    pub(crate) fn new() -> Self {
        Self { by_capability: (0..COLUMNS).map(|_| Default::default()).collect() }
    }

    /// Returns by how many nanoseconds the mean of each age exceeds that of the latest keys,
    /// at least 0; 0 while either is unknown.
    #[inline]
    pub(crate) fn by_age(&self, capability: Option<Capability>) -> [u64; KeyAge::COUNT] {
        let means = &self.by_capability[column(capability)];
        let latest = means[KeyAge::LATEST.index()].get().unwrap_or(f32::MAX);
        // What is negative becomes 0.
        std::array::from_fn(|age| (means[age].get().unwrap_or(0.0) - latest) as u64)
    }

    /// Records a worker's success if it is `sampled`, or if nothing is known about keys of this age.
    pub(crate) fn record(
        &self,
        sampled: bool,
        capability: Option<Capability>,
        age: KeyAge,
        service: u64,
    ) {
        let mean = &self.by_capability[column(capability)][age.index()];
        if sampled || mean.get().is_none() {
            mean.add(service, 0.0);
        }
    }
}
