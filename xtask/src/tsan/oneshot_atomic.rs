//! Replaces oneshot's own file: see `xtask/src/tsan/oneshot.rs`.

pub use core::sync::atomic::Ordering;

use Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Every load is Acquire, alone or in a read-modify-write. Stores are unchanged.
pub struct AtomicU8(core::sync::atomic::AtomicU8);

/// Returns the ordering with Acquire added.
fn acquiring(ordering: Ordering) -> Ordering {
    match ordering {
        Relaxed => Acquire,
        Release => AcqRel,
        other => other,
    }
}

impl AtomicU8 {
    pub const fn new(value: u8) -> Self {
        Self(core::sync::atomic::AtomicU8::new(value))
    }

    pub fn load(&self, _: Ordering) -> u8 {
        self.0.load(Acquire)
    }

    pub fn store(&self, value: u8, ordering: Ordering) {
        self.0.store(value, ordering);
    }

    pub fn swap(&self, value: u8, ordering: Ordering) -> u8 {
        self.0.swap(value, acquiring(ordering))
    }

    pub fn fetch_add(&self, value: u8, ordering: Ordering) -> u8 {
        self.0.fetch_add(value, acquiring(ordering))
    }

    pub fn fetch_xor(&self, value: u8, ordering: Ordering) -> u8 {
        self.0.fetch_xor(value, acquiring(ordering))
    }

    pub fn compare_exchange(
        &self,
        current: u8,
        new: u8,
        success: Ordering,
        _: Ordering,
    ) -> Result<u8, u8> {
        self.0.compare_exchange(current, new, acquiring(success), Acquire)
    }
}

/// Does nothing: the load before it is Acquire already.
pub fn fence(ordering: Ordering) {
    assert_eq!(ordering, Acquire, "only an Acquire fence can be left out");
}
