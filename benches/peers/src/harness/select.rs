use std::time::{Duration, Instant};

use crate::figures::{COST, Figures, median};

/// Measures the cost of successive selections on one thread.
#[derive(Clone, Copy, Debug)]
pub struct Selecting {
    /// The number of targets.
    pub targets: usize,
    /// The approximate duration of the measurement.
    pub seconds: f64,
}

/// The number of selections between two readings of the clock.
const CHUNK: u32 = 2_000;

impl Selecting {
    /// Returns the median cost of `select` over chunks of selections.
    pub fn measure(&self, mut select: impl FnMut()) -> Figures {
        let mut chunk = || {
            let begin = Instant::now();
            (0..CHUNK).for_each(|_| select());
            begin.elapsed().as_nanos() as f64 / f64::from(CHUNK)
        };
        (0..20).for_each(|_| {
            chunk();
        });
        let begin = Instant::now();
        let end = Duration::from_secs_f64(self.seconds);
        let mut costs = Vec::new();
        while begin.elapsed() < end {
            costs.push(chunk());
        }
        Figures::one(COST, median(&costs).unwrap_or(f64::NAN))
    }
}
