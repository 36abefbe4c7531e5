use super::writer::Writer;
use crate::{Capability, Tracking};
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A table by capability, with one place more for the tasks that name none.
pub(crate) const PLACES: usize = Capability::MAX + 1;

/// A capability's place in such a table.
#[inline]
pub(crate) fn place(capability: Option<Capability>) -> usize {
    capability.map_or(Capability::MAX, Capability::index)
}

/// How well a worker has done with each capability: a decayed average of 1.5 for a fast success,
/// 1.2 for a success and 0.5 for a failure, starting at 1.0.
#[derive(Debug)]
pub(super) struct History(Box<[AtomicU64]>);

pub(super) const START: f32 = 1.0;

impl History {
    pub(super) fn new(enabled: bool) -> Self {
        let places = if enabled { PLACES } else { 0 };
        Self((0..places).map(|_| AtomicU64::new(f64::from(START).to_bits())).collect())
    }

    #[inline]
    pub(super) fn get(&self, capability: Option<Capability>) -> f64 {
        self.0.get(place(capability)).map_or(f64::from(START), |h| f64::from_bits(h.load(Relaxed)))
    }

    #[inline]
    pub(super) fn record<W: Writer>(
        &self,
        capability: Option<Capability>,
        success: bool,
        fast: bool,
        tracking: &Tracking,
    ) {
        let Some(history) = self.0.get(place(capability)) else {
            return;
        };
        let score = match (success, fast) {
            (true, true) => 1.5,
            (true, false) => 1.2,
            (false, _) => 0.5,
        };
        let decay = tracking.history_decay;
        W::update(history, |h| h * decay + score * (1.0 - decay));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::writer::Exclusive;
    use super::*;

    #[test]
    fn each_end_moves_it_by_a_tenth_towards_its_score() {
        let (tracking, history) = (Tracking::default(), History::new(true));
        let mut expected = f64::from(START);
        for (success, fast, score) in
            [(true, true, 1.5), (true, false, 1.2), (false, true, 0.5), (false, false, 0.5)]
        {
            history.record::<Exclusive>(None, success, fast, &tracking);
            expected += (score - expected) * 0.1;
            assert!((history.get(None) - expected).abs() < 1e-12, "{success}, {fast}");
        }
        assert_eq!(History::new(false).get(None), f64::from(START));
    }
}
