use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};

/// A task's key, and its number among the tasks of that key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub index: u32,
    pub number: u64,
}

/// Checks that the tasks of each key run one at a time and in order.
///
/// The pool does not wait for a handler that it has revoked as hung, so another may rightly run
/// beside it or before it. The first handler sees the second in these words, by acquiring
/// read-modify-writes, and only then checks whether it was revoked, which happened before the
/// second started. So overlaps are neither excused nor reported wrongly.
#[derive(Debug)]
pub struct Keys(Box<[State]>);

#[derive(Debug)]
struct State {
    /// The running task plus one; 0 for none.
    running: AtomicU64,
    /// The number of the last started task.
    last: AtomicU64,
}

impl Keys {
    pub fn new(keys: usize) -> Self {
        let state = || State { running: AtomicU64::new(0), last: AtomicU64::new(0) };
        Self((0..keys).map(|_| state()).collect())
    }

    /// Records that a handler starts. Returns the number of a later task that started before it, if
    /// any.
    pub fn enter(&self, key: Key, id: u64) -> Option<u64> {
        let state = &self.0[key.index as usize];
        state.running.swap(id + 1, AcqRel);
        let before = state.last.swap(key.number, AcqRel);
        (before >= key.number).then_some(before)
    }

    /// Records that a handler ends.
    ///
    /// # Errors
    /// If another has started meanwhile: its task, if it still runs.
    pub fn leave(&self, key: Key, id: u64) -> Result<(), Option<u64>> {
        let state = &self.0[key.index as usize];
        let left = state.running.compare_exchange(id + 1, 0, AcqRel, Acquire);
        left.map(drop).map_err(|other| other.checked_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_order_and_overlap_are_noticed() {
        let keys = Keys::new(2);
        let key = |number| Key { index: 1, number };
        assert_eq!(keys.enter(key(1), 10), None);
        assert_eq!(keys.leave(key(1), 10), Ok(()));
        assert_eq!(keys.enter(key(3), 11), None, "a gap is not a wrong order");
        assert_eq!(keys.enter(key(2), 12), Some(3));
        assert_eq!(keys.leave(key(3), 11), Err(Some(12)));
        assert_eq!(keys.leave(key(2), 12), Ok(()));
    }
}
