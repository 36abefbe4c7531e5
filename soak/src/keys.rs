use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};

/// A task's key, and its number among those of the key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub index: u32,
    pub number: u64,
}

/// What runs under each key: whether one at a time and in order.
///
/// A handler that was given up as hung is not waited for, so a second one beside it, or before
/// it, is right. The first one learns of the second from these words, by read-modify-writes that
/// acquire, and after that looks at whether it was given up, which happened before the second was
/// begun. So no second one is excused wrongly and none blamed.
#[derive(Debug)]
pub struct Keys(Box<[Slot]>);

#[derive(Debug)]
struct Slot {
    /// The task that runs, plus one; 0 for none.
    running: AtomicU64,
    /// The number of the last one that was begun.
    last: AtomicU64,
}

impl Keys {
    pub fn new(keys: usize) -> Self {
        let slot = || Slot { running: AtomicU64::new(0), last: AtomicU64::new(0) };
        Self((0..keys).map(|_| slot()).collect())
    }

    /// A handler begins; the number of a later task that was begun before it, if one was.
    pub fn enter(&self, key: Key, id: u64) -> Option<u64> {
        let slot = &self.0[key.index as usize];
        slot.running.swap(id + 1, AcqRel);
        let before = slot.last.swap(key.number, AcqRel);
        (before >= key.number).then_some(before)
    }

    /// A handler ends; `Err` when another was begun meanwhile: that one, if it still runs.
    pub fn leave(&self, key: Key, id: u64) -> Result<(), Option<u64>> {
        let slot = &self.0[key.index as usize];
        let left = slot.running.compare_exchange(id + 1, 0, AcqRel, Acquire);
        left.map(drop).map_err(|other| other.checked_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_overlap_are_noticed() {
        let keys = Keys::new(2);
        let key = |number| Key { index: 1, number };
        assert_eq!(keys.enter(key(1), 10), None);
        assert_eq!(keys.leave(key(1), 10), Ok(()));
        assert_eq!(keys.enter(key(3), 11), None, "a hole is no disorder");
        assert_eq!(keys.enter(key(2), 12), Some(3));
        assert_eq!(keys.leave(key(3), 11), Err(Some(12)));
        assert_eq!(keys.leave(key(2), 12), Ok(()));
    }
}
