use std::fmt;

#[cfg(not(any(loom, shuttle)))]
use crossbeam_utils::atomic::AtomicCell;

#[cfg(any(loom, shuttle))]
use crate::lock::ColdLock;

/// A place for one value, which any thread may put there or take: of several threads that take it, one
/// gets it. Taking a value acquires what the thread that put it there did before.
///
/// Wait-free for a `T` such that `Option<T>` is one word, such as a box; otherwise it takes a lock.
pub struct Slot<T> {
    #[cfg(not(any(loom, shuttle)))]
    cell: AtomicCell<Option<T>>,
    #[cfg(any(loom, shuttle))]
    cell: ColdLock<Option<T>>,
}

impl<T> Slot<T> {
    /// Creates a slot with or without a value.
    pub fn new(value: Option<T>) -> Self {
        #[cfg(not(any(loom, shuttle)))]
        let cell = AtomicCell::new(value);
        #[cfg(any(loom, shuttle))]
        let cell = ColdLock::new(value);
        Self { cell }
    }

    /// Puts a value into the slot, and returns the one that it replaces.
    #[inline]
    pub fn put(&self, value: T) -> Option<T> {
        self.swap(Some(value))
    }

    /// Takes the value, if there is one.
    #[inline]
    pub fn take(&self) -> Option<T> {
        self.swap(None)
    }

    #[inline]
    fn swap(&self, value: Option<T>) -> Option<T> {
        #[cfg(not(any(loom, shuttle)))]
        return self.cell.swap(value);
        #[cfg(any(loom, shuttle))]
        return std::mem::replace(&mut *self.cell.lock(), value);
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new(None)
    }
}

// The value may be anywhere by the time it is printed.
impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
