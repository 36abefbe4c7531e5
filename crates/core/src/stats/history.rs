use super::writer::Writer;
use crate::Capability;
use raddle_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Columns of a table by capability: one each, and one for the tasks that name none.
pub(crate) const COLUMNS: usize = Capability::MAX + 1;

/// Returns the column of a capability.
#[inline]
pub(crate) fn column(capability: Option<Capability>) -> usize {
    capability.map_or(Capability::MAX, Capability::index)
}

/// A worker's record with each capability: a decayed average of 1.5 for a fast success, 1.2 for
/// another success and 0.5 for a failure, starting at 1.0.
#[derive(Debug)]
pub(super) struct History(Box<[AtomicU64]>);

pub(super) const START: f32 = 1.0;
/// The highest value.
pub(super) const BEST: f32 = 1.5;

impl History {
    pub(super) fn new(enabled: bool) -> Self {
        let columns = if enabled { COLUMNS } else { 0 };
        Self((0..columns).map(|_| AtomicU64::new(f64::from(START).to_bits())).collect())
    }

    #[inline]
    pub(super) fn get(&self, column: usize) -> f64 {
        self.0.get(column).map_or(f64::from(START), |h| f64::from_bits(h.load(Relaxed)))
    }

    /// Raises each value below the start to it.
    pub(super) fn raise(&self) {
        for (column, history) in self.0.iter().enumerate() {
            if self.get(column) < f64::from(START) {
                history.store(f64::from(START).to_bits(), Relaxed);
            }
        }
    }

    pub(super) fn set_best(&self, column: usize) {
        if let Some(history) = self.0.get(column) {
            history.store(f64::from(BEST).to_bits(), Relaxed);
        }
    }

    #[inline]
    pub(super) fn record<W: Writer>(&self, column: usize, success: bool, fast: bool, decay: f64) {
        let Some(history) = self.0.get(column) else {
            return;
        };
        let score = match (success, fast) {
            (true, true) => f64::from(BEST),
            (true, false) => 1.2,
            (false, _) => 0.5,
        };
        W::update(history, |h| h * decay + score * (1.0 - decay));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::writer::Exclusive;
    use super::*;

    #[test]
    fn each_end_moves_the_history_a_tenth_towards_its_score() {
        let history = History::new(true);
        let mut expected = f64::from(START);
        for (success, fast, score) in
            [(true, true, 1.5), (true, false, 1.2), (false, true, 0.5), (false, false, 0.5)]
        {
            history.record::<Exclusive>(0, success, fast, 0.9);
            expected += (score - expected) * 0.1;
            assert!((history.get(0) - expected).abs() < 1e-12, "{success}, {fast}");
        }
        assert_eq!(History::new(false).get(0), f64::from(START));
    }
}
